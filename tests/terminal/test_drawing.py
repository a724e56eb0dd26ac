"""What of a table is drawn in a terminal, and how: beside each other, in parts, or fact by fact."""

from collections.abc import Mapping

from hypothesis import given
from hypothesis import strategies as st

from engramctl.output import cell
from engramctl.terminal.columns import Column
from engramctl.terminal.drawing import HEAD, drawn
from engramctl.terminal.words import length

CELLS = st.one_of(
    st.none(), st.integers(0, 10**12), st.text("abc /", max_size=90),
    st.sampled_from(["4.21 µs", "+3.2 %", "below resolution", "2.5 GiB"]),
)  # fmt: skip
NUMBERS = st.integers(0, 10**12)


def columns(*rows: Mapping[str, object]) -> list[Column]:
    return [
        Column(
            name,
            tuple(cell(row[name]) for row in rows),
            all(row[name] is None or isinstance(row[name], int) for row in rows),
        )
        for name in rows[0]
    ]


def lines(*rows: Mapping[str, object], width: int = 80, caption: str = "") -> list[str]:
    return [line for _, line in drawn("title", columns(*rows), caption, width)]


@given(st.data(), st.integers(1, 4), st.integers(1, 14), st.integers(60, 120))
def test_no_line_is_too_wide_and_every_number_is_whole(
    data: st.DataObject, num_rows: int, num_columns: int, width: int
) -> None:
    kinds = [data.draw(st.sampled_from([NUMBERS, CELLS])) for _ in range(num_columns)]
    rows = [
        {f"the column {place}": data.draw(kind) for place, kind in enumerate(kinds)}
        for _ in range(num_rows)
    ]
    shown = lines(*rows, width=width, caption="what a 12.5 % is " * 9)
    assert all(length(line) <= width for line in shown)
    text = "\n".join(shown)
    assert "\u2026" not in text
    for row in rows:
        for value in row.values():
            if isinstance(value, int) or value in ("4.21 µs", "+3.2 %", "2.5 GiB"):
                assert cell(value) in text


def test_a_column_without_a_value_is_not_shown() -> None:
    rows = [
        {"tier": tier, "waits": None, "note": "", "rows": 3 + len(tier)} for tier in ("a", "bc")
    ]
    assert lines(*rows) == ["title", "tier  rows", "a        4", "bc       5"]
    assert lines({"waits": None}) == ["title", "waits", "    -"]


def test_what_is_common_to_all_rows_stands_in_a_line_above() -> None:
    rows = [
        {"layer": 1, "head": head, "read %": 99.5, "load": load} for head, load in ((0, 7), (1, 8))
    ]
    assert lines(*rows) == [
        "title",
        "layer 1, read 99.5 %",
        "head  load",
        "   0     7",
        "   1     8",
    ]
    assert lines(rows[0])[1] == "layer  head  read %  load"


def test_two_columns_stay_whatever_is_common() -> None:
    rows = [{"layer": layer, "rows": 7} for layer in (1, 14)]
    assert lines(*rows)[1:] == ["layer  rows", "    1     7", "   14     7"]
    same = [{"layer": 1, "rows": 7}] * 2
    assert lines(*same)[1:] == ["layer  rows", "    1     7", "    1     7"]


def test_a_row_that_does_not_fit_has_a_line_a_fact() -> None:
    row = {"path": "/a/" + "folder/" * 12, "files": 4, "data bytes": 1_234_567}
    assert lines(row, width=60) == [
        "title",
        "path        /a/folder/folder/folder/folder/folder/folder/",
        "            folder/folder/folder/folder/folder/folder/",
        "files       4",
        "data bytes  1,234,567",
    ]
    assert lines({"files": 4, "data bytes": 5}) == [
        "title",
        "files  data bytes",
        "    4           5",
    ]


def test_rows_whose_names_leave_no_room_have_a_line_a_fact() -> None:
    rows = [{"id": 10**12 * row, "bytes": 10**12 + row} for row in (1, 2)]
    assert lines(*rows, width=30)[1:] == [
        "id     1,000,000,000,000", "bytes  1,000,000,000,001", "",
        "id     2,000,000,000,000", "bytes  1,000,000,000,002",
    ]  # fmt: skip


def test_a_head_of_several_lines_stands_on_its_column() -> None:
    kinds = list(drawn("t", columns({"a b": 1, "c": 2}, {"a b": 3, "c": 4}), "", 5))
    assert [line for kind, line in kinds if kind == HEAD] == [" a", " b  c"]
