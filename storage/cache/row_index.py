"""Which rows a cache keeps, and in which of its slots: S3-FIFO for records that lie elsewhere.

A slot's number is all that is told; who holds the records moves them.
"""

import threading
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engramctl.runtime.kernel_cache import njit
from engramctl.storage.cache.s3fifo import (
    CAPACITY,
    LEAN,
    admit,
    drop_keys,
    empty_slots,
    find,
    keep_all,
    place_of,
    touch,
)
from engramctl.storage.cache.slots import Slots, key_bases, key_words
from engramctl.storage.reading.source import Source


@njit(**LEAN)
def _slots_of(rows: Any, base: Any, words: Any, state: Any, slots: Any, counted: Any) -> None:
    """Write the slot of each row, -1 for none; count hits, if they are to be.

    Args:
        rows: row ids, int64 (n,).
        base: what makes them keys, when it is added.
        words: see `Slots`.
        state: see `Slots`.
        slots: int64 (n,).
        counted: bool.
    """
    for i in range(rows.shape[0]):
        entry = find(base + rows[i], words, state)
        slots[i] = -1
        if 0 <= entry < state[CAPACITY]:
            slots[i] = entry
            if counted:
                touch(place_of(entry, state), words)


@njit(**LEAN)
def _admit(rows: Any, base: Any, words: Any, state: Any, slots: Any, last: Any) -> None:
    """Take rows in, and write where each record goes: -1, if nowhere.

    Args:
        rows: row ids, int64 (n,).
        base: see `_slots_of`, as the next two.
        words: see `Slots`.
        state: see `Slots`.
        slots: int64 (n,).
        last: of each slot, the last of `rows` it was given to, int32; -1 before and after.
    """
    for i in range(rows.shape[0]):
        key = base + rows[i]
        entry = find(key, words, state)
        if 0 <= entry < state[CAPACITY]:
            touch(place_of(entry, state), words)
            slots[i] = -1
            continue
        slot = admit(key, entry, 0, words, state)
        if last[slot] >= 0:
            slots[last[slot]] = -1  # evicted again before its record was there
        last[slot] = i
        slots[i] = slot
    for i in range(rows.shape[0]):
        if slots[i] >= 0:
            last[slots[i]] = -1


def most_wanted(rows: Mapping[int, NDArray[np.int64]], room: int) -> dict[int, NDArray[np.int64]]:
    """Return the rows that are brought to a cache with room for some, the same share of each layer.

    Args:
        rows: layer -> row ids, int64 (n,), each once, the most wanted first.
        room: for how many of all layers.

    Example:
        >>> most_wanted({1: np.arange(6), 2: np.arange(3)}, 6)
        {1: array([0, 1, 2, 3]), 2: array([0, 1])}
    """
    total = sum(map(len, rows.values()))
    held = min(total, room)
    return {layer: ids[: len(ids) * held // max(1, total)] for layer, ids in rows.items()}


class RowIndex:
    """The slots of a cache of rows of all layers. Safe from several threads, a call at a time.

    Attributes:
        capacity: slots.
        num_bytes: that it takes itself.
    """

    def __init__(self, source: Source, capacity: int) -> None:
        """Hold no row.

        Args:
            source: whose rows.
            capacity: slots, from 1 to MOST_SLOTS.
        """
        self._bases, total = key_bases(source)
        self.capacity = capacity
        self._slots = Slots.empty(capacity, key_words(total))
        self._arrays = self._slots.words, self._slots.state
        self._last = np.full(capacity, -1, np.int32)
        self.num_bytes = sum(one.nbytes for one in (*self._arrays, self._last))
        self.lock = threading.RLock()

    @property
    def rows(self) -> int:
        """Rows held now."""
        return self._slots.rows

    def slots_of(
        self, layer: int, rows: NDArray[np.int64], *, counted: bool = True
    ) -> NDArray[np.int64]:
        """Return the slot of each row, -1 where it is not here; what is here counts as hit.

        The caller holds the lock, until it has read the slots or queued it.

        Args:
            layer: whose rows.
            rows: row ids, int64 (n,).
            counted: False: no hit is counted.
        """
        slots = np.empty(len(rows), np.int64)
        _slots_of(rows, self._bases[layer], *self._arrays, slots, counted)
        return slots

    def admit(self, layer: int, rows: NDArray[np.int64]) -> NDArray[np.int64]:
        """Take rows in; return the slot of each to write its record to, -1: it is to be left out.

        That is so of a row that is here already, and of one that had to leave again at once. The
        caller holds the lock, as for `slots_of`.

        Args:
            layer: whose rows.
            rows: row ids, int64 (n,).
        """
        slots = np.empty(len(rows), np.int64)
        _admit(rows, self._bases[layer], *self._arrays, slots, self._last)
        return slots

    def drop(self, rows: Mapping[int, NDArray[np.int64]]) -> None:
        """Hold none of these rows any more.

        Args:
            rows: layer -> row ids, int64 (n,).
        """
        with self.lock:
            for layer, ids in rows.items():
                drop_keys(ids, self._bases[layer], *self._arrays)

    def clear(self) -> None:
        """Hold no row."""
        with self.lock:
            empty_slots(*self._arrays)

    def keep_all(self) -> None:
        """Take the rows that are here for wanted; see `RowCache.keep_all`."""
        with self.lock:
            keep_all(*self._arrays)

    def compile(self, layer: int) -> None:
        """Compile now: not in the middle of a step, nor while another thread forks."""
        none = np.empty(0, np.int64)
        with self.lock:
            self.slots_of(layer, none)
            self.admit(layer, none)
        self.drop({layer: none})
        self.keep_all()
