"""How many processors this process may use: its affinity, and what cgroups let it have."""

import functools
import math
import os
from pathlib import Path

from engramctl.memory import cgroup_folders, text_or_empty


def usable_processors() -> int:
    """Return how many threads can compute at a time, at least 1.

    The affinity is that of this moment; a quota of cgroups is looked for once.
    """
    quota = _own_quota()
    affinity = len(os.sched_getaffinity(0))
    return affinity if quota is None else max(1, min(affinity, math.ceil(quota)))


def cpu_quota(root: Path = Path("/")) -> float | None:
    """Return the least quota of the cgroups this process is in, in processors; None: there is none.

    Args:
        root: the folder with proc/ and sys/.
    """
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


@functools.cache
def _own_quota() -> float | None:
    return cpu_quota()
