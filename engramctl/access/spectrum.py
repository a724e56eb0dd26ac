"""The frequency spectrum: how many things (n-grams, rows) have each count.

Everything said here of counts hangs on it alone, it adds up over parts, and it is small: n things
of different counts occur at least n (n + 1) / 2 times together.
"""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engramctl.hashing.diagnose.chance import CountHistogram

SMALL = 1 << 12  # counts below are tallied in an array
COVERAGE_PERCENTS = (0.1, 1.0, 5.0, 10.0, 25.0, 50.0)
COVERAGE_ROWS = (1_000, 10_000, 100_000, 1_000_000, 10_000_000, 100_000_000)


class Spectrum:
    """Things by their count, exact.

    `hidden` things occur, but only their number and the sum of their counts are known: what was
    left out for occurring too seldom.

    Example:
        >>> spectrum = Spectrum()
        >>> spectrum.add(np.array([5, 1, 1, 2], np.uint64))
        >>> spectrum.things, spectrum.accesses, spectrum.top(2)
        (4, 9, 7)
    """

    def __init__(self) -> None:
        """Begin with nothing."""
        self._small = np.zeros(SMALL, np.int64)
        self._large: dict[int, int] = {}
        self.hidden = (0, 0)

    def add(self, counts: NDArray[np.unsignedinteger[Any]]) -> None:
        """Take in the counts of things; those that are 0 are none."""
        small = counts < SMALL
        if not small.all():
            values, numbers = np.unique(counts[~small], return_counts=True)
            self._add_large(values.tolist(), numbers.tolist())
            counts = counts[small]
        self._small += np.bincount(counts.astype(np.int64), minlength=SMALL)
        self._small[0] = 0

    def merge(self, other: "Spectrum") -> None:
        """Take in another spectrum's things."""
        self._small += other._small
        self._add_large(list(other._large), list(other._large.values()))
        self.hidden = (self.hidden[0] + other.hidden[0], self.hidden[1] + other.hidden[1])

    def hide(self, things: int, accesses: int, min_count: int) -> None:
        """Take in things that occur less than `min_count` times each, known only together.

        Up to 3 nothing stays hidden: with a of count 1 and b of count 2, a + b and a + 2 b tell.
        """
        if min_count <= 3:
            twice = accesses - things
            self._small[1] += things - twice
            self._small[2] += twice
        else:
            self.hidden = (self.hidden[0] + things, self.hidden[1] + accesses)

    def _add_large(self, values: Sequence[int], numbers: Sequence[int]) -> None:
        for value, number in zip(values, numbers, strict=True):
            self._large[value] = self._large.get(value, 0) + number

    def steps(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return the counts that occur, falling, and how many things have each; none is hidden."""
        large = sorted(self._large, reverse=True)
        small = np.flatnonzero(self._small)[::-1]
        numbers = [self._large[value] for value in large]
        return (
            np.concatenate([np.array(large, np.int64), small]),
            np.concatenate([np.array(numbers, np.int64), self._small[small]]),
        )

    @property
    def things(self) -> int:
        """How many there are, the hidden ones too."""
        return int(self._small.sum()) + sum(self._large.values()) + self.hidden[0]

    @property
    def accesses(self) -> int:
        """The sum of all counts."""
        small = int((self._small * np.arange(SMALL)).sum())
        return small + sum(value * n for value, n in self._large.items()) + self.hidden[1]

    def histogram(self) -> CountHistogram:
        """Return it as what chance is computed from; only without hidden things."""
        assert not self.hidden[0]
        values, numbers = self.steps()
        return CountHistogram(dict(zip(values.tolist(), numbers.tolist(), strict=True)))

    def top(self, things: int) -> int:
        """Return the sum of the largest counts of `things`, as far as none of them is hidden."""
        values, numbers = self.steps()
        before = np.cumsum(numbers) - numbers
        taken = np.clip(things - before, 0, numbers)
        return int((values * taken).sum())

    def entropy_bits(self) -> float | None:
        """Return the entropy of one access in bits; None without accesses, or with hidden things.

        H = log2 N - (1 / N) sum of c log2 c, N the accesses and c the counts.
        """
        total = self.accesses
        if not total or self.hidden[0]:
            return None
        values, numbers = self.steps()
        parts = numbers * (values * np.log2(values))
        return max(0.0, math.log2(total) - math.fsum(parts.tolist()) / total)

    def entropy(self) -> dict[str, float | None]:
        """Return the entropy in bits, and over that of equal counts (0 to 1)."""
        bits = self.entropy_bits()
        even = math.log2(self.things) if self.things else 0.0
        return {"bits": bits, "normalised": bits / even if bits is not None and even else None}

    def coverage(self, num_rows: int) -> list[dict[str, float | int | None]]:
        """Return which share of the accesses the hottest rows serve.

        Args:
            num_rows: of the table, those that nothing reads too: percentages are of these.

        Returns:
            points by `rows`, ascending: `percent` of the rows (None where the number of rows was
            chosen), `rows`, `share` of accesses, 0 to 1 (None without accesses).
        """
        points: list[tuple[int, float | None]] = [
            (max(1, round(num_rows * percent / 100)), percent) for percent in COVERAGE_PERCENTS
        ]
        points += [(rows, None) for rows in COVERAGE_ROWS if rows < num_rows]
        total = self.accesses
        return [
            {
                "percent": percent,
                "rows": rows,
                "share": self.top(rows) / total if total else None,
            }
            for rows, percent in sorted(points, key=lambda point: (point[0], point[1] or 0.0))
        ]
