"""Numbers in figures are those of the tables: read back from the drawing, and from its data."""

from collections import Counter
from collections.abc import Callable

import pytest

from engramctl.report.contents import Contents
from engramctl.report.figures.figure import Figure, Lines, Rows
from engramctl.shown.figures import BELOW, duration, overhead
from tests.report.drawn_svg import read_svg

pytest.importorskip("matplotlib")
COLUMNS: dict[
    str, tuple[str, str, Callable[[float], object]]
] = {  # of a figure: the mark that its column shows, and how
    "latency": ("median", "p50", duration),
    "waits": ("median", "waits p50", duration),
    "ceiling": ("value", "rows/s", float),
}


def of_kind(contents: Contents, kind: str) -> list[Figure]:
    found = [figure for figure in contents.figures if figure.key.startswith(kind)]
    assert found, kind
    return found


def test_every_kind_of_figure_is_there_once_a_key(contents: Contents) -> None:
    keys = [figure.key for figure in contents.figures]
    assert len(set(keys)) == len(keys)
    kinds = {"latency", "overhead", "waits", "ceiling", "hit", "coverage", "slots", "zipf"}
    assert {key.partition("-")[0] for key in keys} == kinds
    for figure in contents.figures:
        assert figure.says.endswith(".")
        assert figure.table.rows


def test_marks_stand_where_their_data_says(contents: Contents) -> None:
    for figure in contents.figures:
        if not isinstance(figure.plot, Rows):
            continue
        drawing = read_svg(figure)
        for place, row in enumerate(figure.plot.rows):
            for kind, value in row.marks.items():
                part = drawing.parts[f"row-{place}-{kind}"]
                assert float(part.data["value"]) == value
                (point,) = part.points
                assert drawing.x(point[0]) == pytest.approx(value, rel=0.005, abs=0.05)
            if row.samples:
                part = drawing.parts[f"row-{place}-samples"]
                assert int(part.data["count"]) == len(part.points) == len(row.samples)
                for point, sample in zip(part.points, row.samples, strict=True):
                    shown = max(sample, float(drawing.axis["x-from"]))
                    assert drawing.x(point[0]) == pytest.approx(shown, rel=0.005)


def test_curves_go_through_the_points_of_their_data(contents: Contents) -> None:
    for figure in contents.figures:
        if not isinstance(figure.plot, Lines):
            continue
        drawing = read_svg(figure)
        for place, line in enumerate(figure.plot.lines):
            part = drawing.parts[f"line-{place}"]
            assert tuple(map(float, part.data["x"].split())) == line.x
            assert tuple(map(float, part.data["y"].split())) == line.y
            for (x, y), at, value in zip(part.points, line.x, line.y, strict=True):
                assert drawing.x(x) == pytest.approx(at, rel=0.01, abs=drawing.span("x"))
                assert drawing.y(y) == pytest.approx(value, rel=0.01, abs=drawing.span("y"))


@pytest.mark.parametrize("kind", COLUMNS)
def test_the_drawn_marks_are_the_cells_of_the_table(contents: Contents, kind: str) -> None:
    mark, column, shown = COLUMNS[kind]
    for figure in of_kind(contents, kind):
        parts = read_svg(figure).parts
        for place, line in enumerate(figure.table.rows):
            assert shown(float(parts[f"row-{place}-{mark}"].data["value"])) == line[column]


def test_a_difference_below_the_resolution_has_a_band_and_no_mark(contents: Contents) -> None:
    seen: Counter[bool] = Counter()
    for figure in of_kind(contents, "overhead"):
        parts = read_svg(figure).parts
        for place, line in enumerate(figure.table.rows):
            below = line["longer by"] == BELOW
            band = parts[f"row-{place}-band"].data
            assert float(band["to"]) == -float(band["from"]) > 0
            mark = parts.get(f"row-{place}-value")
            assert (mark is None) == below
            if mark is not None:
                assert overhead(float(mark.data["value"]), None) == line["longer by"]
            seen[below] += 1
    assert seen


@pytest.mark.parametrize(
    ("kind", "x", "y"),
    [("coverage", "rows", "of accesses %"), ("zipf", "rank", "count")],
)
def test_the_points_of_curves_are_the_rows_of_the_table(
    contents: Contents, kind: str, x: str, y: str
) -> None:
    for figure in of_kind(contents, kind):
        drawn = Counter[tuple[float, float]]()
        for part in read_svg(figure).parts.values():
            pairs = zip(part.data["x"].split(), part.data["y"].split(), strict=True)
            drawn.update((float(one), float(other)) for one, other in pairs)
        assert drawn == Counter((row[x], row[y]) for row in figure.table.rows)


def test_hit_rates_and_slots_are_those_of_the_table(contents: Contents) -> None:
    for figure in of_kind(contents, "hit-rate"):
        for part in read_svg(figure).parts.values():
            rates = [round(float(rate), 1) for rate in part.data["y"].split()]
            assert rates == [row[f"{part.data['name']} %"] for row in figure.table.rows]
    for figure in of_kind(contents, "slots"):
        for part in read_svg(figure).parts.values():
            order = int(part.data["name"].split()[1].rstrip(","))
            column = "by chance %" if "chance" in part.data["name"] else "slots %"
            cells = [row[column] for row in figure.table.rows if row["order"] == order]
            assert [float(share) for share in part.data["y"].split()] == cells[:-1]
