"""Rows looked up in a cache's slots, many at a time; the kernels of the row cache.

A row is found in steps, each a cache miss of the processor: its hash chain, that one's first key,
the record. So each is asked for, for a block of rows, before the first row needs it.
"""

from typing import Any

import numpy as np

from engramctl.runtime.kernel_cache import njit
from engramctl.storage.cache.s3fifo import BUCKETS, CAPACITY, admit, chain_of, find, touch
from engramctl.storage.io.gather import widen_rows
from engramctl.storage.io.row_map import NUM_ROWS, SCALE_BYTES, WEIGHT_BYTES
from engramctl.storage.io.take_rows import take_rows
from engramctl.storage.record.intrinsics import copy_bytes, prefetch_line

BLOCK = 64  # rows looked up together
_LINE = 64


@njit(nogil=True, cache=True)
def find_block(
    rows: Any, start: Any, stop: Any, base: Any, keys: Any, words: Any, state: Any, entries: Any
) -> None:
    """Find the entries of rows[start:stop]; see `find`.

    Args:
        rows: row ids, int32 or int64 (n,).
        start: the first.
        stop: behind the last, at most BLOCK later.
        base: what makes a layer's row id a key, when it is added.
        keys: see `Slots`, as the next two.
        words: see `Slots`.
        state: see `Slots`.
        entries: what is found, int64 (BLOCK,).
    """
    chains = state[BUCKETS]
    words_at, keys_at, width = words.ctypes.data, keys.ctypes.data, keys.itemsize
    for i in range(start, stop):
        chain = chain_of(base + np.int64(rows[i]), state)
        entries[i - start] = chain
        prefetch_line(np.int64(words_at + 4 * chain))
    for i in range(start, stop):
        entry = np.int64(words[entries[i - start]])
        entries[i - start] = entry
        if entry >= 0:
            prefetch_line(np.int64(keys_at + width * entry))
            prefetch_line(np.int64(words_at + 4 * (chains + entry)))
    for i in range(start, stop):
        key, entry = base + np.int64(rows[i]), entries[i - start]
        while entry >= 0 and np.int64(keys[entry]) != key:
            entry = np.int64(words[chains + entry])
        entries[i - start] = entry


@njit(inline="always")
def _ask(address: Any, num_bytes: Any) -> None:
    """Ask for the lines of a record."""
    for line in range(address, address + num_bytes, _LINE):
        prefetch_line(line)
    prefetch_line(address + num_bytes - 1)


@njit(nogil=True, cache=True)
def has_rows(rows: Any, base: Any, keys: Any, words: Any, state: Any, records: Any) -> Any:
    """Tell whether every row is here, and ask for the records' lines of memory.

    Args:
        rows: row ids, int32 or int64 (n,).
        base: see `find_block`, as the next three.
        keys: see `Slots`.
        words: see `Slots`.
        state: see `Slots`.
        records: see `part_rows`.
    """
    entries = np.empty(BLOCK, np.int64)
    records_at, record_bytes = np.int64(records.ctypes.data), records.shape[0] // state[CAPACITY]
    for start in range(0, rows.shape[0], BLOCK):
        stop = min(start + BLOCK, rows.shape[0])
        find_block(rows, start, stop, base, keys, words, state, entries)
        for i in range(start, stop):
            entry = entries[i - start]
            if entry < 0 or entry >= state[CAPACITY]:
                return False
            _ask(records_at + entry * record_bytes, record_bytes)
    return True


@njit(nogil=True, cache=True)
def part_rows(
    rows: Any,
    places: Any,
    tags: Any,
    base: Any,
    keys: Any,
    words: Any,
    hits: Any,
    state: Any,
    slot_tags: Any,
    records: Any,
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
        keys: see `Slots`, as the next three.
        words: see `Slots`.
        hits: see `Slots`.
        state: see `Slots`.
        slot_tags: tag that each slot's row came with, uint16.
        records: stored records, slot by slot, uint8.
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
    if where_N2.shape[0] < counts[1] + rows.shape[0] or records.shape[0] < (
        state[CAPACITY] * record_bytes
    ):
        raise IndexError("there is no room for the hits of a batch")
    copied = hold.shape[0] > 0
    if copied and hold.shape[0] < (counts[1] + rows.shape[0]) * record_bytes:
        raise IndexError("there is no room for the records of a batch")
    entries = np.empty(BLOCK, np.int64)
    records_at, hold_at = np.int64(records.ctypes.data), np.int64(hold.ctypes.data)
    for start in range(0, rows.shape[0], BLOCK):
        stop = min(start + BLOCK, rows.shape[0])
        find_block(rows, start, stop, base, keys, words, state, entries)
        for i in range(start, stop):
            entry = entries[i - start]
            if 0 <= entry < state[CAPACITY]:
                _ask(records_at + entry * record_bytes, record_bytes)
        for i in range(start, stop):
            entry, place = entries[i - start], places[i]
            if entry < 0 or entry >= state[CAPACITY]:
                missed[counts[0]] = rows[i]
                targets[counts[0]] = place
                counts[0] += 1
                continue
            touch(entry, hits)
            if tags.shape[0] and tags[i] and slot_tags[entry] and tags[i] != slot_tags[entry]:
                counts[2] += 1
            at = records_at + entry * record_bytes
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
    keys: Any,
    words: Any,
    hits: Any,
    state: Any,
    slot_tags: Any,
    records: Any,
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
        keys: see `Slots`, as the next three.
        words: see `Slots`.
        hits: see `Slots`.
        state: see `Slots`.
        slot_tags: see `part_rows`, as the next two.
        records: see `part_rows`.
        sizes: see `part_rows`.

    Raises:
        IndexError: an address outside, or fewer addresses than rows; nothing is taken in.
    """
    record_bytes = sizes[0] + sizes[1]
    if where_N2.shape[0] < rows.shape[0] or records.shape[0] < state[CAPACITY] * record_bytes:
        raise IndexError("there are fewer rows")
    for i in range(rows.shape[0]):
        for part in range(2):
            at = where_N2[i, part]
            if sizes[part] and (at < low or at > high - sizes[part]):
                raise IndexError("an address is outside the buffer")
    records_at = np.int64(records.ctypes.data)
    for i in range(rows.shape[0]):
        key = base + rows[i]
        entry = find(key, keys, words, state)
        if 0 <= entry < state[CAPACITY]:
            touch(entry, hits)
            continue
        slot = admit(key, entry, keys, words, hits, state)
        slot_tags[slot] = tags[i] if tags.shape[0] else 0
        at = records_at + slot * record_bytes
        copy_bytes(where_N2[i, 0], at, sizes[0])
        if sizes[1]:
            copy_bytes(where_N2[i, 1], at + sizes[0], sizes[1])


@njit(nogil=True, cache=True)
def gather_cached(
    row_ids: Any,
    packed: Any,
    base: Any,
    keys: Any,
    words: Any,
    hits: Any,
    state: Any,
    records: Any,
    value_bytes: Any,
    out_address: Any,
    out_bytes: Any,
) -> Any:
    """Write all rows, dequantised, when the cache has every one; else nothing is changed.

    Args:
        row_ids: int32 or int64 (n,).
        packed: how the layer's rows are stored; see RowMap.
        base: see `find_block`.
        keys: see `Slots`, as the next three.
        words: see `Slots`.
        hits: see `Slots`.
        state: see `Slots`.
        records: see `part_rows`.
        value_bytes: see `gather_rows`, as the next two.
        out_address: see `gather_rows`.
        out_bytes: see `gather_rows`.

    Returns:
        how many ids are distinct; or -1: an id is outside the table, a row is not in the cache, or
        a scale is bad, which longer ways tell apart.

    Raises:
        IndexError: an output of another length; nothing is read.
    """
    total = row_ids.shape[0]
    rows = np.empty(total, np.int64)
    distinct = take_rows(row_ids, rows, packed[NUM_ROWS])
    if distinct < 0:
        return np.int64(-1)
    record_bytes = packed[WEIGHT_BYTES] + packed[SCALE_BYTES]
    if records.shape[0] < state[CAPACITY] * record_bytes:
        raise IndexError("there are fewer records")
    where_N2, places = np.empty((total, 2), np.int64), np.empty(total, np.int64)
    entries = np.empty(BLOCK, np.int64)
    records_at = np.int64(records.ctypes.data)
    for start in range(0, total, BLOCK):
        stop = min(start + BLOCK, total)
        find_block(rows, start, stop, base, keys, words, state, entries)
        for i in range(start, stop):
            entry = entries[i - start]
            if entry < 0 or entry >= state[CAPACITY]:
                return np.int64(-1)
            places[i] = i
            where_N2[i, 0] = records_at + entry * record_bytes
            where_N2[i, 1] = where_N2[i, 0] + packed[WEIGHT_BYTES]
            rows[i] = entry
    bad, high = np.int64(-1), records_at + records.shape[0]
    for start in range(0, total, BLOCK):
        stop = min(start + BLOCK, total)
        for i in range(start, stop):
            _ask(where_N2[i, 0], record_bytes)
            touch(rows[i], hits)
        bad = max(bad, widen_rows(
            where_N2, places, records_at, high, start, stop, packed, value_bytes, out_address,
            out_bytes,
        ))  # fmt: skip
    return np.int64(distinct if bad < 0 else -1)
