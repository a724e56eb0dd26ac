"""Distinct n-grams in chunks of a trace: the share of reads that a batch must really make.

One table of last positions serves chunks of all sizes: an n-gram is the first of its kind in a
chunk when its last position lies before the chunk. Sizes divide the largest, so that the table is
forgotten whenever a largest chunk begins. Keys are compared whole: the numbers are exact.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from engramctl.runtime.fmix64 import fmix64
from engramctl.runtime.kernel_cache import compiled

CHUNK_TOKENS = (512, 1024, 2048, 4096, 8192, 16_384, 32_768)
DEDUP_TOKENS = 2048  # the chunk in which a dictionary's reads are counted
_U1 = np.uint64(1)
_SLOTS = 4 * CHUNK_TOKENS[-1]


@compiled
def key_hash(low: np.uint64, high: np.uint64) -> np.uint64:
    """Return a 64-bit hash of an n-gram key."""
    return fmix64(low ^ fmix64(high + np.uint64(0x9E3779B97F4A7C15)))


@compiled
def _mark(
    keys: NDArray[np.uint64],
    table: NDArray[np.uint64],
    last: NDArray[np.int64],
    position: int,
    sizes: NDArray[np.int64],
    running: NDArray[np.int64],
    totals: NDArray[np.int64],
    marked: int,
    first: NDArray[np.bool_],
) -> None:
    """Count distinct keys of one order in whole chunks, and mark the first of each.

    Args:
        keys: uint64 (T, 2).
        table: keys met in this largest chunk, uint64 (slots, 2).
        last: their last positions; a slot is free when that lies before the largest chunk.
        position: of the first key in the trace.
        sizes: of chunks, ascending; each divides the last.
        running: distinct keys of the chunk under way, a size; moved on.
        totals: int64 (sizes, 2): distinct keys and positions of whole chunks; added to.
        marked: the size whose firsts are marked.
        first: whether a key is the first of its kind in its chunk of that size; written.
    """
    mask = np.uint64(len(table) - 1)
    largest = sizes[-1]
    for index in range(len(keys)):
        now = position + index
        begin = now - now % largest
        low, high = keys[index, 0], keys[index, 1]
        slot = key_hash(low, high) & mask
        while last[slot] >= begin and (table[slot, 0] != low or table[slot, 1] != high):
            slot = (slot + _U1) & mask
        before = last[slot] if last[slot] >= begin else np.int64(-1)
        table[slot, 0], table[slot, 1] = low, high
        last[slot] = now
        for number in range(len(sizes)):
            size = sizes[number]
            is_first = before < now - now % size
            running[number] += is_first
            if number == marked:
                first[index] = is_first
            if (now + 1) % size == 0:
                totals[number, 0] += running[number]
                totals[number, 1] += size
                running[number] = 0


class UniqueShares:
    """Distinct over all n-grams, by order and size of chunk, of a trace that comes in pieces."""

    def __init__(self, orders: tuple[int, ...]) -> None:
        """Begin at position 0."""
        self._orders = orders
        self._sizes = np.array(CHUNK_TOKENS, np.int64)
        self._tables = [np.zeros((_SLOTS, 2), np.uint64) for _ in orders]
        self._last = [np.full(_SLOTS, -1, np.int64) for _ in orders]
        self._running = np.zeros((len(orders), len(CHUNK_TOKENS)), np.int64)
        self._totals = np.zeros((len(orders), len(CHUNK_TOKENS), 2), np.int64)
        self._position = 0

    def add(self, keys: NDArray[np.uint64]) -> NDArray[np.bool_]:
        """Take in the next positions.

        Args:
            keys: exact n-gram keys, uint64 (T, orders, 2).

        Returns:
            bool (orders, T): the first of its kind in its chunk of `DEDUP_TOKENS`.
        """
        first = np.empty((len(self._orders), len(keys)), np.bool_)
        marked = CHUNK_TOKENS.index(DEDUP_TOKENS)
        for number in range(len(self._orders)):
            _mark(
                keys[:, number], self._tables[number], self._last[number], self._position,
                self._sizes, self._running[number], self._totals[number], marked, first[number],
            )  # fmt: skip
        self._position += len(keys)
        return first

    def document(self) -> list[dict[str, Any]]:
        """Return order, chunk_tokens, distinct, total and share; sizes no chunk filled left out."""
        return [
            {
                "order": order,
                "chunk_tokens": size,
                "distinct": int(distinct),
                "total": int(total),
                "share": int(distinct) / int(total),
            }
            for order, rows in zip(self._orders, self._totals, strict=True)
            for size, (distinct, total) in zip(CHUNK_TOKENS, rows, strict=True)
            if total
        ]
