"""How many tickets read ahead, and the memory of those that are over."""

import threading
from collections import deque

from engramctl.storage.memory.slab import Slab
from engramctl.storage.readers.batch import Pending

Held = tuple[Slab, tuple[tuple[int, int], ...], Pending]
"""A slab, runs of its pages, and what is still read into them."""


class Ahead:
    """Counts tickets that hold memory of a slab; safe from several threads.

    Attributes:
        over: memory of tickets that are over: slab, runs of pages, and what is still read.
    """

    def __init__(self, slab: Slab, most: int) -> None:
        """Count none.

        Args:
            slab: whose pages are held.
            most: that may read ahead at once.
        """
        self._slab, self._most = slab, most
        self._count = 0
        self._lock = threading.Lock()
        self.over: deque[Held] = deque()

    def enter(self) -> bool:
        """Count one more, unless there are too many."""
        with self._lock:
            if self._count >= self._most:
                return False
            self._count += 1
        return True

    def leave(self, slab: Slab, runs: tuple[tuple[int, int], ...]) -> None:
        """Free what one held, and count it off."""
        for first, num_pages in runs:
            slab.give(first, num_pages)
        with self._lock:
            self._count -= 1

    def sweep(self) -> None:
        """Free the memory of tickets that are over, where nothing is read into it any more."""
        for _ in range(len(self.over)):
            try:
                one = self.over.popleft()
            except IndexError:  # another thread sweeps too
                return
            slab, runs, pending = one
            if slab is not self._slab:
                continue
            is_read = True
            try:
                is_read = not pending.over()
            finally:  # an interrupt must not lose it
                if is_read:
                    self.over.append(one)
            if not is_read:
                self.leave(slab, runs)
