"""Which NUMA node memory comes from: asked for before the first touch, and seen afterwards."""

import contextlib
import ctypes
import os
import platform
from pathlib import Path

from engramctl.memory import text_or_empty

_MBIND = {"x86_64": 237, "aarch64": 235}
_PREFERRED = 1  # another node where this one is full: better than none, and told by `bytes_on_node`
_MOST_NODES = 1024
_PCI = Path("/sys/bus/pci/devices")
_NUMA_MAPS = Path("/proc/self/numa_maps")


def node_of_device(pci_bus_id: str | None) -> tuple[int | None, str]:
    """Return the node nearest to a PCI device, None where there is no telling, and why.

    Args:
        pci_bus_id: as `0000:65:00.0`, in any case.

    Example:
        >>> node_of_device(None)
        (None, 'no node is chosen: the bus address of the device is not known')
    """
    if pci_bus_id is None:
        return None, "no node is chosen: the bus address of the device is not known"
    name = pci_bus_id.lower()
    text = text_or_empty(_PCI / name / "numa_node").strip()
    if not text.isdigit():  # -1 where the machine does not say, as in most virtual ones
        return None, f"no node is chosen: the machine does not say which is nearest to {name}"
    return int(text), f"node {text} is the nearest to {name}"


def prefer_node(address: int, num_bytes: int, node: int) -> str | None:
    """Have pages that were not touched yet come from a node while it has any.

    Args:
        address: of whole pages.
        num_bytes: of them.
        node: its number.

    Returns:
        why that cannot be had; None: it is so.
    """
    number = _MBIND.get(platform.machine())
    if number is None or not 0 <= node < _MOST_NODES:
        return f"memory of node {node} cannot be asked for on this machine"
    mask = (ctypes.c_ulong * (_MOST_NODES // 64))()
    mask[node // 64] = 1 << node % 64
    call = ctypes.CDLL(None, use_errno=True).syscall
    words = (address, num_bytes, _PREFERRED, ctypes.addressof(mask), _MOST_NODES + 1, 0)
    done = call(ctypes.c_long(number), *(ctypes.c_ulong(word) for word in words))
    if done == 0:
        return None
    return f"memory of node {node} is refused: {os.strerror(ctypes.get_errno())}"


def bytes_on_node(address: int, node: int) -> int | None:
    """Return how many bytes of the mapping that begins at an address lie on a node now.

    Returns:
        None: the kernel does not say.
    """
    for line in text_or_empty(_NUMA_MAPS).splitlines():
        start, *words = line.split()
        with contextlib.suppress(ValueError, KeyError):
            if int(start, 16) == address:
                facts = dict(word.split("=", 1) for word in words if "=" in word)
                return int(facts.get(f"N{node}", 0)) * int(facts["kernelpagesize_kB"]) << 10
    return None
