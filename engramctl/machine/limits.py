"""What confines this process: processors, memory, io_uring. Each is tried or read, not guessed."""

import os
from pathlib import Path
from typing import Any

import numpy as np

from engramctl.errors import StorageError
from engramctl.memory import available_bytes, limit_bytes
from engramctl.processors import cpu_quota
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
        "cpu_quota": cpu_quota(root),
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
