"""The best fixed set of rows for a text, chosen from that very text.

No set chosen beforehand serves more. A cache that replaces rows may: text repeats itself in bursts.
(So this is not Belady's MIN, the bound for caches that do.) Rows are sampled where there are many.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from engramctl.caches.sampling import sample
from engramctl.caches.stack import find_slot
from engramctl.runtime.kernel_cache import compiled

_FIRST_SLOTS = 1 << 12


@compiled
def _count(
    rows: NDArray[np.int64],
    keys: NDArray[np.int64],
    counts: NDArray[np.int64],
    shift: np.uint64,
    used: int,
) -> tuple[int, int]:
    """Count rows until the table is half full; returns how many were taken, and slots used."""
    taken = 0
    for row in rows:
        slot = find_slot(keys, row + 1, shift)
        if keys[slot] == 0:
            if 2 * used >= len(keys):
                break
            keys[slot] = row + 1
            used += 1
        counts[slot] += 1
        taken += 1
    return taken, used


@compiled
def _refill(
    old: NDArray[np.int64],
    old_counts: NDArray[np.int64],
    keys: NDArray[np.int64],
    counts: NDArray[np.int64],
    shift: np.uint64,
) -> None:
    """Move a table into a larger, empty one."""
    for index in range(len(old)):
        if old[index] != 0:
            slot = find_slot(keys, old[index], shift)
            keys[slot] = old[index]
            counts[slot] = old_counts[index]


class RowCounts:
    """Accesses of every row in the sample; the order of a trace does not matter.

    Memory: 32 to 64 bytes a distinct row in the sample.

    Example:
        >>> counts = RowCounts()
        >>> counts.add(np.array([5, 7, 5, 6, 5, 7]))
        >>> counts.best_hit_rates((5, 7), (1, 2))
        {1: 0.75, 2: 1.0}
    """

    def __init__(self, rate: float = 1.0) -> None:
        """Begin at nought; `rate` is the share of rows that is kept."""
        self.rate = rate
        self._keys = np.zeros(_FIRST_SLOTS, np.int64)
        self._counts = np.zeros(_FIRST_SLOTS, np.int64)
        self._used = 0

    def add(self, rows: NDArray[np.int64]) -> None:
        """Take in accesses, int64 (N,)."""
        rows = sample(rows, self.rate)
        while True:
            shift = np.uint64(65 - len(self._keys).bit_length())
            taken, self._used = _count(rows, self._keys, self._counts, shift, self._used)
            rows = rows[taken:]
            if not len(rows):
                return
            keys, counts = (np.zeros(2 * len(self._keys), np.int64) for _ in range(2))
            _refill(self._keys, self._counts, keys, counts, shift - np.uint64(1))
            self._keys, self._counts = keys, counts

    def best_hit_rates(
        self, span: tuple[int, int], sizes: Sequence[int], accesses: int | None = None
    ) -> dict[int, float]:
        """Return the share of accesses that the best fixed set of each size serves, 0 to 1.

        Args:
            span: the rows that count, [start, stop).
            sizes: rows held.
            accesses: in the span; None: those counted (exact where the rate is 1).
        """
        inside = (self._keys > span[0]) & (self._keys <= span[1])
        counts = np.sort(self._counts[inside])[::-1]
        total = int(counts.sum())
        expected = total if accesses is None else self.rate * accesses
        if not expected:
            return dict.fromkeys(sizes, 0.0)
        hits = np.concatenate([[0], np.cumsum(counts)])
        held = [min(len(counts), round(size * self.rate)) for size in sizes]
        rates = np.clip(1 - (total - hits[held]) / expected, 0, 1)
        return dict(zip(sizes, rates.tolist(), strict=True))
