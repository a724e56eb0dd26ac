"""Count over rank of the n-grams of every order, and the exponents that describe it."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from engramctl.access.spectrum import Spectrum
from engramctl.counts.ngrams import num_ngrams, read_ngrams
from engramctl.output import Table
from engramctl.report.figures.figure import Figure, Line, Lines

MOST_NGRAMS = 20_000_000  # of an order that is read for its curve
_POINTS = 16
_HOW = (
    "Both axes are logarithmic: a power law is a straight line, count = C / rank^s. Exponents by "
    "least squares (ls) in the middle ranks, and by maximum likelihood (mle) from x_min on."
)


def zipf_figures(
    counts: Mapping[str, Mapping[str, Any]], keys: Mapping[str, str]
) -> Iterator[Figure]:
    """Return a figure for each folder of counts; orders of too many n-grams have no curve.

    Args:
        counts: documents of `describe`, by name.
        keys: what a name is called in keys of figures.

    Raises:
        CorpusError: a broken file.
    """
    for name, document in counts.items():
        folder = Path(document["path"])
        lines = []
        rows: list[dict[str, object]] = []
        left_out = []
        for place, order in enumerate(document["orders"]):
            length = order["order"]
            if num_ngrams(folder, length) > MOST_NGRAMS:
                left_out.append(length)
                continue
            ranks, counted = _curve(folder, length)
            if ranks:
                lines.append(Line(f"order {length}", place, ranks, counted))
            exponents = _exponents(order)
            rows += [
                {"order": length, "rank": int(rank), "count": int(count), **exponents}
                for rank, count in zip(ranks, counted, strict=True)
            ]
        if lines:
            title = f"Zipf: counts of n-grams by rank, of {name}"
            says = f"{_conclusion(document['orders'])} {_HOW}"
            if left_out:
                says += f" Of more than {MOST_NGRAMS:,} n-grams no curve is drawn: order "
                says += ", ".join(map(str, left_out)) + "."
            plot = Lines(tuple(lines), "rank", "count", x_log=True, y_log=True)
            yield Figure(f"zipf-{keys[name]}", title, says, plot, Table(title, rows))


def _curve(folder: Path, order: int) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Return ranks, evenly spaced by logarithm, and the count of the n-gram at each."""
    spectrum = Spectrum()
    for _, counts in read_ngrams(folder, order):
        spectrum.add(counts)
    values, numbers = spectrum.steps()
    if not len(values):
        return (), ()
    last_of = np.cumsum(numbers)
    ranks = np.unique(np.rint(np.geomspace(1, last_of[-1], _POINTS)).astype(np.int64))
    counted = values[np.searchsorted(last_of, ranks)]
    return tuple(map(float, ranks.tolist())), tuple(map(float, counted.tolist()))


def _exponents(order: Mapping[str, Any]) -> dict[str, object]:
    fits = order.get("zipf") or {}
    line, tail = fits.get("least_squares") or {}, fits.get("likelihood") or {}
    return {"zipf ls": line.get("s"), "zipf mle": tail.get("s"), "x_min": tail.get("x_min")}


def _conclusion(orders: list[Mapping[str, Any]]) -> str:
    told = [
        f"order {order['order']}: s = {found['zipf ls']:.2f}"
        for order in orders
        if (found := _exponents(order))["zipf ls"] is not None
    ]
    return "; ".join(told).capitalize() + "." if told else "Too few n-grams for an exponent."
