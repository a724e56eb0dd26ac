"""Zipf exponents by two estimators, which answer different questions.

`s` is the exponent of count = C rank^-s. Real counts follow it only in a part, so each estimate
says which: `x_min` is the smallest count it looked at, `things` how many it rests on.
"""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engramctl.access.spectrum import Spectrum

POINTS = 64  # ranks, evenly spaced by their logarithm
FEWEST_RANKS = 100
FEWEST_IN_TAIL = 50
CANDIDATES = 40
_GOLDEN = (math.sqrt(5) - 1) / 2
_ALPHAS = (1.01, 8.0)


def zipf(spectrum: Spectrum) -> dict[str, Any]:
    """Return both estimates; one that the counts cannot give is None.

    Example:
        >>> spectrum = Spectrum()
        >>> spectrum.add((1e6 / np.arange(1, 10_001)).astype(np.uint64))
        >>> found = zipf(spectrum)
        >>> round(found["least_squares"]["s"], 2), round(found["likelihood"]["s"], 1)
        (1.0, 1.0)
    """
    return {"least_squares": _least_squares(spectrum), "likelihood": _likelihood(spectrum)}


def _least_squares(spectrum: Spectrum) -> dict[str, Any] | None:
    """Fit a line to log count over log rank, at ranks D^(1/4) to D^(3/4) of D things.

    The middle half of the logarithmic scale: the head is few things, each with a story, and the
    end a staircase of small counts. Ranks are evenly spaced by logarithm, so that the many low
    counts do not outvote the rest.
    """
    values, numbers = spectrum.steps()
    distinct = spectrum.things
    last_of = np.cumsum(numbers)
    if distinct < FEWEST_RANKS:
        return None
    low, high = distinct**0.25, min(distinct**0.75, float(last_of[-1]) if len(last_of) else 0.0)
    ranks = np.unique(np.rint(np.geomspace(low, max(low, high), POINTS)).astype(np.int64))
    if len(ranks) < 8:
        return None
    counts = values[np.searchsorted(last_of, ranks)]
    x, y = np.log(ranks), np.log(counts)
    x -= x.mean()
    return {
        "s": -float((x * y).sum() / (x * x).sum()),
        "x_min": int(counts[-1]),
        "things": int(ranks[-1] - ranks[0] + 1),
        "ranks": [int(ranks[0]), int(ranks[-1])],
    }


def _likelihood(spectrum: Spectrum) -> dict[str, Any] | None:
    """Fit p(x) = x^-alpha / zeta(alpha, x_min) to the counts from x_min on; s = 1 / (alpha - 1).

    The discrete maximum likelihood of Clauset, Shalizi and Newman, "Power-law distributions in
    empirical data" (2009), equation 3.5; x_min is the candidate with the smallest distance of
    Kolmogorov and Smirnov (section 3.3). Candidates are counts evenly spaced by logarithm.
    """
    values, numbers = (part[::-1] for part in spectrum.steps())
    tails = numbers[::-1].cumsum()[::-1]
    usable = np.flatnonzero((tails >= FEWEST_IN_TAIL) & (len(values) - np.arange(len(values)) >= 4))
    if not len(usable):
        return None
    spread = np.geomspace(values[usable[0]], values[usable[-1]], CANDIDATES)
    best: tuple[float, float, int] | None = None
    for at in np.unique(np.searchsorted(values[: usable[-1] + 1], spread)):
        at = min(int(at), int(usable[-1]))
        alpha, distance = _fit(values[at:], numbers[at:])
        if best is None or distance < best[0]:
            best = (distance, alpha, at)
    assert best is not None
    distance, alpha, at = best
    return {
        "s": 1 / (alpha - 1),
        "alpha": alpha,
        "x_min": int(values[at]),
        "things": int(tails[at]),
        "ks_distance": distance,
    }


def _fit(values: NDArray[np.int64], numbers: NDArray[np.int64]) -> tuple[float, float]:
    """Return alpha and the Kolmogorov-Smirnov distance for counts from values[0] on."""
    total = int(numbers.sum())
    mean_log = float((numbers * np.log(values)).sum()) / total
    first = np.array([values[0]])

    def loss(alpha: float) -> float:
        return alpha * mean_log + math.log(hurwitz_zeta(alpha, first)[0])

    alpha = _minimum(loss, *_ALPHAS)
    at_least = hurwitz_zeta(alpha, np.append(values, values + 1))
    model_at, model_above = at_least.reshape(2, -1) / at_least[0]
    found_at = numbers[::-1].cumsum()[::-1] / total
    found_above = found_at - numbers / total
    gaps = np.abs(np.concatenate([model_at - found_at, model_above - found_above]))
    return alpha, float(gaps.max())


def hurwitz_zeta(s: float, q: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return sum over k >= 0 of (q + k)^-s, for s > 1 and q >= 1, to 11 digits.

    Eight terms, then the formula of Euler and Maclaurin (Abramowitz and Stegun, 23.1.30).

    Example:
        >>> abs(float(hurwitz_zeta(2.0, np.array([1]))[0]) - math.pi**2 / 6) < 1e-11
        True
    """
    base = q.astype(np.float64)
    total = np.zeros(len(base))
    for _ in range(8):
        total += base**-s
        base += 1
    total += base ** (1 - s) / (s - 1) + base**-s / 2
    rising, power = s, base ** (-s - 1)
    for k, coefficient in ((1, 1 / 12), (3, -1 / 720), (5, 1 / 30240), (7, -1 / 1209600)):
        total += coefficient * rising * power
        rising *= (s + k) * (s + k + 1)
        power /= base**2
    return total


def _minimum(function: Callable[[float], float], low: float, high: float) -> float:
    """Find where a function with one valley is least, by golden sections."""
    left, right = high - _GOLDEN * (high - low), low + _GOLDEN * (high - low)
    f_left, f_right = function(left), function(right)
    for _ in range(40):
        if f_left < f_right:
            high, right, f_right = right, left, f_left
            left = high - _GOLDEN * (high - low)
            f_left = function(left)
        else:
            low, left, f_left = left, right, f_right
            right = low + _GOLDEN * (high - low)
            f_right = function(right)
    return (low + high) / 2
