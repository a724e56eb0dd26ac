"""S3-FIFO simulated exactly, one access at a time (Yang, Zhang, Qiu, Yue, Rashmi, SOSP'23).

Three queues, first in first out: *small* takes new rows, a tenth of the capacity; *main* has the
rest; *ghost* remembers ids of rows that left small, the last so many as main may hold. Hits count
up to 3. A row that leaves small with two hits or more moves to main, its count cleared; else only
its id stays. A row at the end of main goes round again while it has hits, one fewer each time. A
miss whose id is in ghost enters main.
"""

import numpy as np
from numpy.typing import NDArray

from engramctl.caches.sampling import row_hash, sample
from engramctl.runtime.kernel_cache import compiled

MAX_HITS = 3
PROMOTE_HITS = 2
_SMALL, _MAIN, _GHOST = 1, 2, 3
# What `state` holds: first place and length of each queue, misses, ids ever put in ghost, entries.
_SMALL_AT, _SMALL_LEN, _MAIN_AT, _MAIN_LEN, _MISSES, _PUT, _FREE = range(7)


def queue_sizes(capacity: int) -> tuple[int, int]:
    """Return the rows that small and main should hold.

    Example:
        >>> queue_sizes(100), queue_sizes(1)
        ((10, 90), (1, 0))
    """
    small = max(1, capacity // 10)
    return small, capacity - small


@compiled
def _find(buckets: NDArray[np.int32], table: NDArray[np.int64], row: np.int64) -> np.int64:
    """Return the entry of a row, or -1."""
    entry = np.int64(buckets[row_hash(row) & np.uint64(len(buckets) - 1)])
    while entry >= 0 and table[entry, 0] != row:
        entry = table[entry, 1]
    return entry


@compiled
def _forget(buckets: NDArray[np.int32], table: NDArray[np.int64], entry: np.int64) -> None:
    """Take an entry out of its bucket's chain."""
    bucket = row_hash(table[entry, 0]) & np.uint64(len(buckets) - 1)
    here = np.int64(buckets[bucket])
    if here == entry:
        buckets[bucket] = table[entry, 1]
        return
    while table[here, 1] != entry:
        here = table[here, 1]
    table[here, 1] = table[entry, 1]


@compiled
def _evict_main(
    buckets: NDArray[np.int32],
    table: NDArray[np.int64],
    main: NDArray[np.int32],
    free: NDArray[np.int32],
    state: NDArray[np.int64],
) -> None:
    """Drop the first row of main that has no hits left; others go round."""
    while state[_MAIN_LEN] > 0:
        at = state[_MAIN_AT]
        entry = np.int64(main[at])
        state[_MAIN_AT] = (at + 1) % len(main)
        if table[entry, 3] == 0:
            state[_MAIN_LEN] -= 1
            _forget(buckets, table, entry)
            free[state[_FREE]] = entry
            state[_FREE] += 1
            return
        table[entry, 3] -= 1
        main[(at + state[_MAIN_LEN]) % len(main)] = entry


@compiled
def _evict_small(
    buckets: NDArray[np.int32],
    table: NDArray[np.int64],
    small: NDArray[np.int32],
    main: NDArray[np.int32],
    ghost: NDArray[np.int32],
    free: NDArray[np.int32],
    state: NDArray[np.int64],
    main_rows: int,
) -> None:
    """Drop the first row of small that was not hit twice; its id goes to ghost."""
    while state[_SMALL_LEN] > 0:
        entry = np.int64(small[state[_SMALL_AT]])
        state[_SMALL_AT] = (state[_SMALL_AT] + 1) % len(small)
        state[_SMALL_LEN] -= 1
        if table[entry, 3] >= PROMOTE_HITS:
            if state[_MAIN_LEN] >= main_rows:
                _evict_main(buckets, table, main, free, state)
            table[entry, 2], table[entry, 3] = _MAIN, 0
            main[(state[_MAIN_AT] + state[_MAIN_LEN]) % len(main)] = entry
            state[_MAIN_LEN] += 1
            continue
        place = state[_PUT] % len(ghost)
        oldest = np.int64(ghost[place])
        if oldest >= 0 and table[oldest, 2] == _GHOST and table[oldest, 3] == place:
            _forget(buckets, table, oldest)
            table[oldest, 2] = 0
            free[state[_FREE]] = oldest
            state[_FREE] += 1
        table[entry, 2], table[entry, 3] = _GHOST, place
        ghost[place] = entry
        state[_PUT] += 1
        return


@compiled
def _access(
    rows: NDArray[np.int64],
    buckets: NDArray[np.int32],
    table: NDArray[np.int64],
    small: NDArray[np.int32],
    main: NDArray[np.int32],
    ghost: NDArray[np.int32],
    free: NDArray[np.int32],
    state: NDArray[np.int64],
    small_rows: int,
    main_rows: int,
) -> None:
    """Take accesses.

    Args:
        rows: row ids.
        buckets: first entry of each hash chain, or -1; a power of two.
        table: an entry's row, next entry of its chain, queue, and hits (in ghost: its place).
        small: a ring of entries.
        main: another.
        ghost: another.
        free: entries not in use, a stack.
        state: see the names above.
        small_rows: what small should hold.
        main_rows: what main should hold.
    """
    for row in rows:
        entry = _find(buckets, table, row)
        if entry >= 0 and table[entry, 2] != _GHOST:
            table[entry, 3] = min(table[entry, 3] + 1, MAX_HITS)
            continue
        state[_MISSES] += 1
        known = entry >= 0
        if known:  # it is no ghost any more, whatever making room does
            table[entry, 2], table[entry, 3] = _MAIN, 0
        while state[_SMALL_LEN] + state[_MAIN_LEN] >= small_rows + main_rows:
            if state[_SMALL_LEN] >= small_rows:
                _evict_small(buckets, table, small, main, ghost, free, state, main_rows)
            else:
                _evict_main(buckets, table, main, free, state)
        if known:
            main[(state[_MAIN_AT] + state[_MAIN_LEN]) % len(main)] = entry
            state[_MAIN_LEN] += 1
            continue
        state[_FREE] -= 1
        entry = np.int64(free[state[_FREE]])
        bucket = row_hash(row) & np.uint64(len(buckets) - 1)
        table[entry, 0], table[entry, 1] = row, buckets[bucket]
        table[entry, 2], table[entry, 3] = _SMALL, 0
        buckets[bucket] = entry
        small[(state[_SMALL_AT] + state[_SMALL_LEN]) % len(small)] = entry
        state[_SMALL_LEN] += 1


class S3Fifo:
    """One cache of `capacity` rows; about 100 bytes a row and nothing that grows with the trace.

    Example:
        >>> cache = S3Fifo(2)
        >>> cache.add(np.array([5, 6, 5, 5, 7, 5]))
        >>> cache.misses, cache.rows
        (3, 2)
    """

    def __init__(self, capacity: int) -> None:
        """Begin empty."""
        assert capacity >= 1
        self._small_rows, self._main_rows = queue_sizes(capacity)
        ghosts = max(1, self._main_rows)
        entries = capacity + ghosts + 2
        self._table = np.zeros((entries, 4), np.int64)
        self._buckets = np.full(1 << entries.bit_length(), -1, np.int32)
        self._small, self._main = (np.empty(capacity + 1, np.int32) for _ in range(2))
        self._ghost = np.full(ghosts, -1, np.int32)
        self._free = np.arange(entries, dtype=np.int32)[::-1].copy()
        self._state = np.zeros(7, np.int64)
        self._state[_FREE] = entries

    @property
    def misses(self) -> int:
        """Accesses that found their row in neither small nor main."""
        return int(self._state[_MISSES])

    @property
    def rows(self) -> int:
        """Rows held now."""
        return int(self._state[_SMALL_LEN] + self._state[_MAIN_LEN])

    def add(self, rows: NDArray[np.int64]) -> None:
        """Take in the next accesses, int64 (N,)."""
        _access(
            rows, self._buckets, self._table, self._small, self._main, self._ghost, self._free,
            self._state, self._small_rows, self._main_rows,
        )  # fmt: skip


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
