"""A memory cgroup for one process, where one can be made."""

import contextlib
import os
import time
from collections.abc import Iterator
from pathlib import Path


@contextlib.contextmanager
def memory_group() -> Iterator[Path | str]:
    """Give a new group of cgroup v1, empty; or, in words, why there is none.

    A process joins by writing its id to `cgroup.procs`.
    """
    mounted = [line.split() for line in Path("/proc/mounts").read_text().splitlines()]
    roots = [Path(one[1]) for one in mounted if one[2] == "cgroup" and "memory" in one[3]]
    if not roots:
        yield "no memory cgroup of version 1 is mounted"
        return
    with made(roots[0] / f"engramctl-flight-{os.getpid()}") as group:
        yield group


@contextlib.contextmanager
def made(group: Path) -> Iterator[Path | str]:
    """Give a new group, to be removed; or, in words, why there is none."""
    try:
        group.mkdir()
    except OSError as error:
        yield f"cannot be made: {error.strerror}"
        return
    try:
        yield group
    finally:
        remove(group)


def remove(group: Path) -> None:
    """Remove a group whose processes are over; the kernel may take a moment to see that they are.

    What cannot be removed then stays: an empty group costs nothing.
    """
    for _ in range(20):
        try:
            group.rmdir()
        except OSError:
            time.sleep(0.05)
        else:
            return
