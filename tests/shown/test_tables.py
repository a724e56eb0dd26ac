"""The table of a run: what its columns mean, and how small a difference it tells."""

import copy
from typing import Any

import pytest

from engramctl.shown import step_tables, tables
from engramctl.shown.figures import duration
from engramctl.shown.tables import result_tables


def test_a_column_whose_name_does_not_say_it_has_a_line_below(fresh: dict[str, Any]) -> None:
    named = set()
    for table, legend in zip(
        result_tables(fresh), (tables.LEGEND, step_tables.LEGEND, step_tables.LEGEND), strict=False
    ):
        others = ("unproved: ", "memory: ", "residual in ", "launch-bound ")
        lines = [one for one in table.caption.split("\n") if not one.startswith(others)]
        used = {name for name in legend if any(row.get(name) is not None for row in table.rows)}
        assert [line.split(":")[0] for line in lines] == [name for name in legend if name in used]
        assert max(map(len, lines)) <= 80
        named |= used
    assert {"over none", "over memory", "over ready", "of floor", "waits", "exposed", "hidden",
            "resident", "resolution"} <= named  # fmt: skip


def test_a_step_says_how_its_residual_ran_and_a_gather_does_not(fresh: dict[str, Any]) -> None:
    found = {case["name"]: case["mhc"] for case in fresh["cases"] if case["samples_ns"]}
    assert set(found["gather"].values()) == {None}
    assert found["step"]["kernels"] == fresh["config"]["mhc"] == "fused"
    assert found["step"]["launches_per_sublayer"] <= 5
    assert found["step"]["time_ns"] > 0 < found["step"]["floor_ns"]
    lookups, *others = result_tables(fresh)
    assert "residual in decode: fused, " not in lookups.caption
    assert any("residual in decode: fused, " in table.caption for table in others)


def test_a_column_without_a_value_needs_no_line(fresh: dict[str, Any]) -> None:
    document = copy.deepcopy(fresh)
    document["cases"] = [case for case in document["cases"] if case["name"] == "gather"]
    lookups, *others = result_tables(document)
    caption = lookups.caption
    assert not any(table.rows for table in others if table.title != "skipped")
    assert "over none" not in caption
    assert "waits" not in caption
    assert "resolution" in caption


def test_every_measured_row_has_its_resolution_in_percent(fresh: dict[str, Any]) -> None:
    for table in result_tables(fresh)[:2]:
        assert table.rows
        assert all(str(row["resolution"]).endswith(" %") for row in table.rows)


@pytest.mark.parametrize(
    ("time_ns", "shown"),
    [(999, "999 ns"), (999_499, "999 µs"), (999_600, "1 ms"), (999_700_000, "1 s"),
     (1_234e9, "1,234 s")],
)  # fmt: skip
def test_a_time_is_never_a_power_of_ten(time_ns: float, shown: str) -> None:
    assert duration(time_ns) == shown
