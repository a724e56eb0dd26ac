"""How small a difference a loop can tell: what two copies of one arm may differ by."""

import math
from collections.abc import Sequence

import numpy as np

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
    pairs = np.array([one, other], np.float64)
    count = pairs.shape[1]
    if count < LEAST_SAMPLES:
        return None
    drawn = np.random.default_rng(_SEED).integers(0, count, (_DRAWS, count))
    medians = np.median(pairs[:, drawn], axis=2)
    bound = np.percentile(np.abs(np.log(medians[0] / medians[1])), CONFIDENCE_PERCENT)
    return 100 * math.expm1(bound)
