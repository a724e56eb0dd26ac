"""The compiled loops from counted records to the rows of every order.

Sorted records of n ids give those of n - 1 ids by cutting the last id off and adding neighbours:
every n-gram but those at a document's end is the head of one longer n-gram, and those at the end
are in records as well, with `end_id` behind them.
"""

# ruff: noqa: D417  (arguments that several kernels share are told once, above each)
import numpy as np
from numpy.typing import NDArray

from engramctl.counting.keys import Words, first_pair, shifted
from engramctl.runtime.kernel_cache import compiled

_U0, _U1 = np.uint64(0), np.uint64(1)


@compiled
def fold(rows: NDArray[np.uint64], words: Words, bits: np.uint64) -> int:
    """Cut `bits` off every record and add up rows that became equal, in place.

    Args:
        rows: uint64 (n, words + 1), records ascending, counts last.
        words: of a record.
        bits: 0 to 127.

    Returns:
        how many rows are left, at the front.
    """
    last = -1
    for index in range(len(rows)):
        hi = rows[index, 0] if len(words) == 2 else _U0
        hi, lo = shifted(hi, rows[index, len(words) - 1], bits)
        times = rows[index, len(words)]
        same = last >= 0 and rows[last, len(words) - 1] == lo
        if len(words) == 2 and same:
            same = rows[last, 0] == hi
        if same:
            rows[last, len(words)] += times
        else:
            last += 1
            if len(words) == 2:
                rows[last, 0] = hi
            rows[last, len(words) - 1] = lo
            rows[last, len(words)] = times
    return last + 1


@compiled
def last_id(
    lo: np.uint64, order: int, partition: np.uint64, low_bits: np.uint64, id_bits: np.uint64
) -> np.uint64:
    """Return the last id of a record of `order` ids, 2 or more."""
    if order == 2:
        return first_pair(lo, partition, low_bits, id_bits)[1]
    return lo & ((_U1 << id_bits) - _U1)


@compiled
def tally(
    rows: NDArray[np.uint64],
    words: Words,
    order: int,
    end_id: np.uint64,
    partition: np.uint64,
    low_bits: np.uint64,
    id_bits: np.uint64,
    minimum: np.uint64,
) -> tuple[int, int, int]:
    """Count the n-grams of rows, of which those that end behind a document are none.

    Args:
        rows: uint64 (n, words + 1); rows with count 0 are none either.
        words: of a record.
        order: ids a record, 2 to 5.
        end_id, partition, low_bits, id_bits: of the layout, uint64.
        minimum: n-grams with at least so many are kept, uint64.

    Returns:
        distinct n-grams, those kept, and the sum of all counts.
    """
    distinct = kept = 0
    occurrences = np.int64(0)
    for index in range(len(rows)):
        times = rows[index, len(words)]
        lo = rows[index, len(words) - 1]
        if times != 0 and last_id(lo, order, partition, low_bits, id_bits) != end_id:
            distinct += 1
            occurrences += np.int64(times)
            if times >= minimum:
                kept += 1
    return distinct, kept, int(occurrences)


@compiled
def emit(
    rows: NDArray[np.uint64],
    words: Words,
    order: int,
    end_id: np.uint64,
    partition: np.uint64,
    low_bits: np.uint64,
    id_bits: np.uint64,
    minimum: np.uint64,
    ids: NDArray[np.uint32],
    counts: NDArray[np.uint64],
) -> None:
    """Write the token ids and counts of the rows that are kept.

    Args:
        rows, words, order, end_id, partition, low_bits, id_bits, minimum: as for `tally`.
        ids: uint32 (kept, order).
        counts: uint64 (kept,).
    """
    mask = (_U1 << id_bits) - _U1
    number = 0
    for index in range(len(rows)):
        times = rows[index, len(words)]
        lo = rows[index, len(words) - 1]
        if times < minimum or last_id(lo, order, partition, low_bits, id_bits) == end_id:
            continue
        hi = rows[index, 0] if len(words) == 2 else _U0
        for place in range(order - 1, 1, -1):
            ids[number, place] = lo & mask
            hi, lo = shifted(hi, lo, id_bits)
        ids[number, 0], ids[number, 1] = first_pair(lo, partition, low_bits, id_bits)
        counts[number] = times
        number += 1
