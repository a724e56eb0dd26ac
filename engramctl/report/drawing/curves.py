"""Curves over two axes, each with a marker of its own; the key stands below them."""

from typing import Any

from engramctl.report.drawing.axis import calibrated
from engramctl.report.drawing.style import WIDTH_INCHES, colour, marker
from engramctl.report.drawing.ticks import limits, ticks, words
from engramctl.report.figures.figure import Lines

_PLOT_INCHES = 1.9
_LEFT, _RIGHT, _TOP = 0.56, 0.1, 0.1  # inches


def draw_lines(drawing: Any, plot: Lines, data: dict[str, dict[str, object]]) -> None:
    """Draw into an empty matplotlib figure; `data` takes what each part shows."""
    key_lines = -(-len(plot.lines) // 2)
    bottom = 0.44 + 0.15 * key_lines
    height = _TOP + _PLOT_INCHES + bottom
    drawing.set_size_inches(WIDTH_INCHES, height)
    wide = WIDTH_INCHES - _LEFT - _RIGHT
    axes = drawing.add_axes(
        (_LEFT / WIDTH_INCHES, bottom / height, wide / WIDTH_INCHES, _PLOT_INCHES / height)
    )
    _set_axis(axes, "x", [x for line in plot.lines for x in line.x], plot.x_log)
    _set_axis(axes, "y", [y for line in plot.lines for y in line.y], plot.y_log)
    axes.grid(True)
    axes.set_axisbelow(True)
    for side in ("right", "top"):
        axes.spines[side].set_visible(False)
    handles = []
    for place, line in enumerate(plot.lines):
        (made,) = axes.plot(
            line.x, line.y, color=colour(line.tint), marker=marker(line.tint), clip_on=False,
            linestyle=(0, (3, 2)) if line.dashed else "solid", gid=f"line-{place}",
            markerfacecolor="none" if line.dashed else colour(line.tint),
        )  # fmt: skip
        handles.append(made)
        data[f"line-{place}"] = {
            "name": line.name,
            "x": " ".join(map(repr, line.x)),
            "y": " ".join(map(repr, line.y)),
        }
    axes.set_xlabel(plot.x_label, labelpad=2)
    axes.set_ylabel(plot.y_label, labelpad=2)
    drawing.legend(
        handles, [line.name for line in plot.lines], loc="lower left", ncols=2, borderpad=0,
        labelspacing=0.2, handletextpad=0.4, columnspacing=1.0, borderaxespad=0.2,
    )  # fmt: skip
    data["axis"] = calibrated(drawing, axes, height, y=True)


def _set_axis(axes: Any, which: str, values: list[float], log: bool) -> None:
    low, high = limits([value for value in values if value > 0 or not log] or [1.0], log=log)
    if not log:
        low = min(0.0, min(values))
    at = ticks(low, high, log=log)
    if log:
        getattr(axes, f"set_{which}scale")("log")
    getattr(axes, f"set_{which}lim")(low, high)
    getattr(axes, f"set_{which}ticks")(at, [words(value, "") for value in at])
    getattr(axes, f"set_{which}ticks")([], minor=True)
