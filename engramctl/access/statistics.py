"""Spectra and tallies -> what `summary.json` says of orders, layers and heads."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from typing import Any

from engramctl.access.count import Summaries
from engramctl.access.spectrum import Spectrum
from engramctl.access.tally import MOST_SHOWN, RowSummary
from engramctl.access.zipf import zipf
from engramctl.counts.accesses import access_name
from engramctl.hashing.diagnose.chance import CountHistogram
from engramctl.hashing.diagnose.load import HeadLoad
from engramctl.hashing.scheme.scheme import Scheme


def order_statistics(spectrum: Spectrum) -> dict[str, Any]:
    """Return entropy and Zipf exponents of one order's n-grams."""
    return {"entropy": spectrum.entropy(), "zipf": zipf(spectrum)}


def layer_document(
    scheme: Scheme, layer: int, found: Summaries, windows: Mapping[int, CountHistogram]
) -> dict[str, Any]:
    """Return what is known of one layer's table, its orders and its heads.

    Args:
        scheme: the scheme.
        layer: one of its layers.
        found: of every head.
        windows: counts of the distinct windows of every order.
    """
    heads = scheme.layer_hash(layer).heads
    orders = []
    for order in scheme.orders:
        columns = [column for column, head in enumerate(heads) if head.order == order]
        together = _merged(found[layer, column] for column in columns)
        rows = sum(heads[column].modulus for column in columns)
        orders.append(
            {
                "order": order,
                "windows": windows[order].ngrams,
                **_facts(together, rows),
                "zipf": zipf(together.spectrum),
                "heads": [
                    _head(column, heads[column].modulus, found[layer, column], windows[order])
                    for column in columns
                ],
            }
        )
    whole = _merged(found[layer, column] for column in range(len(heads)))
    return {
        "layer": layer,
        "file": access_name(layer),
        **_facts(whole, scheme.num_rows(layer)),
        "zipf": zipf(whole.spectrum),
        "orders": orders,
    }


def _merged(parts: Iterable[RowSummary]) -> RowSummary:
    whole = RowSummary()
    for part in parts:
        whole.merge(part)
    return whole


def _facts(found: RowSummary, num_rows: int) -> dict[str, Any]:
    spectrum = found.spectrum
    return {
        "num_rows": num_rows,
        "accesses": spectrum.accesses,
        "rows_read": spectrum.things,
        "rows_never_read": num_rows - spectrum.things,
        "coverage": spectrum.coverage(num_rows),
    }


def _head(
    column: int, num_slots: int, found: RowSummary, windows: CountHistogram
) -> dict[str, Any]:
    load = HeadLoad.of(
        column,
        num_slots,
        windows,
        reached=found.reached,
        alone=int(found.slots[1]),
        top_accesses=found.top_accesses,
    )
    return {
        **asdict(load),
        "accesses": found.spectrum.accesses,
        "coverage": found.spectrum.coverage(num_slots),
        "slots_by_ngrams": found.slots.tolist(),
        "expected_slots_by_ngrams": poisson_slots(num_slots, load.load_factor),
    }


def poisson_slots(num_slots: int, load: float) -> list[float]:
    """Return how many slots would have 0, 1, .. and `MOST_SHOWN` or more n-grams by chance.

    Example:
        >>> [round(slots, 1) for slots in poisson_slots(100, 1.0)[:3]]
        [36.8, 36.8, 18.4]
    """
    chances = [
        math.exp(-load + k * math.log(load) - math.lgamma(k + 1)) if load else float(k == 0)
        for k in range(MOST_SHOWN)
    ]
    return [num_slots * chance for chance in (*chances, max(0.0, 1 - math.fsum(chances)))]
