"""How small a difference a loop can tell: what two copies of one arm may differ by."""

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from engramctl.results.document import LEAST_SAMPLES

CONFIDENCE_PERCENT = 95
_DRAWS = 2_000
_SEED = 0


def resolution_percent(one: Sequence[int], other: Sequence[int]) -> float | None:
    """Return what the medians of two interleaved copies of one arm may differ by, in percent.

    Samples i of both are a pair, of one round: what slows a whole round is in both. As many pairs
    as there are, drawn with replacement, give one |log(median of one / median of the other)|; the
    result is the 95th percentile of 2,000 such draws, as a percentage: 100 (e^x - 1). The draws
    have a fixed seed, so the samples decide, and either copy may be the first. None for less than
    LEAST_SAMPLES pairs: of three, the bound held 86 times in 100 only.

    Example:
        >>> resolution_percent([100, 200, 300, 200, 100], [100, 200, 300, 200, 100])
        0.0
    """
    medians = _drawn_medians(one, other)
    if medians is None:
        return None
    bound = np.percentile(np.abs(np.log(medians[0] / medians[1])), CONFIDENCE_PERCENT)
    return 100 * math.expm1(bound)


def difference_ns(one: Sequence[int], other: Sequence[int]) -> int | None:
    """Return what the medians of two copies of one arm may differ by, in their own unit.

    As `resolution_percent`, of differences in place of ratios: for times that may be near 0.

    Example:
        >>> difference_ns([1, 2, 3, 4, 5], [1, 2, 3, 4, 5]), difference_ns([1], [2])
        (0, None)
    """
    medians = _drawn_medians(one, other)
    if medians is None:
        return None
    bound = np.percentile(np.abs(medians[0] - medians[1]), CONFIDENCE_PERCENT)
    return math.ceil(float(bound))


def _drawn_medians(one: Sequence[int], other: Sequence[int]) -> NDArray[np.float64] | None:
    """Return the medians of both copies, (2, draws); None for too few pairs."""
    pairs = np.array([one, other], np.float64)
    count = pairs.shape[1]
    if count < LEAST_SAMPLES:
        return None
    drawn = np.random.default_rng(_SEED).integers(0, count, (_DRAWS, count))
    medians: NDArray[np.float64] = np.median(pairs[:, drawn], axis=2)
    return medians
