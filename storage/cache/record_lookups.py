"""Kernels of n-gram records: which rows they serve, and rows copied together to new ones."""

from typing import Any

import numpy as np

from engramctl.runtime.kernel_cache import njit
from engramctl.storage.record.intrinsics import copy_bytes

# What `shape` holds: heads of a position in a layer, heads of an order, orders, bytes of a row,
# where the layer's rows begin in an entry.
NUM_HEADS, HEADS_PER_ORDER, NUM_ORDERS, ROW_BYTES, OFFSET = range(5)


@njit(inline="always")
def _ngram_of(target: Any, shape: Any) -> Any:
    """Return the n-gram that an output row is of."""
    position, head = divmod(target, shape[NUM_HEADS])
    return position * shape[NUM_ORDERS] + head // shape[HEADS_PER_ORDER]


@njit(inline="always")
def _offset_of(target: Any, shape: Any) -> Any:
    """Return where an output row stands in its n-gram's entry."""
    head = target % shape[NUM_HEADS] % shape[HEADS_PER_ORDER]
    return shape[OFFSET] + head * shape[ROW_BYTES]


@njit(nogil=True, cache=True)
def count_missed(targets: Any, shape: Any, missed_G: Any) -> None:
    """Count the rows of each n-gram that must be read.

    Args:
        targets: output rows, int64 (n,).
        shape: see above, int64.
        missed_G: is added to, int64 (G,).

    Raises:
        IndexError: an output row beyond the n-grams.
    """
    for i in range(targets.shape[0]):
        ngram = _ngram_of(targets[i], shape)
        if ngram < 0 or ngram >= missed_G.shape[0]:
            raise IndexError("there are fewer n-grams than rows")
        missed_G[ngram] += 1


@njit(nogil=True, cache=True)
def part_recorded(
    rows: Any, targets: Any, where_N2: Any, shape: Any, entry_G: Any, compared_G: Any
) -> Any:
    """Move rows that an entry serves to the end; returns how many are in front.

    Args:
        rows: row ids that must be read, int64 (n,).
        targets: their output rows, int64 (n,).
        where_N2: gets each row's entry, or -1, and its offset there, int64 (n, 2); of those in
            front the entry they are to be compared with.
        shape: see above.
        entry_G: see `Chosen`.
        compared_G: see `Chosen`.
    """
    i, end = 0, rows.shape[0]
    while i < end:
        ngram = _ngram_of(targets[i], shape)
        entry, offset = entry_G[ngram], _offset_of(targets[i], shape)
        if entry < 0 or compared_G[ngram]:
            where_N2[i, 0], where_N2[i, 1] = entry, offset
            i += 1
            continue
        end -= 1
        row, target = rows[i], targets[i]
        rows[i], targets[i] = rows[end], targets[end]
        rows[end], targets[end] = row, target
        where_N2[end, 0], where_N2[end, 1] = entry, offset
    return end


@njit(nogil=True, cache=True)
def settle_recorded(where_N2: Any, entries_K: Any, weight_bytes: Any) -> None:
    """Turn entries and offsets into addresses of values and of scales, in place.

    Args:
        where_N2: see `part_recorded`, of rows that an entry serves.
        entries_K: address of each entry, int64 (K,).
        weight_bytes: of a row's values.

    Raises:
        IndexError: no such entry.
    """
    for i in range(where_N2.shape[0]):
        entry = where_N2[i, 0]
        if entry < 0 or entry >= entries_K.shape[0]:
            raise IndexError("a row's entry was not read")
        at = entries_K[entry] + where_N2[i, 1]
        where_N2[i, 0], where_N2[i, 1] = at, at + weight_bytes


@njit(nogil=True, cache=True)
def first_other(
    where_N2: Any, entry_N2: Any, entries_K: Any, sizes: Any, low: Any, high: Any, memory: Any
) -> Any:
    """Compare rows that were read with what entries have of them.

    Args:
        where_N2: addresses of values and scales of rows of the table, int64 (n, 2).
        entry_N2: see `part_recorded`: those in front, of which some have an entry.
        entries_K: address of each entry, int64 (K,).
        sizes: bytes of a row's values and of its scales.
        low: address of the first byte of `memory`.
        high: address behind its last.
        memory: holds all, uint8.

    Returns:
        the first row that differs, or -1.

    Raises:
        IndexError: an address outside the memory.
    """
    for i in range(where_N2.shape[0]):
        entry = entry_N2[i, 0]
        if entry < 0:
            continue
        theirs = entries_K[entry] + entry_N2[i, 1]
        for part in range(2):
            ours = where_N2[i, part]
            if not sizes[part]:
                continue
            if min(ours, theirs) < low or max(ours, theirs) > high - sizes[part]:
                raise IndexError("an address is outside the buffer")
            for j in range(sizes[part]):
                if memory[ours - low + j] != memory[theirs - low + j]:
                    return i
            theirs += sizes[part]
    return -1


@njit(inline="always")
def _copy_row(where: Any, sizes: Any, low: Any, high: Any, target: Any) -> None:
    """Copy a row's values and scales to an address; no byte outside [low, high) is read."""
    at = target
    for part in range(2):
        if not sizes[part]:
            continue
        if where[part] < low or where[part] > high - sizes[part]:
            raise IndexError("an address is outside the buffer")
        copy_bytes(where[part], at, sizes[part])
        at += sizes[part]


@njit(nogil=True, cache=True)
def copy_to_records(
    targets: Any,
    where_N2: Any,
    shape: Any,
    place_G: Any,
    sizes: Any,
    low: Any,
    high: Any,
    records: Any,
) -> Any:
    """Copy rows of a layer to where they stand in new records.

    Args:
        targets: output rows, int64 (n,).
        where_N2: addresses of values and scales of each, int64 (n, 2).
        shape: see above.
        place_G: the record of each n-gram, or -1, int64 (G,).
        sizes: bytes of a row's values and of its scales.
        low: no byte below this address is read.
        high: nor one from this address on.
        records: is written to, uint8 (k, record_bytes).

    Returns:
        how many rows were copied.

    Raises:
        IndexError: an address outside, or a record that is not there.
    """
    copied = 0
    for i in range(targets.shape[0]):
        place = place_G[_ngram_of(targets[i], shape)]
        if place < 0:
            continue
        offset = _offset_of(targets[i], shape)
        if place >= records.shape[0] or offset + sizes[0] + sizes[1] > records.shape[1]:
            raise IndexError("there are fewer records")
        _copy_row(where_N2[i], sizes, low, high, records[place].ctypes.data + offset)
        copied += 1
    return copied


@njit(nogil=True, cache=True)
def copy_together(
    targets: Any, where_N2: Any, sizes: Any, low: Any, high: Any, first: Any, records: Any
) -> None:
    """Copy rows to where they stand in the order of a request.

    Args:
        targets: output rows, counted from `first` on, int64 (n,).
        where_N2: addresses of values and scales of each, int64 (n, 2).
        sizes: bytes of a row's values and of its scales.
        low: no byte below this address is read.
        high: nor one from this address on.
        first: the output row of target 0.
        records: is written to, uint8, a record an output row.

    Raises:
        IndexError: an address or an output row outside.
    """
    record_bytes, records_at = sizes[0] + sizes[1], np.int64(records.ctypes.data)
    for i in range(targets.shape[0]):
        row = first + targets[i]
        if row < 0 or (row + 1) * record_bytes > records.shape[0]:
            raise IndexError("there are fewer records")
        _copy_row(where_N2[i], sizes, low, high, records_at + row * record_bytes)
