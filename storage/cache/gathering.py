"""Rows of a cache written to an output from where they lie; the kernels.

Lines of some rows are asked for while those before them are widened.
"""

from typing import Any

import numpy as np

from engramctl.runtime.kernel_cache import njit
from engramctl.storage.cache.finding import ask, find_all, record_at, records_fit
from engramctl.storage.cache.s3fifo import place_of, touch
from engramctl.storage.cache.slots import WORD
from engramctl.storage.io.gather import widen_rows
from engramctl.storage.io.row_map import NUM_ROWS, SCALE_BYTES, WEIGHT_BYTES
from engramctl.storage.io.take_rows import take_rows

TOGETHER = 512  # rows that are found before one of them is written
_STEP = 16  # rows that are asked for, and widened, at a time


@njit(nogil=True, cache=True)
def widen_slots(
    slots: Any,
    first: Any,
    packed: Any,
    words: Any,
    state: Any,
    value_bytes: Any,
    out_address: Any,
    out_bytes: Any,
) -> Any:
    """Write the rows of slots, dequantised; each is a hit.

    Args:
        slots: that hold them, int32 (n,).
        first: output row of the first; the others follow it.
        packed: how the layer's rows are stored; see RowMap.
        words: see `Slots`.
        state: see `Slots`.
        value_bytes: see `gather_rows`, as the next two.
        out_address: see `gather_rows`.
        out_bytes: see `gather_rows`.

    Returns:
        whether no scale is bad; see `gather_rows`.

    Raises:
        IndexError: an output of another length, or records of another; nothing is read.
    """
    record_bytes = packed[WEIGHT_BYTES] + packed[SCALE_BYTES]
    records_fit(words, state, record_bytes)
    words_at = np.int64(words.ctypes.data)
    high = words_at + WORD * words.shape[0]
    where_N2, targets = np.empty((_STEP, 2), np.int64), np.empty(_STEP, np.int64)
    total = slots.shape[0]
    for start in range(-_STEP, total, _STEP):
        middle = min(start + _STEP, total)
        for i in range(middle, min(middle + _STEP, total)):
            ask(words_at + record_at(place_of(np.int64(slots[i]), state), state), record_bytes)
        if start < 0:
            continue
        for i in range(start, middle):
            place = place_of(np.int64(slots[i]), state)
            touch(place, words)
            targets[i - start] = first + i
            where_N2[i - start, 0] = words_at + record_at(place, state)
            where_N2[i - start, 1] = where_N2[i - start, 0] + packed[WEIGHT_BYTES]
        bad = widen_rows(
            where_N2, targets, words_at, high, 0, middle - start, packed, value_bytes, out_address,
            out_bytes,
        )  # fmt: skip
        if bad >= 0:
            return False
    return True


@njit(nogil=True, cache=True)
def gather_here(
    rows: Any,
    start: Any,
    stop: Any,
    base: Any,
    packed: Any,
    words: Any,
    state: Any,
    value_bytes: Any,
    out_address: Any,
    out_bytes: Any,
) -> Any:
    """Write rows[start:stop], dequantised, some at a time, while the cache has all of these.

    A row is read soon after it was found: its first line, and where its page is, are known still.

    Args:
        rows: row ids, int32 or int64 (n,).
        start: first position of this piece.
        stop: position after its last.
        base: see `find_block`.
        packed: see `widen_slots`, as the others.
        words: see `Slots`.
        state: see `Slots`.
        value_bytes: see `gather_rows`.
        out_address: see `gather_rows`.
        out_bytes: see `gather_rows`.

    Returns:
        the position up to which they were written: `stop`, unless one is not here or its scale is
        bad.

    Raises:
        IndexError: see `widen_slots`.
    """
    if start < 0 or stop > rows.shape[0]:
        raise IndexError("there are fewer rows")
    words_at, found = np.int64(words.ctypes.data), np.empty(TOGETHER, np.int32)
    for first in range(start, stop, TOGETHER):
        end = min(first + TOGETHER, stop)
        slots = found[: end - first]
        if not find_all(rows, first, end, base, words, words_at, state, slots):
            return first
        if not widen_slots(slots, first, packed, words, state, value_bytes, out_address, out_bytes):
            return first
    return stop


@njit(nogil=True, cache=True)
def gather_cached(
    row_ids: Any,
    base: Any,
    packed: Any,
    words: Any,
    state: Any,
    value_bytes: Any,
    out_address: Any,
    out_bytes: Any,
) -> Any:
    """Copy and check the ids of a few rows, count them, and gather them; see `gather_here`.

    Args:
        row_ids: int32 or int64 (n,), at most TOGETHER.
        base: see `gather_here`, as the others.
        packed: see `widen_slots`.
        words: see `Slots`.
        state: see `Slots`.
        value_bytes: see `gather_rows`.
        out_address: see `gather_rows`.
        out_bytes: see `gather_rows`.

    Returns:
        how many ids are distinct; or -1: an id is outside the table, a row is not in the cache, or
        a scale is bad, which longer ways tell apart.

    Raises:
        IndexError: see `widen_slots`; or too many rows.
    """
    total = row_ids.shape[0]
    if total > TOGETHER:
        raise IndexError("there are too many rows")
    rows = np.empty(total, np.int64)
    distinct = take_rows(row_ids, rows, packed[NUM_ROWS])
    if distinct < 0:
        return np.int64(-1)
    end = gather_here(
        rows, 0, total, base, packed, words, state, value_bytes, out_address, out_bytes
    )  # fmt: skip
    return np.int64(distinct if end == total else -1)
