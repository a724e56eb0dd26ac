"""What this machine has: the facts every result file carries.

Nothing here guesses: a fact that cannot be read is None.
"""

import os
import platform
import sys
from importlib import metadata
from pathlib import Path
from typing import Any

from engramctl.hashing.kernels.choice import kernel
from engramctl.machine.own_commit import own_commit
from engramctl.memory import available_bytes

LIBRARIES = (
    "numba", "numpy", "pyarrow", "rich", "tokenizers", "torch", "tqdm",
    "triton", "typer", "xxhash",
)  # fmt: skip


def _read(path: str) -> str | None:
    try:
        return Path(path).read_text().strip()
    except OSError:
        return None


def _proc_field(path: str, name: str) -> str | None:
    for line in (_read(path) or "").splitlines():
        key, _, value = line.partition(":")
        if key.strip() == name:
            return value.strip()
    return None


def _version_of(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def memory_bytes(field: str) -> int | None:
    """Return one line of /proc/meminfo in bytes, e.g. `MemAvailable`."""
    value = _proc_field("/proc/meminfo", field)
    return int(value.split()[0]) * 1024 if value else None


def block_device(path: Path) -> dict[str, Any]:
    """Describe the disk below `path`: name, kind, read-ahead in bytes.

    The read-ahead decides whether a plain mapping is usable, so every ssd result carries it.
    """
    device = os.stat(path).st_dev
    node = Path(f"/sys/dev/block/{os.major(device)}:{os.minor(device)}")
    queue = node / "queue"
    if not queue.exists():
        queue = node.resolve().parent / "queue"
    read_ahead = _read(str(queue / "read_ahead_kb"))
    rotational = _read(str(queue / "rotational"))
    return {
        "device": node.resolve().name if node.exists() else None,
        "filesystem": _filesystem(path),
        "read_ahead_bytes": int(read_ahead) * 1024 if read_ahead else None,
        "rotational": {"0": False, "1": True}.get(rotational or ""),
        "logical_block_bytes": int(_read(str(queue / "logical_block_size")) or 0) or None,
    }


def _filesystem(path: Path) -> str | None:
    target = str(path.resolve())
    best: tuple[int, str] | None = None
    for line in (_read("/proc/mounts") or "").splitlines():
        _, mount, kind, *_ = line.split()
        inside = target == mount or target.startswith(mount.rstrip("/") + "/")
        if inside and (best is None or len(mount) >= best[0]):
            best = (len(mount), kind)
    return best[1] if best else None


def io_uring_enabled() -> bool | None:
    """Tell whether the kernel lets this process set up io_uring (None: no such setting)."""
    value = _read("/proc/sys/kernel/io_uring_disabled")
    return None if value is None else value == "0"


def gpu_facts() -> dict[str, Any]:
    """Describe the CUDA devices torch sees, or say why there are none. Imports torch."""
    import torch

    built = torch.version.cuda
    if not torch.cuda.is_available():
        reason = "torch finds no CUDA device" if built else "torch was built without CUDA"
        return {"available": False, "reason": reason, "devices": [], "cuda": built}
    devices = []
    for index in range(torch.cuda.device_count()):
        facts = torch.cuda.get_device_properties(index)
        devices.append(
            {
                "name": facts.name,
                "memory_bytes": facts.total_memory,
                "compute_capability": f"{facts.major}.{facts.minor}",
            }
        )
    return {"available": True, "reason": None, "devices": devices, "cuda": built}


def capture(path: Path | None = None) -> dict[str, Any]:
    """Return the environment document of `engramctl env --json` and of every result.

    Args:
        path: the folder whose disk is described (default: the working folder).
    """
    here = path or Path.cwd()
    gpu = gpu_facts()
    has_gpu = gpu["available"]
    return {
        "engramctl": _version_of("engramctl"),
        "commit": own_commit(),
        "python": platform.python_version(),
        "platform": platform.platform(),
        "machine": platform.machine(),
        "cpu": _proc_field("/proc/cpuinfo", "model name"),
        "num_cpus": len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count(),
        "memory_bytes": memory_bytes("MemTotal"),
        "memory_available_bytes": available_bytes(),
        "page_bytes": os.sysconf("SC_PAGE_SIZE"),
        "huge_pages": _read("/sys/kernel/mm/transparent_hugepage/enabled"),
        "num_numa_nodes": len(list(Path("/sys/devices/system/node").glob("node[0-9]*"))) or None,
        "io_uring": io_uring_enabled(),
        "disk": block_device(here),
        "gpu": gpu,
        "hashing_kernels": {"cpu": kernel("cpu"), "cuda": kernel("cuda") if has_gpu else None},
        "libraries": {name: _version_of(name) for name in LIBRARIES},
    }
