"""What a fixed set of rows serves: the most accessed ones of the text that was mined.

Exact: one counter a row of the heads that are read (4 bytes), then two bytes a row that say how
large the set must be to hold it, in its own order and in all orders together.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from engramctl.runtime.kernel_cache import compiled

_CLIP = 1 << 16  # counts from here on are sorted, those below are binned


@compiled
def _count(rows: NDArray[np.int64], start: int, counts: NDArray[np.uint32]) -> None:
    for row in rows:
        counts[row - start] += np.uint32(1)


@compiled
def _bins(counts: NDArray[np.uint32], bins: NDArray[np.int64]) -> None:
    last = np.uint32(len(bins) - 1)
    for count in counts:
        bins[min(count, last)] += 1


@compiled
def _rank(
    counts: NDArray[np.uint32],
    least: NDArray[np.int64],
    ties: NDArray[np.int64],
    seen: NDArray[np.int64],
    levels: NDArray[np.uint8],
    served: NDArray[np.int64],
) -> None:
    """Write the index of the smallest set that holds each row, and add its accesses there.

    Args:
        counts: accesses of each row.
        least: the lowest count in each set, ascending sets.
        ties: how many rows with that count it holds, lowest row ids first.
        seen: rows with that count so far; moved on.
        levels: the indices; len(least) when no set holds a row.
        served: accesses by index; added to.
    """
    for index in range(len(counts)):
        count = np.int64(counts[index])
        level = len(least)
        for number in range(len(least) - 1, -1, -1):
            if count < least[number]:
                break
            if count > least[number]:
                level = number
            else:
                if seen[number] < ties[number]:
                    level = number
                seen[number] += 1
        levels[index] = level
        served[level] += count


@compiled
def _serve(
    rows: NDArray[np.int64], start: int, levels: NDArray[np.uint8], served: NDArray[np.int64]
) -> None:
    for row in rows:
        served[levels[row - start]] += 1


def _cuts(
    counts: Sequence[NDArray[np.uint32]], sizes: Sequence[int]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the lowest count in each set of the most accessed rows, and how many have it.

    Rows that were never accessed are in no set.
    """
    bins = np.zeros(_CLIP + 1, np.int64)
    for part in counts:
        _bins(part, bins)
    high = np.concatenate([part[part >= _CLIP] for part in counts])
    high = np.sort(high)[::-1].astype(np.int64)
    at_least = np.cumsum(bins[::-1])[::-1]
    least, ties = np.zeros(len(sizes), np.int64), np.zeros(len(sizes), np.int64)
    for number, size in enumerate(sizes):
        if size <= len(high):
            least[number] = high[size - 1]
            ties[number] = size - np.count_nonzero(high > least[number])
        elif size <= at_least[1]:
            count = int(np.searchsorted(-at_least, -size, side="right")) - 1
            least[number] = count
            ties[number] = size - at_least[count + 1]
    return least, ties


class StaticRows:
    """The most accessed rows of one text, and what they serve of others.

    Args of the constructor: `starts` and `rows`, first row id and rows of each order's head;
    `sizes`, ascending numbers of rows a set may hold: one list an order, and one for all orders.
    """

    def __init__(
        self,
        starts: Sequence[int],
        rows: Sequence[int],
        sizes: Sequence[Sequence[int]],
        all_sizes: Sequence[int],
    ) -> None:
        """Begin at nought."""
        self._starts = tuple(starts)
        self._sizes = [tuple(all_sizes), *(tuple(one) for one in sizes)]
        self._counts = [np.zeros(one, np.uint32) for one in rows]
        self._levels: list[list[NDArray[np.uint8]]] = []

    def add(self, rows: NDArray[np.int64]) -> None:
        """Count the accesses of the text that is mined, int64 (T, orders)."""
        for number, (start, counts) in enumerate(zip(self._starts, self._counts, strict=True)):
            _count(np.ascontiguousarray(rows[:, number]), start, counts)

    def rank(self) -> list[dict[int, int]]:
        """Choose the sets, drop the counters; returns what they serve of the text itself.

        Returns:
            accesses served by size: of all orders together first, then of each order.
        """
        served = self.nothing()
        own = [np.empty(len(counts), np.uint8) for counts in self._counts]
        joint = [np.empty(len(counts), np.uint8) for counts in self._counts]
        least, ties = _cuts(self._counts, self._sizes[0])
        seen = np.zeros_like(ties)
        for number, counts in enumerate(self._counts):
            _rank(counts, least, ties, seen, joint[number], served[0])
            alone = _cuts([counts], self._sizes[number + 1])
            _rank(counts, *alone, np.zeros_like(alone[1]), own[number], served[number + 1])
        self._levels = [joint, own]
        self._counts = []
        return self.served(served)

    def nothing(self) -> list[NDArray[np.int64]]:
        """Return accesses by level, all 0, for `serve`."""
        return [np.zeros(len(sizes) + 1, np.int64) for sizes in self._sizes]

    def serve(self, rows: NDArray[np.int64], served: list[NDArray[np.int64]]) -> None:
        """Add the accesses of another text, int64 (T, orders), to what `nothing` gave."""
        for number in range(len(self._starts)):
            self.serve_order(number, rows[:, number], served)

    def serve_order(
        self, number: int, rows: NDArray[np.int64], served: list[NDArray[np.int64]]
    ) -> None:
        """Add the accesses of one order alone, by its number: int64 (N,)."""
        joint, own = self._levels
        part, start = np.ascontiguousarray(rows), self._starts[number]
        _serve(part, start, joint[number], served[0])
        _serve(part, start, own[number], served[number + 1])

    def served(self, served: list[NDArray[np.int64]]) -> list[dict[int, int]]:
        """Return accesses served by size, as `rank` does."""
        return [
            dict(zip(sizes, np.cumsum(levels)[:-1].tolist(), strict=True))
            for sizes, levels in zip(self._sizes, served, strict=True)
        ]
