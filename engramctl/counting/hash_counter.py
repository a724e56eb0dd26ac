"""The compiled loops that count the records of a partition: an open-addressing table, then a sort.

Records have one or two words, high word first. A row is a record and its count: words + 1. `words`
is a tuple of that length: its type makes numba compile a loop for each case.
"""

# ruff: noqa: D417  (arguments that several kernels share are told once, above each)
import numpy as np
from numpy.typing import NDArray

from engramctl.counting.keys import Words
from engramctl.runtime.kernel_cache import compiled

DIGIT_BITS = 11  # of the radix sort: 2,048 counters a pass stay in the L1 cache
_FEW_ROWS = 48  # below, insertion beats counting digits
_U0, _U1, _U32, _U64 = (np.uint64(number) for number in (0, 1, 32, 64))
_HASH = np.uint64(0x9E3779B97F4A7C15)  # 2^64 / golden ratio
_HASH_HIGH = np.uint64(0xC2B2AE3D27D4EB4F)  # odd: the high word's


@compiled
def slot_of(
    table: NDArray[np.uint64], hi: np.uint64, lo: np.uint64, words: Words, shift: np.uint64
) -> np.uint64:
    """Return the index of a record in a table, or of the free slot where it belongs."""
    last = np.uint64(len(table) // (len(words) + 1) - 1)
    stride = np.uint64(len(words) + 1)
    slot = ((lo ^ (lo >> _U32)) * _HASH + hi * _HASH_HIGH) >> shift
    while True:
        at = slot * stride
        if table[at + stride - _U1] == 0:
            return at
        if len(words) == 1:
            if table[at] == lo:
                return at
        elif table[at + _U1] == lo and table[at] == hi:
            return at
        slot = (slot + _U1) & last


@compiled
def count(
    records: NDArray[np.uint64], words: Words, table: NDArray[np.uint64], used: int
) -> tuple[int, int]:
    """Count records in a table until 70 % of its slots are taken.

    Args:
        records: uint64, flat.
        words: of a record.
        table: uint64, flat: slots of record and count, 0 when free; a power of two of them.
        used: slots taken so far.

    Returns:
        words of `records` that are done, all or those before the first that needs a larger table;
        the slots taken.
    """
    shift = table_shift(table, words)
    most = 7 * (len(table) // (len(words) + 1)) // 10
    for at in range(0, len(records), len(words)):
        hi = records[at] if len(words) == 2 else _U0
        lo = records[at + len(words) - 1]
        slot = slot_of(table, hi, lo, words, shift)
        tally = slot + np.uint64(len(words))
        times = table[tally]
        if times == 0:
            if used == most:
                return at, used
            used += 1
            if len(words) == 2:
                table[slot] = hi
            table[tally - _U1] = lo
        table[tally] = times + _U1
    return len(records), used


@compiled
def table_shift(table: NDArray[np.uint64], words: Words) -> np.uint64:
    """Return by how much a hash is shifted right to index a table."""
    shift = _U64
    slots = len(table) // (len(words) + 1)
    while slots >> (_U64 - shift) > 1:
        shift -= _U1
    return shift


@compiled
def move(table: NDArray[np.uint64], fresh: NDArray[np.uint64], words: Words) -> None:
    """Put what a table holds into an empty, larger one."""
    shift = table_shift(fresh, words)
    width = len(words) + 1
    for at in range(0, len(table), width):
        if table[at + width - 1] != 0:
            hi = table[at] if len(words) == 2 else _U0
            slot = slot_of(fresh, hi, table[at + width - 2], words, shift)
            for word in range(width):
                fresh[slot + np.uint64(word)] = table[at + word]


@compiled
def taken(
    table: NDArray[np.uint64], words: Words, minimum: np.uint64, rows: NDArray[np.uint64]
) -> int:
    """Copy the rows with at least `minimum` (1 or more) of a table; returns how many.

    Args:
        table: as `count` left it.
        rows: uint64 (slots taken + 1, words + 1): one behind the last is scratch.
    """
    number = np.int64(0)
    width = len(words) + 1
    for at in range(0, len(table), width):
        for word in range(width):
            rows[number, word] = table[at + word]
        number += np.int64(table[at + width - 1] >= minimum)
    return int(number)


@compiled
def sort_rows(
    rows: NDArray[np.uint64], words: Words, bits: int, other: NDArray[np.uint64]
) -> NDArray[np.uint64]:
    """Sort rows by record, least digit first; returns `rows` or `other`.

    Args:
        rows: uint64 (n, words + 1).
        bits: of a record that are used.
        other: uint64, as `rows`: room for the result.
    """
    if len(rows) < _FEW_ROWS:
        _insert(rows, words)
        return rows
    for word in range(len(words) - 1, -1, -1):
        used = min(bits, 64) if word == len(words) - 1 else bits - 64
        passes = (used + DIGIT_BITS - 1) // DIGIT_BITS
        width = np.uint64((used + passes - 1) // passes)
        ends = np.zeros((passes, 1 << width), np.int64)
        _count_digits(rows, word, width, ends)
        for digit in range(passes):
            shift = np.uint64(digit) * width
            place = ends[digit]
            if place[(rows[0, word] >> shift) & ((_U1 << width) - _U1)] == len(rows):
                continue
            total = 0
            for value in range(len(place)):
                size = place[value]
                place[value] = total
                total += size
            _move_rows(rows, words, word, shift, place, other)
            rows, other = other, rows
    return rows


@compiled
def _count_digits(
    rows: NDArray[np.uint64], word: int, width: np.uint64, counts: NDArray[np.int64]
) -> None:
    mask = (_U1 << width) - _U1
    for index in range(len(rows)):
        key = rows[index, word]
        for digit in range(len(counts)):
            counts[digit, key & mask] += 1
            key >>= width


@compiled
def _move_rows(
    rows: NDArray[np.uint64],
    words: Words,
    word: int,
    shift: np.uint64,
    place: NDArray[np.int64],
    other: NDArray[np.uint64],
) -> None:
    mask = np.uint64(len(place) - 1)
    for index in range(len(rows)):
        value = (rows[index, word] >> shift) & mask
        target = place[value]
        place[value] = target + 1
        for column in range(len(words) + 1):
            other[target, column] = rows[index, column]


@compiled
def _insert(rows: NDArray[np.uint64], words: Words) -> None:
    last = len(words) - 1
    for index in range(1, len(rows)):
        at = index
        while at > 0:
            if rows[at - 1, 0] < rows[at, 0] or (
                rows[at - 1, 0] == rows[at, 0] and rows[at - 1, last] < rows[at, last]
            ):
                break
            for column in range(len(words) + 1):
                value = rows[at, column]
                rows[at, column] = rows[at - 1, column]
                rows[at - 1, column] = value
            at -= 1
