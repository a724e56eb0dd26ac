"""Is it really cold? What the kernel says of a file's pages, and a second witness: time.

`mincore` answers "all in memory" for files that the caller neither owns nor may write to (since
Linux 5.2). And a page that is gone from this kernel's memory may still be in that of a hypervisor,
of a loop device's file, or of ZFS: then a "cold" read never reaches a disk, and takes as long.
"""

import mmap
import os
import statistics
import time
from contextlib import ExitStack
from pathlib import Path

import numpy as np

from engramctl.storage.readers.choose import opened_files

PAGE = mmap.PAGESIZE
LEAST_RATIO = 3.0  # of a dropped page's time over a cached one's; both are medians
_PAGES = 24


def cannot_be_known(path: Path) -> str | None:
    """Return why the kernel does not say which pages of a file are in memory; None: it does."""
    if os.geteuid() == 0 or os.stat(path).st_uid == os.geteuid() or os.access(path, os.W_OK):
        return None
    return (
        "the kernel says which pages are in memory only to a file's owner, and to who may write "
        f"to it: {path.name} is another's"
    )


def not_slower_when_dropped(path: Path, *, past_cache: bool = False) -> str | None:
    """Return why a dropped page need not come from a disk; None: it takes several times longer.

    Reads pages at random places one at a time, each after it was dropped, and again.

    Args:
        path: of a file.
        past_cache: its pages are read past the page cache, where that can be: what this process or
            another has mapped and touched cannot be dropped, and need not be.
    """
    times_ns: dict[str, list[int]] = {"dropped": [], "cached": []}
    with ExitStack() as stack:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        stack.callback(os.close, descriptor)
        os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_RANDOM)
        os.fsync(descriptor)
        os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)  # many pages may be one folio
        pages = os.fstat(descriptor).st_size // PAGE
        buffer = mmap.mmap(-1, PAGE)  # aligned, as reads past the page cache must be
        files, _ = opened_files((path,), direct=past_cache)
        stack.callback(files.close)
        readers = {"dropped": int(files.descriptors[0]), "cached": descriptor}
        for page in np.random.default_rng().integers(0, max(1, pages), _PAGES).tolist():
            os.posix_fadvise(descriptor, page * PAGE, PAGE, os.POSIX_FADV_DONTNEED)
            if files.direct:
                os.preadv(descriptor, [buffer], page * PAGE)  # so that the second one is cached
            for state, reader in readers.items():
                started = time.perf_counter_ns()
                os.preadv(reader, [buffer], page * PAGE)
                times_ns[state].append(time.perf_counter_ns() - started)
    dropped, cached = (statistics.median(times_ns[state]) for state in ("dropped", "cached"))
    if dropped >= LEAST_RATIO * cached:
        return None
    return (
        f"a page that was dropped is read in {dropped / 1e3:.3g} us, a cached one in "
        f"{cached / 1e3:.3g} us: something below keeps it in memory"
    )


def mapped_by(path: Path, proc: Path = Path("/proc")) -> list[str]:
    """Name the other processes that map a file: pages they have touched cannot be dropped.

    Args:
        path: the file.
        proc: the folder of processes.

    Returns:
        "NAME (process N)" of each that may be looked at.
    """
    found = []
    target = os.fsencode(path.resolve())
    for process in proc.iterdir():
        if not process.name.isdigit() or int(process.name) == os.getpid():
            continue
        try:
            if any(line.endswith(target) for line in (process / "maps").read_bytes().split(b"\n")):
                name = (process / "comm").read_text().strip()
                found.append(f"{name} (process {process.name})")
        except OSError:  # it ended, or is another's
            continue
    return sorted(found)
