"""Memory of a fixed size for pages on their way: what bounds a store that reads past the cache."""

import contextlib
import mmap
import threading

import numpy as np
from numpy.typing import NDArray

from engramctl.runtime.threads import renew_in_children
from engramctl.storage.memory.reserved import reserved

PAGE = mmap.PAGESIZE
_DONTFORK = 10
_HUGEPAGE = 14
_inherited: list[mmap.mmap] = []  # a forked child does not have them: freeing one unmaps another


class Runs:
    """Which of so many pages are free, in runs; safe from several threads.

    Attributes:
        lock: held while runs change hands; not to be taken by what a collector may run.
    """

    def __init__(self, num_pages: int) -> None:
        """All of them are."""
        self.lock = threading.Lock()
        self._free = [(0, num_pages)]  # first page and pages of each run, ascending, none touching

    @property
    def free_pages(self) -> int:
        """Pages nobody has."""
        return sum(count for _, count in self._free)

    def take(self, num_pages: int) -> int | None:
        """Return the first page of a run that is the caller's now; None: there is none so long."""
        with self.lock:
            for index, (first, count) in enumerate(self._free):
                if count >= num_pages:
                    rest = [(first + num_pages, count - num_pages)] if count > num_pages else []
                    self._free[index : index + 1] = rest
                    return first
        return None

    def give(self, first: int, num_pages: int) -> None:
        """Take a run back."""
        with self.lock:
            self._free.append((first, num_pages))
            self._free.sort()
            joined: list[tuple[int, int]] = []
            for start, count in self._free:
                if joined and sum(joined[-1]) == start:
                    joined[-1] = (joined[-1][0], joined[-1][1] + count)
                else:
                    joined.append((start, count))
            self._free = [run for run in joined if run[1]]


class Slab(Runs):
    """Memory of pages, taken and given back in runs; safe from several threads.

    Nothing is taken from the system until a page is written to. A forked child does not inherit it.

    Attributes:
        memory: uint8, all of it.
        address: of its first byte; whole pages from there.
    """

    def __init__(self, num_pages: int) -> None:
        """Reserve the addresses.

        Raises:
            StorageError: the system does not give so many.
        """
        super().__init__(num_pages)
        hint = "give a smaller budget or row cache"
        self._map = reserved(num_pages * PAGE, "rows from disk", hint)
        self._map.madvise(_DONTFORK)
        self.memory: NDArray[np.uint8] = np.frombuffer(self._map, np.uint8)
        self.address: int = self.memory.ctypes.data
        renew_in_children(self)

    def prefer_huge_pages(self) -> None:
        """Ask for huge pages where there are any: random rows of many pages miss the TLB."""
        with contextlib.suppress(OSError):
            self._map.madvise(_HUGEPAGE)

    def renew(self) -> None:
        """Keep the addresses for ever in a forked child: something else may be mapped there."""
        _inherited.append(self._map)

    def at(self, page: int) -> int:
        """Return the address of a page."""
        return self.address + page * PAGE

    def words(self, page: int, num_pages: int) -> NDArray[np.int64]:
        """Return a run of pages as int64; the slab lives as long as it."""
        return self.bytes(page, num_pages).view(np.int64)

    def bytes(self, page: int, num_pages: int) -> NDArray[np.uint8]:
        """Return a run of pages; the slab lives as long as it."""
        return self.memory[page * PAGE : (page + num_pages) * PAGE]
