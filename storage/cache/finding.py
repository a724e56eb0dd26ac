"""Rows found in a cache's slots, many at a time.

A row that is here takes two misses of the processor, one behind the other: its hash chain, then its
slot, where key and record lie together. So each is asked for, for a block of rows, before the first
row needs it.
"""

from typing import Any

import numpy as np

from engramctl.runtime.kernel_cache import njit
from engramctl.storage.cache.s3fifo import (
    BEHIND,
    BUCKETS,
    CAPACITY,
    KEY,
    KEY_WORDS,
    LEAN,
    SLOT_WORDS,
    chain_in,
    place_in,
    place_of,
    shape_of,
)
from engramctl.storage.cache.slots import WORD
from engramctl.storage.record.intrinsics import prefetch_line

BLOCK = 64  # rows looked up together
_ALL = np.uint64(0xFFFFFFFFFFFFFFFF)  # a bit each
_ONE, _KEY = np.uint64(1), np.uint64(KEY)
_LINE = 64


@njit(**LEAN)
def record_at(place: Any, state: Any) -> Any:
    """Return where the record of the slot at a place begins, in bytes from the first word."""
    return WORD * (place + KEY + state[KEY_WORDS])


@njit(**LEAN)
def records_fit(words: Any, state: Any, record_bytes: Any) -> None:
    """Refuse slots that are smaller than records.

    Raises:
        IndexError: they are.
    """
    room = state[SLOT_WORDS] + BEHIND - KEY - state[KEY_WORDS]
    last = place_of(state[CAPACITY] - 1, state) + state[SLOT_WORDS] + BEHIND
    if record_bytes > WORD * room or words.shape[0] < last:
        raise IndexError("the slots have no room for the records")


@njit(**LEAN)
def ask(address: Any, num_bytes: Any) -> None:
    """Ask for lines of memory."""
    for line in range(address, address + num_bytes, _LINE):
        prefetch_line(line)
    prefetch_line(address + num_bytes - 1)


@njit(**LEAN)
def find_block(
    rows: Any, start: Any, stop: Any, base: Any, words: Any, words_at: Any, state: Any, entries: Any
) -> None:
    """Find the entries of rows[start:stop]; see `find`.

    Args:
        rows: row ids, int32 or int64 (n,).
        start: the first.
        stop: behind the last, at most BLOCK later.
        base: what makes a layer's row id a key, when it is added.
        words: see `Slots`.
        words_at: their address.
        state: see `Slots`.
        entries: what is found, (BLOCK,) or more, from the first on.
    """
    shape, chains = shape_of(state), state[BUCKETS]
    is_short = state[KEY_WORDS] == 1
    for i in range(stop - start):
        chain = chain_in(base + np.int64(rows[start + i]), chains)
        entries[i] = chain
        prefetch_line(words_at + WORD * chain)
    for i in range(stop - start):
        entry = np.int64(words[np.uint64(entries[i])])
        entries[i] = entry
        if entry >= 0:
            prefetch_line(words_at + WORD * place_in(entry, shape))
    left = _ALL
    while left:
        looked, left = left, np.uint64(0)
        for i in range(stop - start):
            bit = _ONE << np.uint64(i)
            entry = np.int64(entries[i])
            if entry < 0 or not looked & bit:
                continue
            key, place = base + np.int64(rows[start + i]), np.uint64(place_in(entry, shape))
            if np.uint32(words[place + _KEY]) == np.uint32(key) and (
                is_short or words[place + _KEY + _ONE] == np.int32(key >> 32)
            ):
                continue
            entry = np.int64(words[place])
            entries[i] = entry
            if entry >= 0:
                prefetch_line(words_at + WORD * place_in(entry, shape))
                left |= bit


@njit(**LEAN)
def find_all(
    rows: Any, start: Any, stop: Any, base: Any, words: Any, words_at: Any, state: Any, slots: Any
) -> Any:
    """Find the slots of rows[start:stop], and tell whether all have one.

    Args:
        rows: see `find_block`, as the next six.
        start: the first.
        stop: behind the last.
        base: see `find_block`.
        words: see `Slots`.
        words_at: their address.
        state: see `Slots`.
        slots: of each row, int32 (stop - start,).
    """
    for first in range(start, stop, BLOCK):
        end = min(first + BLOCK, stop)
        find_block(rows, first, end, base, words, words_at, state, slots[first - start :])
        for i in range(first - start, end - start):
            if slots[i] < 0 or slots[i] >= state[CAPACITY]:
                return False
    return True
