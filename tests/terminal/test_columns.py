"""A table is whole on every terminal: no column cut or left out, and every part names its rows."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engramctl.output import Output, Table
from engramctl.shown.figures import duration
from engramctl.terminal.columns import Column, fitting, total_width

WORDS = st.text("abcdefgh ", max_size=30)
COLUMNS = st.lists(
    st.builds(Column, WORDS, st.tuples(WORDS, WORDS), st.booleans()), min_size=1, max_size=12
)


@given(COLUMNS, st.integers(20, 200))
def test_every_column_is_shown_and_every_table_fits(columns: list[Column], width: int) -> None:
    first, *others = fitting(columns, width)
    rows = list(zip(*(one.cells for one in columns), strict=True))
    stops = [1, *(n for n in range(2, len(columns)) if all(one.names for one in columns[1:n]))]
    names = max(stops, key=lambda n: len({row[:n] for row in rows}))  # the first of the best
    assert [*first, *(one for table in others for one in table[names:])] == columns
    for table in (first, *others):
        assert table[:names] == columns[:names]
        least = total_width([one.least_width for one in table])
        assert least <= width or len(table) <= names + 1


@pytest.mark.parametrize("width", [60, 80, 100])
def test_a_wide_table_is_continued_below_and_no_cell_is_cut(
    width: int, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    monkeypatch.setenv("COLUMNS", str(width))
    rows = [
        {
            "case": "gather", "phase": phase, "tier": "ssd",
            **{f"number {i}": 1_234_567 * i for i in range(1, 9)},
            **{f"time {i}": duration(1234 * 10**i) for i in range(6)},
        }
        for phase in ("decode", "prefill")
    ]  # fmt: skip
    Output().result({}, [Table("lookups", rows, "what it means")])
    shown = re.sub(r"\x1b\[\d+m", "", capsys.readouterr().out)
    assert "\u2026" not in shown
    assert max(map(len, shown.splitlines())) <= width
    for row in rows:
        lines = [line for line in shown.splitlines() if str(row["phase"]) in line.split()]
        assert len(lines) > 1
        assert all(line.startswith("gather") for line in lines)
        for i in range(1, 9):
            assert sum(f"{1_234_567 * i:,}" in line.split() for line in lines) == 1
        for i in range(6):
            assert sum(str(row[f"time {i}"]) in line for line in lines) == 1
    assert shown.count("what it means") == 1


def test_a_table_that_fits_is_one(capsys: pytest.CaptureFixture[str]) -> None:
    Output().result({}, [Table("few", [{"path": "a b", "num rows": 3}])])
    assert capsys.readouterr().out.splitlines()[1:3] == ["path  num rows", "a b          3"]


def test_parts_are_about_as_wide_as_each_other() -> None:
    name = Column("row", ("1", "2"), number=True)
    numbers = [Column(f"n{i}", (f"{10**9 + i:,}", "0"), number=True) for i in range(6)]
    first, second = fitting([name, *numbers], 70)
    assert first == [name, *numbers[:3]]
    assert second == [name, *numbers[3:]]


def test_a_measure_is_no_name_of_a_row() -> None:
    """Two lines of the same case: their times are not repeated in every part."""
    case = Column("case", ("step", "step", "step"), number=False)
    tier = Column("tier", ("none", "none", "ssd"), number=False)
    measures = [Column(f"p{i}", ("1.2 ms", f"{i} ms", "7 ms"), number=False) for i in range(8)]
    for load in (measures, [Column("load", ("0.5", "0.7", "1"), number=True), *measures]):
        for part in fitting([case, tier, *load], 50):
            assert part[:2] == [case, tier]
            assert part[2:] == [one for one in load if one in part]
        assert sum(map(len, fitting([case, tier, *load], 50))) == len(load) + 4
