"""LRU hit rates at cache sizes from small to large, each from a sample that is fine enough.

One sample at a low rate knows little of small caches: at 1 in 128 a cache of 1,024 rows is 8 rows.
So sizes that have fewer than `LEAST_ROWS` rows there are read from further stacks, at higher rates
but no deeper than those sizes need, which makes them cheap.
"""

import numpy as np
from numpy.typing import NDArray

from engramctl.caches.stack import StackDistances

LEAST_ROWS = 512
DEPTH = 8 * LEAST_ROWS
_STEP = 16


class LruCurve:
    """Stack distances of a trace at one rate, and truncated ones at the higher rates 16^-k."""

    def __init__(self, sizes: tuple[int, ...], rate: float, max_rows: int | None) -> None:
        """Begin with empty caches.

        Args:
            sizes: cache sizes in rows, ascending.
            rate: a power of two at most 1; 1 without `max_rows` is exact.
            max_rows: as in `StackDistances`.
        """
        self._sizes = sizes
        self._whole = StackDistances(rate, max_rows)
        self._fine: list[StackDistances] = []
        own = 1.0
        lowest = rate if max_rows is None else 0.0
        while own > lowest and own * sizes[-1] >= LEAST_ROWS / _STEP:
            self._fine.append(StackDistances(own, depth=DEPTH))
            own /= _STEP

    @property
    def rate(self) -> float:
        """The lowest rate, of large caches."""
        return self._whole.rate

    @property
    def accesses(self) -> int:
        """Accesses so far."""
        return self._whole.accesses

    def add(self, rows: NDArray[np.int64]) -> None:
        """Take in the next accesses, int64 (N,)."""
        self._whole.add(rows)
        for fine in self._fine:
            fine.add(rows)

    def hit_rates(self) -> dict[int, float]:
        """Return the share of accesses hit, 0 to 1, by cache size in rows."""
        return {size: self._of(size).hit_rate(size) for size in self._sizes}

    def _of(self, size: int) -> StackDistances:
        """Return the coarsest stack that is fine enough for a size, or the finest deep enough."""
        if size * self._whole.rate >= LEAST_ROWS:
            return self._whole
        deep = [fine for fine in self._fine if self._whole.rate < fine.rate <= DEPTH / size]
        return next(
            (fine for fine in reversed(deep) if size * fine.rate >= LEAST_ROWS),
            deep[0] if deep else self._whole,
        )
