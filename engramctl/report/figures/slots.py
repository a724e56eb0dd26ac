"""How full the slots of a head are, beside what chance gives."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from engramctl.hashing.diagnose.mean_head import mean_head
from engramctl.output import Table
from engramctl.report.figures.counted_layers import counted_layers
from engramctl.report.figures.figure import Figure, Line, Lines

_HOW = (
    "Lines are counted, dashed ones what n-grams thrown at random would give (Poisson). Slots of "
    "more n-grams than the axis has are in the table alone. Heads of one order are taken together."
)


def slot_figures(
    counts: Mapping[str, Mapping[str, Any]], keys: Mapping[str, str]
) -> Iterator[Figure]:
    """Return a figure for each layer whose accesses were counted.

    Args:
        counts: documents of `describe`, by name.
        keys: what a name is called in keys of figures.
    """
    for name, layer in counted_layers(counts):
        title = f"Load of slots: layer {layer['layer']}, of {name}"
        lines = []
        rows = []
        for place, order in enumerate(layer["orders"]):
            counted, chance = (
                _shares(order["heads"], kind)
                for kind in ("slots_by_ngrams", "expected_slots_by_ngrams")
            )
            x = tuple(map(float, range(len(counted) - 1)))
            name_of = f"order {order['order']}"
            lines.append(Line(name_of, place, x, counted[:-1]))
            lines.append(Line(f"{name_of}, chance", place, x, chance[:-1], dashed=True))
            rows += [
                {
                    "order": order["order"],
                    "n-grams a slot": f"{at}{'+' if at == len(counted) - 1 else ''}",
                    "slots %": one,
                    "by chance %": other,
                }
                for at, (one, other) in enumerate(zip(counted, chance, strict=True))
            ]
        plot = Lines(tuple(lines), "distinct n-grams in a slot", "% of slots")
        says = f"{_conclusion(layer['orders'])} {_HOW}"
        key = f"slots-{keys[name]}-layer-{layer['layer']}"
        yield Figure(key, title, says, plot, Table(title, rows))


def _shares(heads: Sequence[Mapping[str, Any]], kind: str) -> tuple[float, ...]:
    slots = sum(head["num_slots"] for head in heads)
    return tuple(
        100 * sum(column) / slots for column in zip(*(h[kind] for h in heads), strict=True)
    )


def _conclusion(orders: Sequence[Mapping[str, Any]]) -> str:
    told = []
    for order in orders:
        head = mean_head(order["heads"])
        text = f"order {order['order']}: {head['load_factor']:.3g} n-grams a slot"
        if head["overshadowed_percent"] is not None:
            text += f", {head['overshadowed_percent']:.3g} % of accesses overshadowed"
            text += f" (by chance {head['expected_overshadowed_percent']:.3g} %)"
        told.append(text)
    return "; ".join(told).capitalize() + "."
