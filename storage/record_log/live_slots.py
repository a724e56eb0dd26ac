"""Kernels of the live index: entries looked for, taken in, taken out.

`shape` is uint64: bits of an order index, log2 of the buckets, slots a bucket, bits that hold how
far an entry lies from its home slot, the farthest it may. A slot has a mixed low word and a word of
32 bits: the record's number from 1, shifted over the distance; 0: an empty one.
"""

import numpy as np
from numpy.typing import NDArray

from engramctl.runtime.fmix64 import fmix64
from engramctl.runtime.kernel_cache import compiled
from engramctl.storage.format.key_mixing import bucket_of

_LONGEST_RUN = 1 << 12  # entries that one insertion moves at most


@compiled
def _home(
    mixed: np.uint64, high: np.uint64, order: np.uint64, shape: NDArray[np.uint64]
) -> np.int64:  # pragma: no cover
    """Return the home slot: in the bucket's range of `width` slots, by the word's low half."""
    bucket = bucket_of(mixed, high, order, shape[0], shape[1])
    within = ((mixed & np.uint64(0xFFFFFFFF)) * shape[2]) >> np.uint64(32)
    return np.int64(bucket * shape[2] + within)


@compiled
def _slot_of(
    mixed: np.uint64,
    home: np.int64,
    shape: NDArray[np.uint64],
    remainders: NDArray[np.uint64],
    words: NDArray[np.uint32],
) -> np.int64:  # pragma: no cover
    """Return the slot of an entry; where it is not there, -1 less the slot that is to be its own.

    That slot may lie one too far away.
    """
    mask = (np.int64(1) << np.int64(shape[3])) - 1
    for away in range(np.int64(shape[4]) + 1):
        word = np.int64(words[home + away])
        if word == 0 or (word & mask) < away:
            return -1 - (home + away)
        if (word & mask) == away and remainders[home + away] == mixed:
            return home + away
    return -1 - (home + np.int64(shape[4]) + 1)


@compiled
def find_entries(
    orders: NDArray[np.uint64],
    keys: NDArray[np.uint64],
    highest: np.uint64,
    shape: NDArray[np.uint64],
    remainders: NDArray[np.uint64],
    words: NDArray[np.uint32],
    out: NDArray[np.int64],
) -> None:  # pragma: no cover
    """Write the number of every key, -1 where it has none."""
    for i in range(len(keys)):
        out[i] = -1
        if keys[i, 1] <= highest:
            mixed = fmix64(keys[i, 0])
            slot = _slot_of(mixed, _home(mixed, keys[i, 1], orders[i], shape), shape, remainders,
                            words)  # fmt: skip
            if slot >= 0:
                out[i] = (np.int64(words[slot]) >> np.int64(shape[3])) - 1


@compiled
def insert_entries(
    orders: NDArray[np.uint64],
    keys: NDArray[np.uint64],
    numbers: NDArray[np.uint32],
    shape: NDArray[np.uint64],
    remainders: NDArray[np.uint64],
    words: NDArray[np.uint32],
) -> int:  # pragma: no cover
    """Insert; returns how many entries there are more now."""
    away_bits, most = np.int64(shape[3]), np.int64(shape[4])
    mask = (np.int64(1) << away_bits) - 1
    added = 0
    for i in range(len(keys)):
        mixed = fmix64(keys[i, 0])
        home = _home(mixed, keys[i, 1], orders[i], shape)
        numbered = (np.int64(numbers[i]) + 1) << away_bits
        slot = _slot_of(mixed, home, shape, remainders, words)
        if slot >= 0:
            words[slot] = np.uint32(numbered | (np.int64(words[slot]) & mask))
            continue
        slot = -1 - slot
        end = slot  # of the run that has to move
        while end < len(words) and words[end] != 0:
            if (np.int64(words[end]) & mask) == most or end - slot == _LONGEST_RUN:
                end = np.int64(len(words))
            else:
                end += 1
        if slot - home > most or end >= len(words):
            continue
        for place in range(end, slot, -1):
            remainders[place] = remainders[place - 1]
            words[place] = words[place - 1] + np.uint32(1)
        remainders[slot] = mixed
        words[slot] = np.uint32(numbered | (slot - home))
        added += 1
    return added


@compiled
def _take_out(
    slot: np.int64,
    mask: np.int64,
    remainders: NDArray[np.uint64],
    words: NDArray[np.uint32],
) -> None:  # pragma: no cover
    """Empty a slot; the entries behind it that are not at home come one nearer."""
    after = slot + 1
    while after < len(words) and (np.int64(words[after]) & mask) != 0:
        remainders[after - 1] = remainders[after]
        words[after - 1] = words[after] - np.uint32(1)
        after += 1
    words[after - 1] = 0


@compiled
def remove_entries(
    orders: NDArray[np.uint64],
    keys: NDArray[np.uint64],
    numbers: NDArray[np.uint32],
    shape: NDArray[np.uint64],
    remainders: NDArray[np.uint64],
    words: NDArray[np.uint32],
) -> int:  # pragma: no cover
    """Remove; returns how many entries there are less now."""
    away_bits = np.int64(shape[3])
    removed = 0
    for i in range(len(keys)):
        mixed = fmix64(keys[i, 0])
        slot = _slot_of(mixed, _home(mixed, keys[i, 1], orders[i], shape), shape, remainders, words)
        if slot >= 0 and np.int64(words[slot]) >> away_bits == np.int64(numbers[i]) + 1:
            _take_out(slot, (np.int64(1) << away_bits) - 1, remainders, words)
            removed += 1
    return removed


@compiled
def sweep_entries(
    begin: int,
    end: int,
    first: int,
    stop: int,
    away_bits: np.uint64,
    remainders: NDArray[np.uint64],
    words: NDArray[np.uint32],
) -> int:  # pragma: no cover
    """Take numbers in [first, stop) out of a range of slots; returns how many."""
    shift = np.int64(away_bits)
    removed = 0
    slot = np.int64(begin)
    while slot < end:
        number = (np.int64(words[slot]) >> shift) - 1
        if first <= number < stop:
            _take_out(slot, (np.int64(1) << shift) - 1, remainders, words)
            removed += 1
        else:
            slot += 1
    return removed
