"""Lines below each other: samples as dots, marks, bands, along one axis."""

from collections.abc import Mapping
from typing import Any

from engramctl.errors import printable
from engramctl.report.drawing.axis import calibrated
from engramctl.report.drawing.style import BAND, GRID, INK, POINTS, WIDTH_INCHES, colour
from engramctl.report.drawing.ticks import limits, ticks, words
from engramctl.report.figures.figure import Row, Rows

_LOW, _HIGH = 0.90, 0.48  # of a line: where its first sample stands, and its last; 0 is its top
_MIDDLE = 0.69
_SIDE, _TOP = 0.12, 0.06  # inches
_MOST_WORDS = 46  # letters of a label that fit
_MARKS: Mapping[str, dict[str, Any]] = {
    "median": {"marker": "|", "markersize": 13.0, "markeredgewidth": 1.8},
    "value": {"marker": "o", "markersize": 5.0, "markeredgewidth": 0.8},
    "tail": {"marker": "D", "markersize": 4.0, "markeredgewidth": 1.0, "markerfacecolor": "none"},
    "limit": {"marker": "|", "markersize": 11.0, "markeredgewidth": 2.0},
}


def draw_rows(drawing: Any, plot: Rows, data: dict[str, dict[str, object]]) -> None:
    """Draw into an empty matplotlib figure; `data` takes what each part shows."""
    count = len(plot.rows)
    known = {kind for row in plot.rows for kind in row.marks}
    keys = {kind: text for kind, text in plot.marks.items() if kind in known}
    bottom = 0.42 + 0.16 * len(keys)
    height = _TOP + 0.38 * count + bottom
    drawing.set_size_inches(WIDTH_INCHES, height)
    box = (
        _SIDE / WIDTH_INCHES,
        bottom / height,
        1 - 2 * _SIDE / WIDTH_INCHES,
        0.38 * count / height,
    )
    axes = drawing.add_axes(box)
    low, high = limits(_values(plot), log=plot.log)
    if plot.log:
        axes.set_xscale("log")
    axes.set_xlim(low, high)
    axes.set_ylim(count, 0)
    at = ticks(low, high, log=plot.log)
    axes.set_xticks(at, [words(value, plot.unit) for value in at])
    axes.set_xticks([], minor=True)
    axes.set_yticks([])
    axes.grid(True, axis="x")
    axes.set_axisbelow(True)
    for side in ("left", "right", "top"):
        axes.spines[side].set_visible(False)
    for place, row in enumerate(plot.rows):
        _draw_row(axes, place, row, plot.log, data)
    axes.set_xlabel(plot.x_label, labelpad=2)
    _draw_key(drawing, keys)
    data["axis"] = calibrated(drawing, axes, height, y=False)


def _values(plot: Rows) -> list[float]:
    found: list[float] = []
    for row in plot.rows:
        found += [*row.samples, *row.marks.values(), *(row.band or ())]
    return [value for value in found if value > 0 or not plot.log] or [1.0]


def _draw_row(
    axes: Any, place: int, row: Row, log: bool, data: dict[str, dict[str, object]]
) -> None:
    name = f"row-{place}"
    axes.text(
        0, place + 0.24, _shortened(row.label), va="center", transform=axes.get_yaxis_transform(),
        fontsize=POINTS,
    )  # fmt: skip
    if not log:
        axes.plot([0, 0], [place + _HIGH - 0.06, place + _LOW + 0.06], color=INK, linewidth=0.8)
    if place:
        axes.axhline(place, color=GRID, linewidth=0.5)
    if row.band is not None:
        low, high = row.band
        axes.fill_betweenx(
            [place + _HIGH, place + _LOW], low, high, color=BAND, linewidth=0, gid=f"{name}-band"
        )
        data[f"{name}-band"] = {"from": low, "to": high}
    if row.samples:
        _draw_samples(axes, place, row, log)
        data[f"{name}-samples"] = {"count": len(row.samples)}
    for kind, value in row.marks.items():
        style = _MARKS[kind]
        edge = INK if kind != "value" else "#ffffff"
        face = style.get("markerfacecolor", colour(row.tint))
        axes.plot(
            [value], [place + _MIDDLE], linestyle="none", clip_on=False, gid=f"{name}-{kind}",
            **(style | {"markeredgecolor": edge, "markerfacecolor": face}),
        )  # fmt: skip
        data[f"{name}-{kind}"] = {"value": value}


def _draw_samples(axes: Any, place: int, row: Row, log: bool) -> None:
    """Draw a dot a sample, as one path: the first is lowest. A time of 0 stands at the left end."""
    from matplotlib.patches import PathPatch
    from matplotlib.path import Path

    left = axes.get_xlim()[0]
    step = (_LOW - _HIGH) / max(1, len(row.samples) - 1)
    points = []
    for number, sample in enumerate(row.samples):
        x = max(sample, left) if log else sample
        y = place + _LOW - step * number
        points += [(x, y), (x, y - 0.004)]  # a line of no length has no dot everywhere
    codes = [Path.MOVETO, Path.LINETO] * len(row.samples)
    axes.add_patch(
        PathPatch(
            Path(points, codes), fill=False, edgecolor=colour(row.tint), linewidth=1.8, alpha=0.75,
            capstyle="round", clip_on=False, gid=f"row-{place}-samples",
        )
    )  # fmt: skip


def _draw_key(drawing: Any, keys: Mapping[str, str]) -> None:
    """Say below the axis what the marks are."""
    from matplotlib.lines import Line2D

    handles = [
        Line2D(
            [], [], linestyle="none",
            **({"markeredgecolor": INK, "markerfacecolor": INK} | dict(_MARKS[kind])),
        )
        for kind in keys
    ]  # fmt: skip
    drawing.legend(
        handles, list(keys.values()), loc="lower left", ncols=1, borderpad=0, labelspacing=0.25,
        handletextpad=0.3, borderaxespad=0.2,
    )  # fmt: skip


def _shortened(label: str) -> str:
    """Return a label without control characters; its middle is cut where it does not fit."""
    label = printable(label)
    if len(label) <= _MOST_WORDS:
        return label
    half = _MOST_WORDS // 2
    return f"{label[: half - 1]}…{label[-half:]}"
