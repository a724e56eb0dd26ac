"""Where a step stands still for rows, layer by layer: every sample."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from engramctl.output import Table
from engramctl.report.figures.figure import Figure, Row, Rows
from engramctl.report.figures.places import Shown, parts, phases
from engramctl.results.document import percentile
from engramctl.results.launch_bound import residual_lines
from engramctl.shown.figures import BELOW, duration
from engramctl.shown.rows import below_resolution

_HOW = (
    "Each dot is one sample. Exposed is what is over the wait with all rows in the compute "
    "device's memory."
)
MARKS = {"median": "median"}


def wait_figures(shown: Sequence[Shown]) -> Iterator[Figure]:
    """Return a figure for each phase of what reads rows layer by layer."""
    for (name, phase), some in phases(shown).items():
        waited = [
            (one, layer)
            for one in some
            if name == "step"
            for layer in one.case["layers"] or ()
            if any(time > 0 for time in layer["wait_samples_ns"])
        ]
        bound = [text for text in residual_lines(one.row for one in some) if "launch-bound" in text]
        title = f"Waits for rows, layer by layer: {name}, {phase}"
        for key, part_title, part in parts(f"waits-{name}-{phase}", title, waited):
            rows = tuple(_row(one, layer) for one, layer in part)
            table = Table(part_title, [_line(one, layer) for one, layer in part])
            says = " ".join([_conclusion(part), *(f"{text}." for text in bound), _HOW])
            plot = Rows(rows, "time a sample stood still", "ns", True, MARKS)
            yield Figure(key, part_title, says, plot, table)


def _where(layer: Mapping[str, Any]) -> str:
    return f"layer {layer['layer'] if layer['at'] is None else layer['at']}"


def _row(one: Shown, layer: Mapping[str, Any]) -> Row:
    samples = tuple(layer["wait_samples_ns"])
    return Row(f"{one.label}, {_where(layer)}", one.tint, samples, {"median": _median(layer)})


def _median(layer: Mapping[str, Any]) -> int:
    return percentile(layer["wait_samples_ns"], 50)


def _line(one: Shown, layer: Mapping[str, Any]) -> dict[str, object]:
    below = below_resolution(layer["exposed_ns"], layer["resolution_ns"])
    return {
        "case": one.label,
        "layer": layer["layer"] if layer["at"] is None else layer["at"],
        "waits p50": duration(_median(layer)),
        "exposed": BELOW if below else duration(layer["exposed_ns"]),
        "resolution": duration(layer["resolution_ns"]),
    }


def _conclusion(part: Sequence[tuple[Shown, Mapping[str, Any]]]) -> str:
    one, layer = max(part, key=lambda found: _median(found[1]))
    share = 100 * _median(layer) / one.case["p50_ns"]
    return (
        f"The longest median wait is {duration(_median(layer))}, of {one.label} at "
        f"{_where(layer)}: {share:.2g} % of its step."
    )
