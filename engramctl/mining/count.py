"""One chunk -> records by partition; one partition -> its rows."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from engramctl.mining import kernels
from engramctl.mining.chunks import Chunk
from engramctl.mining.keys import KeyLayout
from engramctl.mining.spill import SpillStore
from engramctl.mining.wide import wide_records, wide_rows

FEWEST_SLOTS = 1 << 10
MOST_FIRST_SLOTS = 1 << 16  # of 16 bytes; a table still grows where it must


@dataclass(frozen=True)
class Rows:
    """The n-grams of one partition that are kept, in the order of the result.

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


def partition_chunk(chunk: Chunk, layout: KeyLayout, store: SpillStore) -> None:
    """Add the records of every n-gram of one chunk to the store (spec/mining.md section 3)."""
    if layout.wide:
        store.add(*wide_records(chunk, layout.order, layout.partition_bits))
        return
    shift = np.uint64(64 - layout.partition_bits)
    window = (chunk.ids, chunk.offsets, chunk.skip, layout.order, shift)
    sizes = np.zeros(1 << layout.partition_bits, np.int64)
    kernels.histogram(*window, sizes)
    bounds = np.zeros(len(sizes) + 1, np.int64)
    np.cumsum(sizes, out=bounds[1:])
    records = np.empty(int(bounds[-1]), np.uint64)
    packing = (np.uint64(layout.id_bits), np.uint64(layout.surplus_bits))
    kernels.scatter(*window, *packing, bounds[:-1].copy(), records)
    store.add(records, bounds)


def count_partition(store: SpillStore, layout: KeyLayout, number: int, min_count: int) -> Rows:
    """Count the records of one partition, prune and sort.

    Args:
        store: the records of this order.
        layout: how they are packed.
        number: the partition.
        min_count: n-grams that occur less often are left out.
    """
    if layout.wide:
        pieces = list(store.partition(number))
        flat = np.concatenate(pieces) if pieces else np.empty(0, np.uint64)
        ids, counts = wide_rows(flat, layout.order)
        keep = counts >= min_count
        return Rows(ids[keep], counts[keep], len(counts), len(flat) // 2)
    table = np.zeros((_first_slots(store.size(number)), 2), np.uint64)
    used = occurrences = 0
    for records in store.partition(number):
        table, used = kernels.count(records, table, used)
        occurrences += len(records)
    mixes, counts = np.empty((2, used), np.uint64)
    ids = np.empty((used, layout.order), np.uint32)
    rows = kernels.give_rows(
        table,
        np.uint64(min_count),
        layout.order,
        np.uint64(layout.id_bits),
        np.uint64(layout.surplus_bits),
        np.uint64(number),
        np.uint64(layout.partition_bits),
        mixes,
        ids,
        counts,
    )
    by_row = _row_order(mixes[:rows], ids[:rows])
    return Rows(ids[by_row], counts[by_row], used, occurrences)


def _first_slots(records: int) -> int:
    """Return a table's first size: most n-grams repeat, and a table in the L2 cache is fastest."""
    return min(max(FEWEST_SLOTS, 1 << records.bit_length()), MOST_FIRST_SLOTS)


def _row_order(mixes: NDArray[np.uint64], ids: NDArray[np.uint32]) -> NDArray[np.intp]:
    """Return what sorts rows by mix, then by token ids (equal mixes are rare)."""
    by_row = np.argsort(mixes)
    ascending = mixes[by_row]
    if np.any(ascending[1:] == ascending[:-1]):
        by_row = np.lexsort((*ids.T[::-1], mixes))
    return by_row
