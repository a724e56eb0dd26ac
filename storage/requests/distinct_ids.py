"""Distinct row ids of a request of any length, counted exactly in memory of a fixed size.

A part of the ids at a time, in as many passes over all of them as the memory needs: each remembers
the ids of a range of the table as bits, or those of a range of hashes in a table of slots.
"""

from typing import Any

import numpy as np

from engramctl.runtime.kernel_cache import njit
from engramctl.storage.io.take_rows import mixed_row, take_rows

_WORD_BITS = 64
_HALF = np.uint64(32)
_LOW_HALF = np.uint64(0xFFFFFFFF)


@njit(inline="always")
def _slots_for(num_ids: Any) -> Any:
    """Return the slots in which a search for one of so many ids ends soon: a third is spare."""
    return num_ids + num_ids // 3 + 1


def words_for(num_ids: int, num_rows: int) -> int:
    """Return the int64 with which one pass is enough.

    Args:
        num_ids: of a request.
        num_rows: of its table.
    """
    return max(1, min(int(_slots_for(num_ids)), -(-num_rows // _WORD_BITS)))


@njit(nogil=True, cache=True)
def _by_hashes(row_ids: Any, slots: Any, passes: Any) -> Any:
    """Count distinct ids, of a range of their hashes in each pass; -1: more than there are slots.

    Where the search for an id begins is in the high half of its hash, its range in the low one.
    """
    number_of_slots, parts = np.uint64(slots.shape[0]), np.uint64(passes)
    distinct = 0
    for number in range(passes):
        slots[:] = -1
        taken = 0
        for i in range(row_ids.shape[0]):
            row = np.int64(row_ids[i])
            mixed = mixed_row(np.uint64(row))
            if ((mixed & _LOW_HALF) * parts) >> _HALF != np.uint64(number):
                continue
            slot: Any = np.int64(((mixed >> _HALF) * number_of_slots) >> _HALF)
            while slots[slot] != row and slots[slot] != -1:
                slot = slot + 1 if slot + 1 < slots.shape[0] else 0
            if slots[slot] == -1:
                if taken + 1 == slots.shape[0]:
                    return -1
                slots[slot] = row
                taken += 1
        distinct += taken
    return distinct


@njit(nogil=True, cache=True)
def _by_bits(row_ids: Any, words: Any, num_rows: Any) -> Any:
    """Count distinct ids, of a range of the table in each pass, whose rows are a bit each."""
    bits = np.int64(words.shape[0] * _WORD_BITS)
    distinct = 0
    for first in range(0, num_rows, bits):
        words[:] = 0
        for i in range(row_ids.shape[0]):
            at = np.int64(row_ids[i]) - first
            if 0 <= at < bits:
                word, bit = at // _WORD_BITS, at % _WORD_BITS
                distinct += 1 - ((words[word] >> bit) & 1)
                words[word] |= np.int64(1) << bit
    return distinct


@njit(nogil=True, cache=True)
def count_distinct(row_ids: Any, words: Any, num_rows: Any) -> Any:
    """Check the range of row ids and count the distinct ones, without a copy of them.

    Args:
        row_ids: int32 or int64 (n,).
        words: memory to count in, int64, at least one; written to.
        num_rows: ids must lie in [0, num_rows).

    Returns:
        the number of distinct ids; or the position of the first id out of range, as -1 - position.
    """
    for i in range(row_ids.shape[0]):
        if row_ids[i] < 0 or row_ids[i] >= num_rows:
            return -1 - i
    hashes = -(-_slots_for(row_ids.shape[0]) // words.shape[0])
    if hashes < -(-num_rows // (_WORD_BITS * words.shape[0])):
        distinct = _by_hashes(row_ids, words, hashes)
        if distinct >= 0:
            return distinct
    return _by_bits(row_ids, words, num_rows)


def compile_counts(copied: bool) -> None:
    """Compile now: not in the middle of a step, nor while another thread forks.

    Args:
        copied: whether the ids of every request are.
    """
    for kind in (np.int32, np.int64):
        none = np.empty(0, kind)
        take_rows(none, np.empty(0, np.int64), 0)
        if not copied:
            count_distinct(none, np.empty(1, np.int64), 0)
