"""In how many chunks of a text does an n-gram occur? Exact keys, two halves, perhaps a sample."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from engramctl.caches.sampling import threshold
from engramctl.reuse.unique import key_hash
from engramctl.runtime.kernel_cache import compiled

_FIRST_SLOTS = 1 << 12
_U1 = np.uint64(1)


@compiled
def _slot(
    table: NDArray[np.uint64], values: NDArray[np.uint32], low: np.uint64, high: np.uint64,
    hashed: np.uint64,
) -> np.uint64:  # fmt: skip
    """Return where a key is, or the free slot for it: one without values."""
    mask = np.uint64(len(table) - 1)
    slot = hashed & mask
    while (values[slot, 0] != 0 or values[slot, 1] != 0) and (
        table[slot, 0] != low or table[slot, 1] != high
    ):
        slot = (slot + _U1) & mask
    return slot


@compiled
def _count(
    keys: NDArray[np.uint64],
    first: NDArray[np.bool_],
    halves: NDArray[np.uint8],
    highest: np.uint64,
    table: NDArray[np.uint64],
    values: NDArray[np.uint32],
    used: int,
) -> tuple[int, int]:
    """Count marked keys until the table is half full; returns keys taken and slots used."""
    for index in range(len(keys)):
        if first[index]:
            low, high = keys[index, 0], keys[index, 1]
            hashed = key_hash(low, high)
            if hashed <= highest:
                slot = _slot(table, values, low, high, hashed)
                if values[slot, 0] == 0 and values[slot, 1] == 0:
                    if 2 * used >= len(table):
                        return index, used
                    table[slot, 0], table[slot, 1] = low, high
                    used += 1
                values[slot, halves[index]] += np.uint32(1)
    return len(keys), used


@compiled
def _refill(
    old: NDArray[np.uint64],
    old_values: NDArray[np.uint32],
    table: NDArray[np.uint64],
    values: NDArray[np.uint32],
) -> None:
    """Move a table into a larger, empty one."""
    for index in range(len(old)):
        if old_values[index, 0] != 0 or old_values[index, 1] != 0:
            low, high = old[index, 0], old[index, 1]
            slot = _slot(table, values, low, high, key_hash(low, high))
            table[slot, 0], table[slot, 1] = low, high
            values[slot, 0], values[slot, 1] = old_values[index, 0], old_values[index, 1]


@compiled
def _hash_all(table: NDArray[np.uint64], out: NDArray[np.uint64]) -> None:
    for index in range(len(table)):
        out[index] = key_hash(table[index, 0], table[index, 1])


@compiled
def _serve(
    keys: NDArray[np.uint64],
    first: NDArray[np.bool_],
    highest: np.uint64,
    table: NDArray[np.uint64],
    values: NDArray[np.uint32],
    levels: NDArray[np.uint8],
    served: NDArray[np.int64],
) -> None:
    """Add keys, and those marked, to the level at which a dictionary begins to hold them."""
    for index in range(len(keys)):
        low, high = keys[index, 0], keys[index, 1]
        hashed = key_hash(low, high)
        if hashed <= highest:
            slot = _slot(table, values, low, high, hashed)
            level = np.int64(len(served) - 1)
            if values[slot, 0] != 0 or values[slot, 1] != 0:
                level = np.int64(levels[slot])
            served[level, 0] += 1
            served[level, 1] += first[index]


@compiled
def _lacks(
    keys: NDArray[np.uint64],
    highest: np.uint64,
    table: NDArray[np.uint64],
    values: NDArray[np.uint32],
    out: NDArray[np.bool_],
) -> None:
    """Mark keys of the sample that are not in a table."""
    for index in range(len(keys)):
        low, high = keys[index, 0], keys[index, 1]
        hashed = key_hash(low, high)
        out[index] = False
        if hashed <= highest:
            slot = _slot(table, values, low, high, hashed)
            out[index] = values[slot, 0] == 0 and values[slot, 1] == 0


@dataclass(frozen=True)
class Entries:
    """The n-grams of a table, in its own order.

    Attributes:
        slots: where they are in the table, int64 (N,).
        halves: chunks of either half of the text that hold the n-gram, uint32 (N, 2).
        hashes: of the keys, uint64 (N,).
    """

    slots: NDArray[np.int64]
    halves: NDArray[np.uint32]
    hashes: NDArray[np.uint64]


class ChunkCounts:
    """Chunk counts of one order. Memory: 48 to 96 bytes a distinct n-gram in the sample."""

    def __init__(self, rate: float = 1.0) -> None:
        """Begin empty; `rate` is the share of n-grams that is kept."""
        self.rate = rate
        self._table = np.zeros((_FIRST_SLOTS, 2), np.uint64)
        self._values = np.zeros((_FIRST_SLOTS, 2), np.uint32)
        self._levels = np.zeros(0, np.uint8)
        self._used = 0

    def add(
        self, keys: NDArray[np.uint64], first: NDArray[np.bool_], halves: NDArray[np.uint8]
    ) -> None:
        """Take in the next positions.

        Args:
            keys: uint64 (T, 2).
            first: the first of its kind in its chunk, bool (T,); others are not counted.
            halves: the half of the text a position belongs to, 0 or 1, uint8 (T,).
        """
        while True:
            taken, self._used = _count(
                keys, first, halves, threshold(self.rate), self._table, self._values, self._used
            )
            keys, first, halves = keys[taken:], first[taken:], halves[taken:]
            if not len(keys):
                return
            table = np.zeros((2 * len(self._table), 2), np.uint64)
            values = np.zeros((2 * len(self._table), 2), np.uint32)
            _refill(self._table, self._values, table, values)
            self._table, self._values = table, values

    def entries(self) -> Entries:
        """Return all n-grams that were counted."""
        slots = np.flatnonzero(self._values.any(axis=1))
        hashes = np.empty(len(slots), np.uint64)
        _hash_all(self._table[slots], hashes)
        return Entries(slots, self._values[slots], hashes)

    def set_levels(self, slots: NDArray[np.int64], levels: NDArray[np.uint8]) -> None:
        """Say which is the smallest dictionary that holds each n-gram, as an index."""
        self._levels = np.zeros(len(self._table), np.uint8)
        self._levels[slots] = levels

    def serve(
        self, keys: NDArray[np.uint64], first: NDArray[np.bool_], served: NDArray[np.int64]
    ) -> None:
        """Add accesses to `served`, int64 (levels + 1, 2): all, and the first of a chunk.

        The last level is for n-grams that no dictionary holds. Several threads may call it.
        """
        _serve(keys, first, threshold(self.rate), self._table, self._values, self._levels, served)

    def lacks(self, keys: NDArray[np.uint64]) -> NDArray[np.bool_]:
        """Mark n-grams of the sample that were never counted: uint64 (T, 2) -> bool (T,).

        Several threads may call it.
        """
        out = np.empty(len(keys), np.bool_)
        _lacks(keys, threshold(self.rate), self._table, self._values, out)
        return out
