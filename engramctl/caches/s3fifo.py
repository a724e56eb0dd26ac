"""S3-FIFO simulated exactly, one access at a time, with the queues that the row cache has."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from engramctl.caches.sampling import sample
from engramctl.runtime.kernel_cache import njit
from engramctl.storage.cache.s3fifo import CAPACITY, LEAN, admit, find, place_of, touch
from engramctl.storage.cache.slots import Slots


@njit(**LEAN)
def _access(rows: Any, words: Any, state: Any) -> Any:
    """Take accesses to rows, int64 (N,); returns how many were misses."""
    misses = 0
    for row in rows:
        entry = find(row, words, state)
        if 0 <= entry < state[CAPACITY]:
            touch(place_of(entry, state), words)
        else:
            admit(row, entry, 0, words, state)
            misses += 1
    return misses


class S3Fifo:
    """One cache of `capacity` rows; about 38 bytes a row and nothing that grows with the trace.

    Example:
        >>> cache = S3Fifo(2)
        >>> cache.add(np.array([5, 6, 5, 5, 7, 5]))
        >>> cache.misses, cache.rows
        (3, 2)
    """

    def __init__(self, capacity: int) -> None:
        """Begin empty."""
        assert capacity >= 1
        self._slots = Slots.empty(capacity)
        self.misses = 0  # accesses that found their row in neither small nor main

    @property
    def rows(self) -> int:
        """Rows held now."""
        return self._slots.rows

    def add(self, rows: NDArray[np.int64]) -> None:
        """Take in the next accesses, int64 (N,)."""
        self.misses += _access(rows, self._slots.words, self._slots.state)


class S3Curve:
    """Misses of S3-FIFO caches of many sizes, the large ones in miniature.

    A cache is simulated at the rate 2^-k that leaves it `MINI_ROWS` rows, but not below `rate`
    unless it had more than `MOST_ROWS` rows then. So small caches are exact, and memory has a
    bound: 1 MB a size.
    """

    MINI_ROWS = 512
    MOST_ROWS = 1 << 13

    def __init__(self, sizes: tuple[int, ...], rate: float) -> None:
        """Begin with empty caches; `sizes` ascend, `rate` is a power of two at most 1."""
        self.accesses = 0
        self.rate = rate  # of most caches
        self._caches = []
        for size in sizes:
            own = 1.0
            while own * size >= 2 * self.MINI_ROWS and (own > rate or own * size > self.MOST_ROWS):
                own /= 2
            self._caches.append((size, own, S3Fifo(max(1, round(own * size)))))

    def add(self, rows: NDArray[np.int64]) -> None:
        """Take in the next accesses, int64 (N,)."""
        self.accesses += len(rows)
        held = 1.0
        for _, rate, cache in self._caches:
            if rate < held:
                rows, held = sample(rows, rate), rate
            cache.add(rows)

    def hit_rates(self) -> dict[int, float]:
        """Return the share of accesses hit, 0 to 1, by cache size in rows."""
        return {
            size: min(1.0, max(0.0, 1 - cache.misses / (rate * self.accesses)))
            if self.accesses
            else 0.0
            for size, rate, cache in self._caches
        }
