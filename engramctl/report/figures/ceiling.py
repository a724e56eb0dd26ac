"""How many rows a second a gather has, beside what disk or memory can give at most."""

from collections.abc import Iterator, Sequence

from engramctl.output import Table
from engramctl.report.figures.figure import Figure, Row, Rows
from engramctl.report.figures.places import Shown, parts, phases
from engramctl.shown.figures import percent

MARKS = {"value": "measured", "limit": "the device's ceiling"}
_HOW = (
    "The ceiling of a cold case is the disk's best rate of random pages; of a warm one it is one "
    "core's rate of random cache lines, which several cores may exceed. The axis is logarithmic."
)


def ceiling_figures(shown: Sequence[Shown]) -> Iterator[Figure]:
    """Return a figure for each phase of the gathers."""
    gathers = [one for one in shown if one.case["name"] == "gather" and one.case["rows_per_s"]]
    for (name, phase), some in phases(gathers).items():
        title = f"Rows a second: {name}, {phase}"
        for key, part_title, part in parts(f"ceiling-{name}-{phase}", title, some):
            rows = tuple(_row(one) for one in part)
            table = Table(part_title, [_line(one) for one in part])
            plot = Rows(rows, "rows a second", "rows/s", True, MARKS)
            yield Figure(key, part_title, f"{_conclusion(part)} {_HOW}", plot, table)


def _share(one: Shown) -> float | None:
    limit = one.case["ceiling_rows_per_s"]
    return 100 * float(one.case["rows_per_s"]) / limit if limit else None


def _row(one: Shown) -> Row:
    limit = one.case["ceiling_rows_per_s"]
    marks = {"value": one.case["rows_per_s"]} | ({"limit": limit} if limit else {})
    return Row(one.label, one.tint, (), marks)


def _line(one: Shown) -> dict[str, object]:
    limit = one.case["ceiling_rows_per_s"]
    return {
        "case": one.label,
        "rows/s": one.case["rows_per_s"],
        "ceiling rows/s": None if limit is None else round(limit),
        "of ceiling": percent(_share(one)),
    }


def _conclusion(part: Sequence[Shown]) -> str:
    known = [(share, one) for one in part if (share := _share(one)) is not None]
    if not known:
        return "No ceiling is known here: this shows rates alone."
    least, one = min(known, key=lambda found: found[0])
    if len(known) == 1:
        return f"{one.label} has {percent(least)} of what its device can give."
    most, other = max(known, key=lambda found: found[0])
    return (
        f"{one.label} has the smallest share of what its device can give: {percent(least)}. "
        f"{other.label} has the largest: {percent(most)}."
    )
