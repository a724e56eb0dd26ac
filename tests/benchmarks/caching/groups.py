"""A memory cgroup whose page cache is held at a size, of version 1 or 2."""

import contextlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.flight.groups import made, memory_group

ROOM = 32 << 20  # above what is wanted, until it is known what else is charged


@dataclass(frozen=True)
class PageGroup:
    """A group and what its files are called.

    Attributes:
        folder: of the group.
        limit_file: where its limit is written.
        usage_file: where all that is charged is read.
        word: the line of `memory.stat` with the bytes of its page cache.
    """

    folder: Path
    limit_file: str
    usage_file: str
    word: str

    def join(self, process: int) -> None:
        """Move a process here; what it holds already stays charged where it was."""
        (self.folder / "cgroup.procs").write_text(str(process))

    @property
    def cached_bytes(self) -> int:
        """Bytes of its page cache."""
        lines = (self.folder / "memory.stat").read_text().splitlines()
        return next(int(line.split()[1]) for line in lines if line.split()[0] == self.word)

    def hold(self, num_bytes: int) -> int:
        """Limit the group so that its page cache has this many bytes at most; returns what it has.

        What else is charged is left out: the process's own memory, and the kernel's for the
        addresses of pages, though that is what the page cache costs beyond its pages.
        """
        cached = self.cached_bytes
        usage = int((self.folder / self.usage_file).read_text())
        room = max(0, usage - cached) if cached > num_bytes // 2 else ROOM
        with contextlib.suppress(OSError):  # busy: it is over the limit, and is asked again
            (self.folder / self.limit_file).write_text(str(num_bytes + room))
        return cached


@contextlib.contextmanager
def page_group() -> Iterator[PageGroup | str]:
    """Give a new group, empty; or, in words, why there is none."""
    with memory_group() as first:
        if isinstance(first, Path):
            yield PageGroup(first, "memory.limit_in_bytes", "memory.usage_in_bytes", "cache")
            return
    mounted = [line.split() for line in Path("/proc/mounts").read_text().splitlines()]
    roots = [Path(one[1]) for one in mounted if one[2] == "cgroup2"]
    controlled = [root for root in roots if "memory" in controllers(root)]
    if not controlled:
        yield f"{first}; nor has one of version 2 the memory controller"
        return
    with made(controlled[0] / f"engramctl-pages-{os.getpid()}") as second:
        if isinstance(second, Path):
            yield PageGroup(second, "memory.max", "memory.current", "file")
        else:
            yield f"{first}; one of version 2 {second}"


def controllers(root: Path) -> list[str]:
    """Return the controllers that groups below a mount have."""
    try:
        return (root / "cgroup.subtree_control").read_text().split()
    except OSError:
        return []
