"""Row ids taken from a caller: copied, compared with the table, the distinct ones counted."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from engramctl.runtime.kernel_cache import njit

_SPREAD = np.uint64(0x9E3779B97F4A7C15)
_SPREAD_AGAIN = np.uint64(0xD6E8FEB86659FD93)
_HALF = np.uint64(32)
_ANY_ROWS = np.int64(1 << 62)


@njit(inline="always")
def mixed_row(row: Any) -> Any:
    """Return the hash of a row, uint64.

    Two multiplications: one alone sends rows at some even steps (2^k by its low bits, Fibonacci
    numbers by its high ones) to neighbouring slots, and probing becomes quadratic.

    Args:
        row: uint64.
    """
    mixed = row * _SPREAD
    return (mixed ^ (mixed >> _HALF)) * _SPREAD_AGAIN


@njit(inline="always")
def home_slot(row: Any, shift: Any) -> Any:
    """Return where the search for a row begins in a table of 2^(64 - shift) slots.

    Args:
        row: uint64.
        shift: uint64.
    """
    return mixed_row(row) >> shift


@njit(nogil=True, cache=True)
def take_rows(row_ids: Any, rows: Any, num_rows: Any) -> Any:
    """Copy row ids, check their range and count the distinct ones, in one pass.

    Args:
        row_ids: int32 or int64 (n,).
        rows: the copy, int64 (n,).
        num_rows: ids must lie in [0, num_rows).

    Returns:
        the number of distinct ids; or the position of the first id out of range, as -1 - position.
    """
    slots = 16
    shift = np.uint64(60)
    while slots < 2 * row_ids.shape[0]:
        slots *= 2
        shift -= np.uint64(1)
    table = np.full(slots, -1, np.int64)
    distinct = 0
    for i in range(row_ids.shape[0]):
        row = np.int64(row_ids[i])
        rows[i] = row
        if row < 0 or row >= num_rows:
            return -1 - i
        slot = np.int64(home_slot(np.uint64(row), shift))
        while table[slot] != row and table[slot] != -1:
            slot = (slot + 1) & (slots - 1)
        if table[slot] == -1:
            table[slot] = row
            distinct += 1
    return distinct


def distinct_rows(rows: NDArray[np.int64]) -> int:
    """Return how many of some row ids, int64 (n,), not negative, are distinct."""
    return int(take_rows(rows, np.empty(len(rows), np.int64), _ANY_ROWS))
