"""One chunk -> records by partition; one partition -> its rows. Pure: no files, no threads.

The two steps every engine runs: `partition_chunk` on any pieces of the corpus, in any order, and
`count_partition` on all records of one partition. The partition number is the shuffle key.
"""

from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from engramctl.counting import hash_counter as table
from engramctl.counting import levels
from engramctl.counting import records as kernels
from engramctl.counting.chunks import Chunk
from engramctl.counting.keys import BUCKET_BITS, KeyLayout, Words

FEWEST_SLOTS = 1 << 10
MOST_SLOTS = 1 << 21  # of 16 bytes, or 24: above, a partition is counted in ranges
Bound = tuple[int, ...] | None
Records = Callable[[], Iterable[NDArray[np.uint64]]]


@dataclass(frozen=True)
class Rows:
    """N-grams of one order, in the order of the result.

    Attributes:
        ids: uint32 (rows, order).
        counts: uint64 (rows,).
        distinct: n-grams before pruning.
        occurrences: sum of their counts.
    """

    ids: NDArray[np.uint32]
    counts: NDArray[np.uint64]
    distinct: int
    occurrences: int

    def pruned(self, min_count: int) -> "Rows":
        """Return the rows with at least `min_count`."""
        if min_count <= 1:
            return self
        keep = self.counts >= np.uint64(min_count)
        return Rows(self.ids[keep], self.counts[keep], self.distinct, self.occurrences)


def partition_chunk(
    chunk: Chunk, layout: KeyLayout
) -> tuple[NDArray[np.uint64], NDArray[np.uint32]]:
    """Return the records of the n-grams that begin in a chunk, by partition.

    Args:
        chunk: fewer than 2^32 tokens.
        layout: how records are packed.

    Returns:
        records, uint64 flat; and bounds, uint32 (partitions + 1,): partition p is the records
        `bounds[p]` to `bounds[p + 1]`.
    """
    end_id, low_bits = np.uint64(layout.end_id), np.uint64(BUCKET_BITS - layout.partition_bits)
    windows = (chunk.ids, chunk.offsets, chunk.tail)
    sizes = np.zeros(1 << layout.partition_bits, np.int64)
    kernels.histogram(*windows, end_id, low_bits, sizes)
    bounds = np.zeros(len(sizes) + 1, np.int64)
    np.cumsum(sizes, out=bounds[1:])
    records = np.empty(int(bounds[-1]) * layout.record_words, np.uint64)
    kernels.scatter(
        *windows,
        (0,) * layout.order,
        end_id,
        low_bits,
        np.uint64(layout.id_bits),
        (0,) * layout.record_words,
        bounds[:-1].copy(),
        records,
    )
    return records, bounds.astype(np.uint32)


def count_partition(
    records: Records,
    layout: KeyLayout,
    number: int,
    orders: Collection[int],
    *,
    min_count: int = 1,
    expected: int = 0,
    most_slots: int = MOST_SLOTS,
) -> Iterator[dict[int, Rows]]:
    """Count the records of one partition; give its rows of every order, ascending.

    Almost always one dict comes. A partition with more distinct records than a table may have slots
    is counted in ranges, with one pass over the records for each: more dicts, bounded memory.

    Args:
        records: gives all records of the partition anew each time it is called, in any pieces.
        layout: how they are packed.
        number: the partition.
        orders: orders to give, up to `layout.order`. Rows of order 1 are parts: an id may come in
            several partitions (`engramctl.counting.unigrams` adds them up).
        min_count: n-grams that occur less often are left out, but for order 1.
        expected: about how many distinct records there are; 0: unknown.
        most_slots: as many slots as a table may have, a power of two.
    """
    words = (0,) * layout.record_words
    counted = _tables(records, words, expected, most_slots, (None, None))
    steps = _Levels(layout, number, orders, min_count)
    ready = next(counted)
    for following in counted:
        yield steps.add(*ready, last=False)
        ready = following
    yield steps.add(*ready, last=True)


def _tables(
    records: Records, words: Words, expected: int, most_slots: int, bounds: tuple[Bound, Bound]
) -> Iterator[tuple[NDArray[np.uint64], int]]:
    """Give tables of the records in `bounds` and their slots taken, of ascending ranges."""
    slots = min(FEWEST_SLOTS, most_slots)
    while slots < min(most_slots, expected * 3 // 2):
        slots *= 2
    width = len(words) + 1
    counts = np.zeros(slots * width, np.uint64)
    used = 0
    for piece in records():
        rest = _between(piece, words, *bounds)
        while len(rest):
            done, used = table.count(rest, words, counts, used)
            rest = rest[done:]
            if not len(rest):
                break
            if 2 * slots > most_slots:
                middle = _median(counts, words, used)
                del counts
                yield from _tables(records, words, expected, most_slots, (bounds[0], middle))
                yield from _tables(records, words, expected, most_slots, (middle, bounds[1]))
                return
            slots *= 2
            larger = np.zeros(slots * width, np.uint64)
            table.move(counts, larger, words)
            counts = larger
    yield counts, used


def _between(
    records: NDArray[np.uint64], words: Words, low: Bound, high: Bound
) -> NDArray[np.uint64]:
    """Return the records from `low` to before `high`."""
    if low is None and high is None:
        return records
    columns = records.reshape(-1, len(words))
    keep = np.ones(len(columns), bool)
    if low is not None:
        keep &= ~_below(columns, low)
    if high is not None:
        keep &= _below(columns, high)
    return columns[keep].reshape(-1)


def _below(columns: NDArray[np.uint64], bound: tuple[int, ...]) -> NDArray[np.bool_]:
    words = [np.uint64(word) for word in bound]
    below: NDArray[np.bool_] = columns[:, -1] < words[-1]
    if len(words) == 2:
        below = (columns[:, 0] < words[0]) | ((columns[:, 0] == words[0]) & below)
    return below


def _median(counts: NDArray[np.uint64], words: Words, used: int) -> tuple[int, ...]:
    rows = np.empty((used + 1, len(words) + 1), np.uint64)
    rows = rows[: table.taken(counts, words, np.uint64(1), rows)]
    rows = table.sort_rows(rows, words, 64 * len(words), np.empty_like(rows))
    return tuple(int(word) for word in rows[len(rows) // 2, : len(words)])


class _Levels:
    """From the tables of one partition to rows, longest order first."""

    def __init__(
        self, layout: KeyLayout, number: int, orders: Collection[int], min_count: int
    ) -> None:
        self._layout = layout
        self._words = (0,) * layout.record_words
        self._orders = frozenset(orders)
        self._minimum = np.uint64(min_count)
        self._place = (
            np.uint64(number),
            np.uint64(BUCKET_BITS - layout.partition_bits),
            np.uint64(layout.id_bits),
        )
        self._held: dict[int, NDArray[np.uint64]] = {}

    def add(self, counts: NDArray[np.uint64], used: int, *, last: bool) -> dict[int, Rows]:
        """Return the rows that a table completes.

        Args:
            counts: a table; its records are above those of the tables before.
            used: its slots taken.
            last: no table follows. If one does, the last row of each shorter order waits for it.
        """
        order = self._layout.order
        facts = None
        least = np.uint64(1)
        if self._orders == {order}:  # then what is not kept need not be sorted
            facts = self._tally(counts.reshape(-1, len(self._words) + 1), order)
            least = self._minimum
        rows = np.empty((used + 1, len(self._words) + 1), np.uint64)
        rows = rows[: table.taken(counts, self._words, least, rows)]
        rows = table.sort_rows(rows, self._words, self._layout.record_bits, np.empty_like(rows))
        done = {order: self._rows(rows, order, facts)} if order in self._orders else {}
        while order > min(self._orders):
            order -= 1
            rows = self._shorter(rows, order, last=last)
            if order in self._orders:
                done[order] = self._rows(rows, order)
        return done

    def _shorter(self, rows: NDArray[np.uint64], order: int, *, last: bool) -> NDArray[np.uint64]:
        id_bits = self._layout.id_bits
        bits = id_bits if order > 1 else max(0, id_bits - BUCKET_BITS)
        rows = rows[: levels.fold(rows, self._words, np.uint64(bits))]
        held = self._held.pop(order, None)
        if held is not None:
            rows = np.concatenate([held, rows])
            rows = rows[: levels.fold(rows, self._words, np.uint64(0))]
        if not last and len(rows):
            self._held[order] = rows[-1:].copy()
            rows = rows[:-1]
        return rows

    def _tally(self, rows: NDArray[np.uint64], order: int) -> tuple[int, int, int]:
        end_id = np.uint64(self._layout.end_id)
        return levels.tally(rows, self._words, order, end_id, *self._place, self._minimum)

    def _rows(
        self, rows: NDArray[np.uint64], order: int, facts: tuple[int, int, int] | None = None
    ) -> Rows:
        if order == 1:
            mask = np.uint64((1 << self._layout.id_bits) - 1)
            ids = (rows[:, -2] & mask).astype(np.uint32).reshape(-1, 1)
            counts = rows[:, -1].copy()
            return Rows(ids, counts, len(ids), int(counts.sum()))
        distinct, kept, occurrences = facts or self._tally(rows, order)
        ids = np.empty((kept, order), np.uint32)
        counts = np.empty(kept, np.uint64)
        end_id = np.uint64(self._layout.end_id)
        levels.emit(rows, self._words, order, end_id, *self._place, self._minimum, ids, counts)
        return Rows(ids, counts, distinct, occurrences)
