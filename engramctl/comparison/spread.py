"""How far a percentile of one run could have fallen elsewhere: blocks of samples, drawn anew.

Samples that follow each other are alike, so whole stretches of a run are drawn, not samples. Each
draw says which share of its samples lies below the percentile; how far that share moves is how far
the percentile may move among the sorted samples. So a draw of 10,000 samples costs a product of a
hundred numbers, and a tail that no sample reaches is known to have no end.
"""

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike, NDArray

DRAWS = 2_000
_MOST_BLOCKS = 100


@dataclass(frozen=True)
class Spread:
    """A percentile of some samples, and how its share moves from draw to draw.

    Attributes:
        share: of the samples at it or below, 0 to 1.
        logs: natural logarithms of the samples, ns, sorted, float64 (n,).
        moved: share below it in each draw, less its own; float64 (DRAWS,).
    """

    share: float
    logs: NDArray[np.float64]
    moved: NDArray[np.float64]

    @property
    def log(self) -> float:
        """The logarithm of the percentile, by nearest rank."""
        return float(self.logs[_rank(len(self.logs), self.share)])

    @property
    def deviation(self) -> float:
        """Standard deviation of the share; at least that of as many independent samples."""
        least = self.share * (1 - self.share) / len(self.logs)
        return math.sqrt(max(least, float(np.var(self.moved))))

    def width(self, by: float) -> float:
        """Return how far the percentile moves at most when its share moves by so much, either way.

        Returns:
            of logarithms; infinite where that is beyond the first or the last sample.
        """
        if self.share - by < 0 or self.share + by > 1:
            return math.inf
        low, high = (self.logs[_rank(len(self.logs), self.share + way)] for way in (-by, by))
        return float(max(high - self.log, self.log - low))


def spread(samples: NDArray[np.float64], percent: float, seed: int) -> Spread:
    """Draw a percentile of samples anew.

    Args:
        samples: ns, above 0, float64 (n,), in the order they were taken; n is 2 or more.
        percent: of the samples lie at it or below.
        seed: of the draws; with the same one, samples of as many rounds are drawn round by round.
    """
    logs = np.log(np.sort(samples))
    below = (samples <= np.sort(samples)[_rank(len(samples), percent / 100)]).astype(np.float64)
    pieces = np.array_split(below, _num_blocks(len(samples)))
    sums = np.array([piece.sum() for piece in pieces])
    sizes = np.array([len(piece) for piece in pieces], np.float64)
    weights = _weights(len(pieces), seed)
    moved = (weights @ sums) / (weights @ sizes) - below.mean()
    moved *= math.sqrt(len(pieces) / (len(pieces) - 1))  # what few blocks leave out
    return Spread(percent / 100, logs, moved)


def percentile_log(samples: ArrayLike, percent: float) -> float:
    """Return the logarithm of the nearest-rank percentile of samples above 0."""
    ordered = np.sort(np.asarray(samples, np.float64))
    return math.log(ordered[_rank(len(ordered), percent / 100)])


def _rank(count: int, share: float) -> int:
    return min(count, max(1, math.ceil(round(share * count, 9)))) - 1


def _num_blocks(count: int) -> int:
    """Return into how many stretches samples are cut: each of about the cube root of them all."""
    length = 1 if count < 20 else round(count ** (1 / 3))
    return max(2, min(count // length, _MOST_BLOCKS))


@lru_cache(maxsize=64)
def _weights(blocks: int, seed: int) -> NDArray[np.float64]:
    """Return how often each draw has each block, float64 (DRAWS, blocks)."""
    random = np.random.default_rng(seed)
    return random.multinomial(blocks, np.full(blocks, 1 / blocks), DRAWS).astype(np.float64)
