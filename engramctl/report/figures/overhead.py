"""What the memory costs a step over its three baselines, beside what the loop can tell."""

from collections.abc import Iterator, Sequence

from engramctl.output import Table
from engramctl.report.figures.figure import Figure, Row, Rows
from engramctl.report.figures.places import Shown, parts, phases
from engramctl.shown.figures import BELOW, overhead, percent

_BASELINES = {"none": "no memory", "resident": "rows in memory", "ready": "rows ready"}
_HOW = (
    "The grey band is what two copies of one arm may differ by: a difference inside it is not "
    "shown as a number, and has no dot."
)
MARKS = {"value": "a difference above the resolution"}


def overhead_figures(shown: Sequence[Shown]) -> Iterator[Figure]:
    """Return a figure for each phase of the steps; cases that are flagged are not compared."""
    for (name, phase), some in phases(shown).items():
        pairs = [
            (one, baseline)
            for one in some
            for baseline in _BASELINES
            if not one.case["flags"]
            and one.case["against"][f"{baseline}_percent"] is not None
            and one.row["resolution_percent"] is not None
        ]
        title = f"Overhead of the memory: {name}, {phase}"
        for key, part_title, part in parts(f"overhead-{name}-{phase}", title, pairs):
            rows = tuple(_row(one, baseline) for one, baseline in part)
            table = Table(part_title, [_line(one, baseline) for one, baseline in part])
            plot = Rows(rows, "longer than the baseline", "%", False, MARKS)
            yield Figure(key, part_title, f"{_conclusion(part)} {_HOW}", plot, table)


def _row(one: Shown, baseline: str) -> Row:
    more, off = one.row[f"against_{baseline}_percent"], one.row["resolution_percent"]
    marks = {} if more is None else {"value": more}
    return Row(f"{one.label} over {_BASELINES[baseline]}", one.tint, (), marks, (-off, off))


def _line(one: Shown, baseline: str) -> dict[str, object]:
    more, off = one.row[f"against_{baseline}_percent"], one.row["resolution_percent"]
    below = one.row[f"against_{baseline}_below_resolution"]
    return {
        "case": one.label,
        "over": _BASELINES[baseline],
        "longer by": BELOW if below else overhead(more, off),
        "resolution": percent(off),
    }


def _conclusion(part: Sequence[tuple[Shown, str]]) -> str:
    """Name the largest overhead over the model without memory; count what cannot be told."""
    seen = [
        (one.row[f"against_{name}_percent"], one, name)
        for one, name in part
        if one.row[f"against_{name}_percent"] is not None
    ]
    none = len(part) - len(seen)
    if not seen:
        return "No difference from any baseline can be told apart from noise here."
    more, one, name = max(seen, key=lambda found: float(found[0]))
    text = f"The largest overhead is that of {one.label} over {_BASELINES[name]}: {more:+.1f} %."
    return text + (f" Of {len(part)} comparisons {none} are below resolution." if none else "")
