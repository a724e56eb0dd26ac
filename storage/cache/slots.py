"""The arrays of one S3-FIFO cache, laid out in memory of a size that is known beforehand."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engramctl.storage.cache.s3fifo import (
    BUCKETS,
    EMPTY,
    MAIN_LENGTH,
    NUM_STATE,
    SMALL_LENGTH,
    empty_slots,
)


def queue_sizes(capacity: int) -> tuple[int, int]:
    """Return the rows that small and main should hold.

    Example:
        >>> queue_sizes(100), queue_sizes(1)
        ((10, 90), (1, 0))
    """
    small = max(1, capacity // 10)
    return small, capacity - small


def num_ghosts(capacity: int) -> int:
    """Return how many ids of rows that left are remembered."""
    return max(1, queue_sizes(capacity)[1])


def slots_bytes(capacity: int, key_bytes: int) -> int:
    """Return the bytes of the arrays of `Slots`; about 28 a slot where keys have 4."""
    entries = capacity + num_ghosts(capacity)
    return -(-entries * key_bytes // 8) * 8 + 4 * (2 * entries + capacity) + capacity


@dataclass(frozen=True, eq=False)
class Slots:
    """The queues of one cache; for one thread at a time. Entries are slots, then ghosts.

    Attributes:
        keys: of each entry, uint32 or int64 (entries,); what stands in no chain means nothing.
        words: int32: the first entry of each hash chain, the next entry of each entry's chain, the
            slot behind each slot in its queue; -1: none.
        hits: of each slot, uint8; 255: its row was forgotten.
        state: int64, see the names above.
    """

    keys: NDArray[Any]
    words: NDArray[np.int32]
    hits: NDArray[np.uint8]
    state: NDArray[np.int64]

    @classmethod
    def empty(
        cls, capacity: int, key_dtype: Any = np.int64, memory: NDArray[np.uint8] | None = None
    ) -> "Slots":
        """Return a cache of `capacity` rows that holds none.

        Args:
            capacity: at least 1.
            key_dtype: uint32 or int64.
            memory: what the arrays are laid out in, `slots_bytes`; None: memory of their own.

        Raises:
            ValueError: the memory is too small.
        """
        small, main = queue_sizes(capacity)
        entries = capacity + num_ghosts(capacity)
        width = np.dtype(key_dtype).itemsize
        if memory is None:
            memory = np.empty(slots_bytes(capacity, width), np.uint8)
        if len(memory) < slots_bytes(capacity, width):
            raise ValueError(f"{len(memory):,} bytes hold no {capacity:,} slots")
        words_at = -(-entries * width // 8) * 8
        hits_at = words_at + 4 * (2 * entries + capacity)
        keys = memory[: entries * width].view(key_dtype)
        words = memory[words_at:hits_at].view(np.int32)
        hits = memory[hits_at : hits_at + capacity]
        state = np.zeros(NUM_STATE, np.int64)
        state[: BUCKETS + 1] = capacity, small, main, num_ghosts(capacity), entries
        empty_slots(words, state)
        return cls(keys, words, hits, state)

    @property
    def rows(self) -> int:
        """Rows held now."""
        return int(self.state[SMALL_LENGTH] + self.state[MAIN_LENGTH] - self.state[EMPTY])
