"""Spatial sampling: keep every access of a few rows, chosen by a hash of the row.

A row is kept when the hash of its id is among the lowest `rate` of all hashes, so that a sample at
a lower rate is a part of one at a higher rate, and the reuse of a kept row is seen whole. A cache
of C rows over the trace behaves like one of `rate * C` rows over the sample (SHARDS: Waldspurger,
Park, Garthwaite, Ahmad, FAST'15; other policies by simulating that smaller cache: Waldspurger,
Saemundsson, Ahmad, Park, USENIX ATC'17).

Hit rates are `1 - misses / (rate * accesses)`: divided by the accesses that the sample should have,
not by those it has. The difference is nearly all hits of the few hottest rows, which happened to be
in the sample or not; this is the correction SHARDS-adj makes.
"""

import numpy as np
from numpy.typing import NDArray

from engramctl.runtime.fmix64 import fmix64
from engramctl.runtime.kernel_cache import compiled

_ALL = 2**64
_SALT = np.uint64(0x9E3779B97F4A7C15)  # row 0 must not always be in the sample


def threshold(rate: float) -> np.uint64:
    """Return the highest hash that is kept at a rate in (0, 1].

    Example:
        >>> int(threshold(1.0)) == 2**64 - 1, int(threshold(0.5)) == 2**63 - 1
        (True, True)
    """
    assert 0 < rate <= 1
    return np.uint64(max(1, round(rate * _ALL)) - 1)


def power_of_two_rate(amount: int, wanted: int) -> float:
    """Return the highest rate 2^-k at which `amount` is at most `wanted`.

    Example:
        >>> power_of_two_rate(100, 100), power_of_two_rate(101, 100), power_of_two_rate(0, 1)
        (1.0, 0.5, 1.0)
    """
    rate = 1.0
    while amount * rate > wanted:
        rate /= 2
    return rate


@compiled
def row_hash(row: np.int64) -> np.uint64:
    """Return the 64-bit hash by which rows are sampled."""
    return fmix64(np.uint64(row) + _SALT)


@compiled
def _sample(rows: NDArray[np.int64], highest: np.uint64, out: NDArray[np.int64]) -> int:
    """Write the rows that are kept to `out`, in order; returns how many."""
    kept = 0
    for row in rows:
        out[kept] = row
        kept += int(fmix64(np.uint64(row) + _SALT) <= highest)
    return kept


def sample(rows: NDArray[np.int64], rate: float) -> NDArray[np.int64]:
    """Return the accesses to rows in the sample, in order.

    Args:
        rows: row ids, int64 (N,).
        rate: share of rows to keep, in (0, 1].
    """
    if rate >= 1:
        return rows
    out = np.empty(len(rows) + 1, np.int64)
    return out[: _sample(rows, threshold(rate), out)]
