"""Zipf exponents by two estimators, which answer different questions.

`s` is the exponent of count = C rank^-s. Real counts follow it only in a part, so each estimate
says which: `x_min` is the smallest count it looked at, `things` how many it rests on.
"""

from typing import Any

import numpy as np

from engramctl.access.power_tail import best_tail
from engramctl.access.spectrum import Spectrum

POINTS = 64  # ranks, evenly spaced by their logarithm
FEWEST_RANKS = 100
FEWEST_IN_TAIL = 50
MOST_TRIED = 1 << 14  # counts that may be x_min


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

    `best_tail` says by which rule. Every count that occurs is tried as x_min whose tail has 50
    things and 4 different counts; of more than 16,384 such counts, so many that are evenly spaced
    by their logarithm.
    """
    values, numbers = (np.ascontiguousarray(part[::-1]) for part in spectrum.steps())
    tails = numbers[::-1].cumsum()[::-1]
    enough = (tails >= FEWEST_IN_TAIL) & (len(values) - np.arange(len(values)) >= 4)
    usable = np.flatnonzero(enough)
    if not len(usable):
        return None
    if len(usable) > MOST_TRIED:
        spread = np.geomspace(values[usable[0]], values[usable[-1]], MOST_TRIED)
        usable = np.unique(np.searchsorted(values[: usable[-1]], spread))
    logs = (numbers * np.log(values))[::-1].cumsum()[::-1]
    at, alpha, distance = best_tail(
        values, np.append(tails, 0), np.ascontiguousarray(logs), usable.astype(np.int64)
    )
    return {
        "s": 1 / (alpha - 1),
        "alpha": alpha,
        "x_min": int(values[at]),
        "things": int(tails[at]),
        "ks_distance": distance,
    }
