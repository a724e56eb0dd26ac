"""Host memory that a CUDA device reads by itself: exactly as much as is needed, and counted.

torch's own pinned memory comes in powers of two: 95 GB of rows would take 128. So the mapping is
ours, and is registered with CUDA piece by piece: one call for half a terabyte fails.
"""

import contextlib
import ctypes
import errno
import os
import threading
import weakref
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from engramctl.errors import StorageError
from engramctl.runtime.threads import default_workers, renew_in_children
from engramctl.storage.memory.host_memory import PAGE, HostMemory, whole_pages
from engramctl.storage.memory.numa import bytes_on_node, node_of_device, prefer_node
from engramctl.storage.pinned.driver import pci_bus_id

REGISTERED_BYTES = 64 << 30  # at a time, a multiple of a page
_POPULATED_BYTES = 256 << 20
_PORTABLE_AND_MAPPED = 3  # cudaHostRegisterPortable | cudaHostRegisterMapped
_POPULATE_WRITE = 23
_DONTFORK, _DOFORK = 10, 11
libc = ctypes.CDLL(None, use_errno=True)
kept: list[HostMemory] = []  # mapped for ever: a forked child's, and what CUDA did not let go


class _Registered:
    """What CUDA knows now: address -> bytes of every piece."""

    def __init__(self) -> None:
        self.renew()
        renew_in_children(self)

    def renew(self) -> None:
        """Begin anew in a forked child, which has registered nothing."""
        self.lock = threading.RLock()  # the collector may end one memory while another is counted
        self.pieces: dict[int, int] = {}


registered = _Registered()


def pinned_bytes() -> int:
    """Return the bytes that this process has registered with CUDA now, by this module."""
    with registered.lock:
        return sum(registered.pieces.values())


class PinnedMemory:
    """Bytes of whole pages, populated, registered with CUDA until `close` or the collector's turn.

    A forked child does not have them. Views that outlive `close` stay readable, by the host.

    Attributes:
        array: uint8 (num_bytes,); empty once closed.
        address: of its first byte.
        num_bytes: as asked for.
        device: that it is registered for; None: it is not registered.
        numa_node: that its pages were asked of, or None.
        numa_why: why this node, or none; a sentence for people.
    """

    def __init__(
        self, num_bytes: int, *, device: torch.device | None, numa_node: int | None = None
    ) -> None:
        """Map, place, populate and register it.

        Args:
            num_bytes: at least 1.
            device: a CUDA device; None: nothing is registered, for memory that no device reads.
            numa_node: of its pages; None: the one nearest to the device.

        Raises:
            StorageError: there is not so much memory, or CUDA does not register it; then nothing
                is left behind.
        """
        self.num_bytes, self.device = num_bytes, device
        self.numa_node, self.numa_why = numa_node, "no device asks for a node"
        if numa_node is not None:
            self.numa_why = f"node {numa_node} was asked for"
        elif device is not None:
            self.numa_node, self.numa_why = node_of_device(pci_bus_id(device.index or 0))
        self._memory: HostMemory | None = HostMemory(num_bytes)
        self.address = self._memory.address
        whole = whole_pages(num_bytes)
        if self.numa_node is not None:
            refused = prefer_node(self.address, whole, self.numa_node)
            if refused is not None:
                self.numa_node, self.numa_why = None, refused
        if device is not None:
            advise(self.address, whole, _DONTFORK)
        _populate(self._memory.array)
        self._memory.collapse()
        pieces: list[int] = []
        self._end = weakref.finalize(self, _forget, self._memory, pieces, device)
        self._end.atexit = False  # CUDA may be gone then, and the system frees it all
        renew_in_children(self)
        try:
            if device is not None:
                _register(self.address, whole, pieces, device)
        except BaseException:
            self.close()
            raise
        self.array: NDArray[np.uint8] = self._memory.array

    def renew(self) -> None:
        """Let go of nothing in a forked child: the addresses are not its, nor is CUDA."""
        if self.device is None:
            return
        if self._end.detach() is not None and self._memory is not None:
            kept.append(self._memory)
        self._memory, self.array = None, np.empty(0, np.uint8)

    @property
    def tensor(self) -> torch.Tensor:
        """A view of the bytes, uint8 (num_bytes,), on the CPU."""
        return torch.from_numpy(self.array)

    def facts(self) -> dict[str, Any]:
        """Return what results say of it: bytes, the node, how many lie there and in huge pages."""
        node, memory = self.numa_node, self._memory
        mapped = whole_pages(self.num_bytes)
        return {
            "mapped_bytes": mapped,
            "pinned_bytes": mapped if self.device is not None else 0,
            "numa_node": node,
            "numa_why": self.numa_why,
            "numa_node_bytes": None if node is None else bytes_on_node(self.address, node),
            "huge_page_bytes": None if memory is None else memory.huge_page_bytes(),
        }

    def close(self) -> None:
        """Unregister it, and unmap it when nobody holds a view; once more does nothing.

        No device may read it any more.

        Raises:
            StorageError: CUDA does not let it go; then it stays mapped.
        """
        self.array = np.empty(0, np.uint8)
        self._memory = None
        self._end()


def _register(address: int, num_bytes: int, pieces: list[int], device: torch.device) -> None:
    """Register whole pages; each piece that is done stands in `pieces`."""
    cudart = torch.cuda.cudart()  # type: ignore[no-untyped-call]
    for start in range(address, address + num_bytes, REGISTERED_BYTES):
        size = min(REGISTERED_BYTES, address + num_bytes - start)
        with torch.cuda.device(device):
            code = int(cudart.cudaHostRegister(start, size, _PORTABLE_AND_MAPPED))
        if code != 0:
            _clear_last_error()
            raise StorageError(
                "CUDA does not register host memory for the device",
                facts={
                    "asked for": f"{num_bytes:,} bytes",
                    "registered": f"{start - address:,} bytes",
                    "CUDA error": code,
                },
                hint="leave more memory free, or use --tier ssd",
            )
        with registered.lock:
            pieces.append(start)
            registered.pieces[start] = size


def _forget(memory: HostMemory, pieces: list[int], device: torch.device | None) -> None:
    """Unregister what is registered; the memory is unmapped with its last view, not before."""
    if device is None:
        return
    bad = 0
    while pieces:
        start = pieces.pop()
        cudart = torch.cuda.cudart()  # type: ignore[no-untyped-call]
        with torch.cuda.device(device):
            code = int(cudart.cudaHostUnregister(start))
        if code != 0:
            bad = code
            _clear_last_error()
            continue
        with registered.lock:
            del registered.pieces[start]
    if bad:
        kept.append(memory)  # the device may still read it
        raise StorageError(
            "CUDA does not let go of host memory",
            facts={"bytes": f"{memory.num_bytes:,}", "CUDA error": bad},
            hint="an earlier error of the device may be why; start a new process",
        )
    # Who still holds a view forks with it; a child without would unmap what else lies there.
    advise(memory.address, whole_pages(memory.num_bytes), _DOFORK)


def _clear_last_error() -> None:
    """Take a failed call's error away: torch would find it at the next kernel, as that one's."""
    with contextlib.suppress(AttributeError):  # the library is torch's, loaded or within it
        libc.cudaGetLastError()


def _populate(array: NDArray[np.uint8]) -> None:
    """Have every page taken now, by several threads: they are cleared, which takes time."""
    parts = [array[at : at + _POPULATED_BYTES] for at in range(0, len(array), _POPULATED_BYTES)]
    with ThreadPoolExecutor(min(len(parts), default_workers())) as pool:
        list(pool.map(_populate_part, parts))


def _populate_part(part: NDArray[np.uint8]) -> None:
    code = advise(part.ctypes.data, whole_pages(len(part)), _POPULATE_WRITE)
    if code == errno.EINVAL:  # before Linux 5.14
        part[::PAGE] = 0
    elif code:
        raise StorageError(
            "the system gives no memory for the table",
            facts={"reason": os.strerror(code)},
            hint="leave more memory free, or use --tier ssd",
        )


def advise(address: int, num_bytes: int, advice: int) -> int:
    """Advise the kernel; return 0 or the number of its error."""
    words = ctypes.c_void_p(address), ctypes.c_size_t(num_bytes), ctypes.c_int(advice)
    return ctypes.get_errno() if libc.madvise(*words) else 0
