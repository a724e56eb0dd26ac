"""What pure chance would do: n-grams thrown into slots at random, each slot equally likely."""

import math
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray


@dataclass
class CountHistogram:
    """How many distinct n-grams have each count; all that chance depends on.

    Attributes:
        times: count -> distinct n-grams with that count.
    """

    times: dict[int, int] = field(default_factory=dict)

    def add(self, counts_M: NDArray[np.uint64]) -> None:
        """Take in the counts of distinct n-grams."""
        values, numbers = np.unique(counts_M, return_counts=True)
        for value, number in zip(values.tolist(), numbers.tolist(), strict=True):
            self.times[value] = self.times.get(value, 0) + number

    @property
    def ngrams(self) -> int:
        """Distinct n-grams."""
        return sum(self.times.values())

    @property
    def accesses(self) -> int:
        """The sum of all counts."""
        return sum(value * number for value, number in self.times.items())

    def expected_reached(self, num_slots: int) -> float:
        """Return the expected number of slots with at least one n-gram: K (1 - (1 - 1/K)^n).

        Example:
            >>> CountHistogram({1: 2}).expected_reached(2)
            1.5
        """
        return -num_slots * math.expm1(self.ngrams * _log_other(num_slots))

    def expected_colliding(self, num_slots: int) -> float:
        """Return the expected n-grams that share their slot: n (1 - (1 - 1/K)^(n - 1)).

        Example:
            >>> CountHistogram({1: 2}).expected_colliding(2)
            1.0
        """
        return -self.ngrams * math.expm1(max(0, self.ngrams - 1) * _log_other(num_slots))

    def expected_overshadowed(self, num_slots: int) -> float:
        """Return the expected share of accesses by n-grams that are not the top of their slot.

        The n-gram of rank r (from 0, by falling count) is its slot's top with probability
        (1 - 1/K)^r; the ranks of one count are summed in closed form.

        Example:
            >>> CountHistogram({3: 1, 1: 1}).expected_overshadowed(2)
            0.125
        """
        log, rank, top = _log_other(num_slots), 0, 0.0
        for value in sorted(self.times, reverse=True):
            number = self.times[value]
            run = -num_slots * math.exp(rank * log) * math.expm1(number * log)
            top += value * run
            rank += number
        return max(0.0, 1 - top / self.accesses) if self.accesses else 0.0


def _log_other(num_slots: int) -> float:
    """Return log(1 - 1/K), the chance to land elsewhere; for K = 1 one whose exp is 0."""
    return math.log1p(-1 / num_slots) if num_slots > 1 else -1e4
