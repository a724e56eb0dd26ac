"""LRU stack distances, exact, in memory that grows with distinct rows, not with the trace.

The stack distance of an access is the number of distinct rows since the last access to its row; an
LRU cache of C rows hits when it is below C (Mattson et al., 1970). A Fenwick tree over time counts
the last accesses that lie after a point. When time runs out, live rows are renumbered from 0.
"""

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from engramctl.caches.sampling import row_hash, sample, threshold
from engramctl.runtime.kernel_cache import compiled

_U1, _U32 = np.uint64(1), np.uint64(32)
_HASH = np.uint64(0x9E3779B97F4A7C15)
_FIRST_TIMES = 1 << 10


@compiled
def find_slot(keys: NDArray[np.int64], key: np.int64, shift: np.uint64) -> np.uint64:
    """Return where a key (not 0) is in an open-addressing table, or the free slot for it."""
    last = np.uint64(len(keys) - 1)
    word = np.uint64(key)
    slot = ((word ^ (word >> _U32)) * _HASH) >> shift
    while keys[slot] != 0 and keys[slot] != key:
        slot = (slot + _U1) & last
    return slot


@compiled
def _access(
    rows: NDArray[np.int64],
    keys: NDArray[np.int64],
    last: NDArray[np.int64],
    shift: np.uint64,
    tree: NDArray[np.int32],
    at_time: NDArray[np.int64],
    histogram: NDArray[np.float64],
    counts: NDArray[np.int64],
    most: int,
    depth: int,
) -> int:
    """Take accesses until time runs out or `most` rows live; returns how many were taken.

    Args:
        rows: row ids.
        keys: an open-addressing table of row + 1.
        last: time of its last access.
        shift: 64 - log2 of the table's size.
        tree: Fenwick tree over times, 1 for each time that is the last of its row.
        at_time: row + 1 whose last access a time is, else 0.
        histogram: accesses by stack distance; added to.
        counts: now, rows that live, first accesses, a time before which none live; moved on.
        most: a first access to a further row is not taken.
        depth: beyond so many live rows the one not used for longest is forgotten.
    """
    now, live, first, oldest = counts[0], counts[1], counts[2], counts[3]
    size = len(at_time)
    taken = 0
    for row in rows:
        key = row + 1
        slot = find_slot(keys, key, shift)
        before = last[slot]  # of a row that was forgotten, another row's time or nobody's
        is_first = keys[slot] == 0 or at_time[before] != key
        if now == size or (is_first and live == most):
            break
        if is_first:
            keys[slot] = key
            live += 1
            first += 1
        else:
            distance = live
            index = before + 1
            while index > 0:
                distance -= tree[index]
                index &= index - 1
            histogram[distance] += 1
            at_time[before] = 0
            index = before + 1
            while index <= size:
                tree[index] -= 1
                index += index & -index
        last[slot] = now
        at_time[now] = key
        index = now + 1
        while index <= size:
            tree[index] += 1
            index += index & -index
        now += 1
        taken += 1
        if live > depth:
            while at_time[oldest] == 0:
                oldest += 1
            at_time[oldest] = 0
            index = oldest + 1
            while index <= size:
                tree[index] -= 1
                index += index & -index
            live -= 1
    counts[0], counts[1], counts[2], counts[3] = now, live, first, oldest
    return taken


@compiled
def _renumber(
    old: NDArray[np.int64],
    highest: np.uint64,
    keys: NDArray[np.int64],
    last: NDArray[np.int64],
    shift: np.uint64,
    tree: NDArray[np.int32],
    at_time: NDArray[np.int64],
) -> int:
    """Fill empty arrays with the live rows whose hash is at most `highest`; returns how many."""
    now = 0
    for key in old:
        if key != 0 and row_hash(key - 1) <= highest:
            slot = find_slot(keys, key, shift)
            keys[slot] = key
            last[slot] = now
            at_time[now] = key
            now += 1
    for index in range(1, len(tree)):
        if index <= now:
            tree[index] += 1
        above = index + (index & -index)
        if above < len(tree):
            tree[above] += tree[index]
    return now


class StackDistances:
    """The histogram of stack distances of a trace that comes in pieces.

    Args of the constructor: `rate`, the share of rows that is sampled (1: exact); `max_rows`, rows
    kept at most: when there are more, the rate is halved (fixed-size SHARDS); `depth`, sampled rows
    on the stack, when larger caches are of no interest. How the trace is cut changes no result.

    Example:
        >>> lru = StackDistances()
        >>> lru.add(np.array([5, 6, 5, 5, 7, 6]))
        >>> [round(lru.hit_rate(size), 3) for size in (1, 2, 3)]
        [0.167, 0.333, 0.5]
    """

    def __init__(
        self, rate: float = 1.0, max_rows: int | None = None, depth: int | None = None
    ) -> None:
        """Begin with an empty cache."""
        self.rate = rate
        self.accesses = 0
        self._most = max_rows or 1 << 62
        self._depth = depth or 1 << 62
        self._counts = np.zeros(4, np.int64)
        self._first = 0.0  # first accesses that `_counts` no longer holds
        self._allocate(_FIRST_TIMES)
        self._histogram = np.zeros(_FIRST_TIMES, np.float64)

    @property
    def first_accesses(self) -> float:
        """Accesses in the sample to rows never seen before, or forgotten."""
        return self._first + float(self._counts[2])

    def add(self, rows: NDArray[np.int64]) -> None:
        """Take in the next accesses, int64 (N,)."""
        self.accesses += len(rows)
        rows = sample(rows, self.rate)
        while len(rows):
            taken = _access(
                rows, self._keys, self._last, self._shift, self._tree, self._at_time,
                self._histogram, self._counts, self._most, self._depth,
            )  # fmt: skip
            rows = rows[taken:]
            if not len(rows):
                break
            if self._counts[0] < len(self._at_time):
                self._halve()
                rows = sample(rows, self.rate)
            else:
                self._renumber()

    def hit_rate(self, cache_rows: int) -> float:
        """Return the share of accesses that an LRU cache of this many rows hits, 0 to 1.

        With a depth, the cache may not be larger than `depth / rate`.
        """
        expected = self.rate * self.accesses
        if not expected:
            return 0.0
        size = self.rate * cache_rows
        whole = min(int(size), len(self._histogram) - 1)
        misses = self._histogram[whole:].sum() + self.first_accesses
        misses -= min(size - whole, 1.0) * self._histogram[whole]
        return float(min(1.0, max(0.0, 1 - misses / expected)))

    def hit_rates(self, sizes: Iterable[int]) -> dict[int, float]:
        """Return `hit_rate` of each cache size."""
        return {size: self.hit_rate(size) for size in sizes}

    def _allocate(self, times: int) -> None:
        self._keys = np.zeros(times, np.int64)
        self._last = np.zeros(times, np.int64)
        self._shift = np.uint64(65 - times.bit_length())
        self._tree = np.zeros(times // 2 + 1, np.int32)
        self._at_time = np.zeros(times // 2, np.int64)

    def _renumber(self) -> None:
        """Number live rows anew, with at least as much time to come as there are rows."""
        old, live = self._at_time, int(self._counts[1])
        times = len(self._keys)
        while live > times // 4:
            times *= 2
        self._allocate(times)
        kept = _renumber(
            old, threshold(self.rate), self._keys, self._last, self._shift, self._tree,
            self._at_time,
        )  # fmt: skip
        self._counts[:2] = kept
        self._counts[3] = 0
        more = len(self._at_time) - len(self._histogram)
        if more > 0:
            self._histogram = np.concatenate([self._histogram, np.zeros(more)])

    def _halve(self) -> None:
        """Sample half as many rows: what was counted weighs half, at half the distance."""
        self.rate /= 2
        self._first = self.first_accesses / 2
        self._counts[2] = 0
        halved = np.zeros_like(self._histogram)
        halved[: len(halved) // 2] = (self._histogram[::2] + self._histogram[1::2]) / 2
        self._histogram = halved
        self._renumber()
