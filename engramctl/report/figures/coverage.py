"""Which share of the accesses the hottest rows serve."""

from collections.abc import Iterator, Mapping
from typing import Any

from engramctl.output import Table
from engramctl.report.figures.counted_layers import counted_layers
from engramctl.report.figures.figure import Figure, Line, Lines

_HOW = "Rows are those that the counted text reads most; the axis of rows is logarithmic."


def coverage_figures(
    counts: Mapping[str, Mapping[str, Any]], keys: Mapping[str, str]
) -> Iterator[Figure]:
    """Return a figure for each layer whose accesses were counted.

    Args:
        counts: documents of `describe`, by name.
        keys: what a name is called in keys of figures.
    """
    for name, layer in counted_layers(counts):
        title = f"Coverage: layer {layer['layer']}, of {name}"
        rows = []
        lines = []
        for place, part in enumerate((*layer["orders"], layer)):
            order = str(part.get("order", "all"))
            known = [one for one in part["coverage"] if one["share"] is not None]
            x = tuple(float(one["rows"]) for one in known)
            y = tuple(100 * one["share"] for one in known)
            lines.append(Line(f"order {order}", place, x, y, dashed=order == "all"))
            rows += [
                {
                    "order": order,
                    "rows": one["rows"],
                    "of the rows %": 100 * one["rows"] / part["num_rows"],
                    "of accesses %": 100 * one["share"],
                }
                for one in known
            ]
        if any(line.x for line in lines):
            plot = Lines(tuple(lines), "hottest rows", "% of accesses they serve", x_log=True)
            says = f"{_conclusion(layer)} {_HOW}"
            key = f"coverage-{keys[name]}-layer-{layer['layer']}"
            yield Figure(key, title, says, plot, Table(title, rows))


def _conclusion(layer: Mapping[str, Any]) -> str:
    found = {one["percent"]: one["share"] for one in layer["coverage"]}
    read = 100 * layer["rows_read"] / layer["num_rows"]
    text = f"{read:.3g} % of the {layer['num_rows']:,} rows are read at all."
    if found.get(1.0) is None:
        return text
    return f"The hottest hundredth of all rows serves {100 * found[1.0]:.3g} % of accesses. {text}"
