"""The tail of counts that is most like a power law, of all that may be one.

Clauset, Shalizi and Newman, "Power-law distributions in empirical data" (2009). For an x_min, alpha
is the discrete maximum likelihood (equation 3.5), and the distance that of Kolmogorov and Smirnov
between the counts from x_min on and the law; the x_min of the smallest distance is chosen (section
3.3). A distance is a maximum over counts, so an x_min is out at the first gap above the best so
far: gaps are looked at where the last one was found, then some across the tail, then all.
"""

import math

import numpy as np
from numpy.typing import NDArray

from engramctl.runtime.kernel_cache import compiled

_GOLDEN = (math.sqrt(5) - 1) / 2
_LEAST_ALPHA, _MOST_ALPHA = 1.01, 8.0
_STEPS = 40  # of golden sections: alpha to 3e-8
_STRIDES = 64  # gaps looked at across a tail before all are


@compiled
def hurwitz_zeta(s: float, q: float) -> float:
    """Return sum over k >= 0 of (q + k)^-s, for s > 1 and q >= 1, to 11 digits.

    Up to eight terms, then the formula of Euler and Maclaurin (Abramowitz and Stegun, 23.1.30).
    """
    total = 0.0
    while q < 9.0:
        total += math.exp(-s * math.log(q))
        q += 1.0
    power = math.exp(-s * math.log(q))
    total += power * q / (s - 1.0) + power / 2.0
    power /= q
    rising = s
    square = q * q
    total += rising * power / 12.0
    rising *= (s + 1.0) * (s + 2.0)
    power /= square
    total -= rising * power / 720.0
    rising *= (s + 3.0) * (s + 4.0)
    power /= square
    total += rising * power / 30240.0
    rising *= (s + 5.0) * (s + 6.0)
    power /= square
    return total - rising * power / 1209600.0


@compiled
def _loss(alpha: float, mean_log: float, first: float) -> float:
    return alpha * mean_log + math.log(hurwitz_zeta(alpha, first))


@compiled
def _alpha(mean_log: float, first: float) -> float:
    """Return the alpha of the greatest likelihood, by golden sections: the loss has one valley."""
    low, high = _LEAST_ALPHA, _MOST_ALPHA
    left, right = high - _GOLDEN * (high - low), low + _GOLDEN * (high - low)
    at_left, at_right = _loss(left, mean_log, first), _loss(right, mean_log, first)
    for _ in range(_STEPS):
        if at_left < at_right:
            high, right, at_right = right, left, at_left
            left = high - _GOLDEN * (high - low)
            at_left = _loss(left, mean_log, first)
        else:
            low, left, at_left = left, right, at_right
            right = low + _GOLDEN * (high - low)
            at_right = _loss(right, mean_log, first)
    return (low + high) / 2.0


@compiled
def _gap(
    values: NDArray[np.int64], tails: NDArray[np.int64], start: int, at: int, alpha: float,
    whole: float,
) -> float:  # fmt: skip
    """Return the larger difference at a count, of those not below it and of those above it."""
    found_at = tails[at] / tails[start]
    found_above = tails[at + 1] / tails[start]
    value = float(values[at])
    model_at = hurwitz_zeta(alpha, value) / whole
    model_above = model_at - math.exp(-alpha * math.log(value)) / whole
    gap: float = max(abs(model_at - found_at), abs(model_above - found_above))
    return gap


@compiled
def _distance(
    values: NDArray[np.int64], tails: NDArray[np.int64], start: int, alpha: float, limit: float,
    first_look: int,
) -> tuple[float, int]:  # fmt: skip
    """Return the largest gap of a tail, or the first one of at least `limit`; and where it is."""
    whole = hurwitz_zeta(alpha, float(values[start]))
    most, place = -1.0, start
    if first_look >= start:
        most, place = _gap(values, tails, start, first_look, alpha, whole), first_look
    for step in (max(1, (len(values) - start) // _STRIDES), 1):
        for at in range(start, len(values), step):
            if most >= limit:
                return most, place
            gap = _gap(values, tails, start, at, alpha, whole)
            if gap > most:
                most, place = gap, at
    return most, place


@compiled
def best_tail(
    values: NDArray[np.int64], tails: NDArray[np.int64], logs: NDArray[np.float64],
    starts: NDArray[np.int64],
) -> tuple[int, float, float]:  # fmt: skip
    """Return where the best tail starts, its alpha and its distance; the lowest among equals.

    Args:
        values: the counts that occur, rising, int64 (N,).
        tails: how many things have each count or a larger one, int64 (N + 1,), the last 0.
        logs: the sum of the logarithms of those counts, float64 (N,).
        starts: places of counts where a tail may start, rising, int64 (S,), S > 0.
    """
    best, best_alpha, best_distance = starts[0], 0.0, math.inf
    place = 0
    for start in starts:
        alpha = _alpha(logs[start] / tails[start], float(values[start]))
        distance, place = _distance(values, tails, start, alpha, best_distance, place)
        if distance < best_distance:
            best, best_alpha, best_distance = start, alpha, distance
    return best, best_alpha, best_distance
