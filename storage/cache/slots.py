"""The memory of one S3-FIFO cache, laid out in words whose number is known beforehand.

First the first entry of every hash chain; then the ghosts; then the slots, each with the record of
its row behind it, so that who finds a row has its record's first bytes already.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from engramctl.storage.cache.s3fifo import (
    BEHIND,
    EMPTY,
    KEY,
    KEY_WORDS,
    MAIN_LENGTH,
    NUM_STATE,
    SMALL_LENGTH,
    empty_slots,
)
from engramctl.storage.reading.source import Source

WORD = 4
MOST_SLOTS = 1 << 29  # entries are int32
_BEFORE_NEXT = -BEHIND  # words of a slot that a ghost does not have


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


def key_bases(source: Source) -> tuple[dict[int, int], int]:
    """Return what makes each layer's row ids keys, when it is added, and the rows of all layers."""
    bases: dict[int, int] = {}
    total = 0
    for layer in source.layers:
        bases[layer] = total
        total += source.num_rows(layer)
    return bases, total


def key_words(num_rows: int) -> int:
    """Return the words that the keys of so many rows, of all layers together, take."""
    return 1 if num_rows <= (1 << 32) else 2


def _shape(capacity: int, key_words: int, record_bytes: int) -> tuple[int, int, int]:
    """Return the hash chains, the words of a ghost and those of a slot."""
    ghost_words = KEY + key_words
    slot_words = _BEFORE_NEXT + ghost_words + -(-record_bytes // WORD)
    return capacity + num_ghosts(capacity), ghost_words, slot_words


def slots_bytes(capacity: int, key_words: int, record_bytes: int = 0) -> int:
    """Return the bytes of the words of `Slots`; about 31 a slot beside its record, of short keys.

    Args:
        capacity: rows.
        key_words: see `Slots.empty`.
        record_bytes: of a stored row.
    """
    chains, ghost_words, slot_words = _shape(capacity, key_words, record_bytes)
    return WORD * (chains + num_ghosts(capacity) * ghost_words + capacity * slot_words)


@dataclass(frozen=True, eq=False)
class Slots:
    """The queues of one cache, and its rows' records. Entries are slots, then ghosts.

    Attributes:
        words: int32, see above and the names in `s3fifo`; -1: no entry, no slot.
        state: int64, see the names there.
    """

    words: NDArray[np.int32]
    state: NDArray[np.int64]

    @classmethod
    def empty(
        cls,
        capacity: int,
        key_words: int = 2,
        record_bytes: int = 0,
        memory: NDArray[np.uint8] | None = None,
    ) -> "Slots":
        """Return a cache of `capacity` rows that holds none.

        Args:
            capacity: at least 1.
            key_words: 1: keys are below 2^32; 2: they are int64.
            record_bytes: of a stored row.
            memory: what it is laid out in, `slots_bytes`; None: memory of its own.

        Raises:
            ValueError: the memory is too small.
        """
        size = slots_bytes(capacity, key_words, record_bytes)
        if memory is None:
            memory = np.empty(size, np.uint8)
        if len(memory) < size:
            raise ValueError(f"{len(memory):,} bytes hold no {capacity:,} slots")
        chains, ghost_words, slot_words = _shape(capacity, key_words, record_bytes)
        ghosts = num_ghosts(capacity)
        slots_at = chains + ghosts * ghost_words + _BEFORE_NEXT
        state = np.zeros(NUM_STATE, np.int64)
        state[: KEY_WORDS + 1] = (
            capacity, *queue_sizes(capacity), ghosts, chains, chains, ghost_words, slots_at,
            slot_words, key_words,
        )  # fmt: skip
        words = memory[:size].view(np.int32)
        empty_slots(words, state)
        return cls(words, state)

    @property
    def rows(self) -> int:
        """Rows held now."""
        return int(self.state[SMALL_LENGTH] + self.state[MAIN_LENGTH] - self.state[EMPTY])
