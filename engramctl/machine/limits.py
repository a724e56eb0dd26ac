"""What confines this process: processors, memory, io_uring. Each is tried or read, not guessed."""

import os
from pathlib import Path
from typing import Any

import numpy as np

from engramctl.errors import StorageError
from engramctl.memory import available_bytes, cgroup_folders, limit_bytes, text_or_empty
from engramctl.storage.readers.ring import Ring


def capture_limits(root: Path = Path("/")) -> dict[str, Any]:
    """Return the limits, for the document of a probe.

    Args:
        root: the folder with proc/ and sys/.

    Returns:
        num_cpus: processors this process may use; cpu_quota: how many of them a cgroup lets it use
        at a time (cpu.max), None without a limit; memory_limit_bytes: the least limit of its
        cgroups (memory.max), None without; memory_available_bytes; io_uring: "works", or why not.
    """
    return {
        "num_cpus": len(os.sched_getaffinity(0)),
        "cpu_quota": _cpu_quota(root),
        "memory_limit_bytes": limit_bytes(root),
        "memory_available_bytes": available_bytes(root),
        "io_uring": _io_uring(),
    }


def _io_uring() -> str:
    try:
        Ring(8, np.empty(0, np.int32)).close()
    except StorageError as error:
        return str(error.facts.get("reason", error.message))
    return "works"


def _cpu_quota(root: Path) -> float | None:
    """Return the least quota of the cgroups this process is in, in processors."""
    quotas = []
    for folder, version in cgroup_folders(root, "cpu"):
        if version == 1:
            words = [
                text_or_empty(folder / f"cpu.cfs_{one}_us").strip() for one in ("quota", "period")
            ]
        else:
            words = text_or_empty(folder / "cpu.max").split()
        if len(words) == 2 and all(word.isdigit() for word in words) and int(words[1]):
            quotas.append(int(words[0]) / int(words[1]))
    return min(quotas, default=None)
