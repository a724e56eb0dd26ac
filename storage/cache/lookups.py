"""Rows parted into those that a cache has and others, and taken in; the kernels."""

from typing import Any

import numpy as np

from engramctl.runtime.kernel_cache import njit
from engramctl.storage.cache.finding import BLOCK, ask, find_block, record_at, records_fit
from engramctl.storage.cache.s3fifo import CAPACITY, admit, find, place_of, tag_of, touch
from engramctl.storage.record.intrinsics import copy_bytes


@njit(nogil=True, cache=True)
def has_rows(
    rows: Any, start: Any, stop: Any, base: Any, words: Any, state: Any, record_bytes: Any
) -> Any:
    """Tell whether every row of rows[start:stop] is here.

    Args:
        rows: row ids, int32 or int64 (n,).
        start: the first.
        stop: behind the last.
        base: see `find_block`.
        words: see `Slots`.
        state: see `Slots`.
        record_bytes: of a stored row, to ask for its lines of memory; 0: do not.
    """
    entries = np.empty(BLOCK, np.int64)
    words_at = np.int64(words.ctypes.data)
    for first in range(start, stop, BLOCK):
        end = min(first + BLOCK, stop)
        find_block(rows, first, end, base, words, words_at, state, entries)
        for i in range(end - first):
            entry = entries[i]
            if entry < 0 or entry >= state[CAPACITY]:
                return False
            if record_bytes:
                ask(words_at + record_at(place_of(entry, state), state), record_bytes)
    return True


@njit(nogil=True, cache=True)
def part_rows(
    rows: Any,
    places: Any,
    tags: Any,
    base: Any,
    words: Any,
    state: Any,
    sizes: Any,
    hold: Any,
    counts: Any,
    missed: Any,
    targets: Any,
    where_N2: Any,
) -> None:
    """Part rows into those that the cache has, each counted as a hit, and the others.

    Args:
        rows: row ids, int32 or int64 (n,).
        places: the output row of each, int64 (n,).
        tags: of each row's n-gram, uint16 (n,), 0: unknown; or (0,): all unknown.
        base: see `find_block`.
        words: see `Slots`; a slot's tag is the one that its row came with.
        state: see `Slots`.
        sizes: bytes of a row's values and of its scales.
        hold: where hits are copied to, uint8, a record each; (0,): they stay where they are.
        counts: what is added to: rows missed, rows hit, of these by chance.
        missed: rows that were missed, int64 (n,), from counts[0] on; `rows` itself may be it.
        targets: output rows, int64 (n,): of misses from counts[0] on, of hits from the end on
            backwards; `places` may be it where nothing is hit or misses alone are wanted.
        where_N2: addresses of values and scales of hits, from the end on backwards, int64.

    Raises:
        IndexError: an array is too short; nothing is read.
    """
    weight_bytes, record_bytes = sizes[0], sizes[0] + sizes[1]
    left = targets.shape[0] - counts[0] - counts[1]
    if missed.shape[0] < counts[0] + rows.shape[0] or left < rows.shape[0]:
        raise IndexError("there is no room for the rows of a batch")
    records_fit(words, state, record_bytes)
    if where_N2.shape[0] < counts[1] + rows.shape[0]:
        raise IndexError("there is no room for the hits of a batch")
    copied = hold.shape[0] > 0
    if copied and hold.shape[0] < (counts[1] + rows.shape[0]) * record_bytes:
        raise IndexError("there is no room for the records of a batch")
    entries = np.empty(BLOCK, np.int64)
    words_at, hold_at = np.int64(words.ctypes.data), np.int64(hold.ctypes.data)
    for start in range(0, rows.shape[0], BLOCK):
        stop = min(start + BLOCK, rows.shape[0])
        find_block(rows, start, stop, base, words, words_at, state, entries)
        for i in range(start, stop):
            entry = entries[i - start]
            if 0 <= entry < state[CAPACITY]:
                ask(words_at + record_at(place_of(entry, state), state), record_bytes)
        for i in range(start, stop):
            entry, place = entries[i - start], places[i]
            if entry < 0 or entry >= state[CAPACITY]:
                missed[counts[0]] = rows[i]
                targets[counts[0]] = place
                counts[0] += 1
                continue
            slot_place = place_of(entry, state)
            touch(slot_place, words)
            tag = tag_of(slot_place, words)
            if tags.shape[0] and tags[i] and tag and tags[i] != tag:
                counts[2] += 1
            at = words_at + record_at(slot_place, state)
            if copied:
                copy_bytes(at, hold_at + counts[1] * record_bytes, record_bytes)
                at = hold_at + counts[1] * record_bytes
            counts[1] += 1
            targets[targets.shape[0] - counts[1]] = place
            where_N2[where_N2.shape[0] - counts[1], 0] = at
            where_N2[where_N2.shape[0] - counts[1], 1] = at + weight_bytes


@njit(nogil=True, cache=True)
def admit_rows(
    rows: Any,
    tags: Any,
    base: Any,
    where_N2: Any,
    low: Any,
    high: Any,
    words: Any,
    state: Any,
    sizes: Any,
) -> None:
    """Take rows in that were read; one that is there already, or comes twice, counts as a hit.

    Args:
        rows: row ids, int64 (n,).
        tags: see `part_rows`.
        base: see `find_block`.
        where_N2: addresses of each row's values and scales, int64 (n, 2).
        low: no byte below this address is read.
        high: nor one from this address on.
        words: see `Slots`.
        state: see `Slots`.
        sizes: see `part_rows`.

    Raises:
        IndexError: an address outside, or fewer addresses than rows; nothing is taken in.
    """
    record_bytes = sizes[0] + sizes[1]
    records_fit(words, state, record_bytes)
    if where_N2.shape[0] < rows.shape[0]:
        raise IndexError("there are fewer rows")
    for i in range(rows.shape[0]):
        for part in range(2):
            at = where_N2[i, part]
            if sizes[part] and (at < low or at > high - sizes[part]):
                raise IndexError("an address is outside the buffer")
    words_at = np.int64(words.ctypes.data)
    for i in range(rows.shape[0]):
        key = base + rows[i]
        entry = find(key, words, state)
        if 0 <= entry < state[CAPACITY]:
            touch(place_of(entry, state), words)
            continue
        slot = admit(key, entry, tags[i] if tags.shape[0] else np.uint16(0), words, state)
        at = words_at + record_at(place_of(slot, state), state)
        copy_bytes(where_N2[i, 0], at, sizes[0])
        if sizes[1]:
            copy_bytes(where_N2[i, 1], at + sizes[0], sizes[1])
