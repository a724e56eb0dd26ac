"""The steps of a result as people and programs read them."""

import copy
from typing import Any

import pytest

from engramctl.output import Table
from engramctl.shown.figures import BELOW
from engramctl.shown.rows import case_rows
from engramctl.shown.step_tables import NOTHING, step_tables


def one_step(fresh: dict[str, Any], **changes: Any) -> dict[str, Any]:
    """A result with one decode step on ssd, each figure of which is known."""
    document = copy.deepcopy(fresh)
    case = next(
        case
        for case in document["cases"]
        if (case["name"], case["phase"], case["tier"], case["loop"])
        == ("step", "decode", "ssd", "warm")
    )
    case |= {
        "samples_ns": [2_000_000], "p50_ns": 2_000_000, "p90_ns": 3_000_000, "p99_ns": None,
        "tokens_per_s": 500.0, "resolution_percent": 1.0, "stall_ns": 90_000,
        "against": {"none_percent": 12.0, "resident_percent": 0.4, "ready_percent": 2.5},
        "hidden": {"percent": 80.0, "resolution_percent": 4.0}, "fetch_samples_ns": [500_000],
        "floor": {"ns": 500_000, "flops": 7, "bytes": 9},
        "bytes_per_token": {"gpu": None, "host": None, "page_cache": 396.0, "disk": 4096.0},
        "layers": [
            {"layer": 1, "at": 1, "wait_samples_ns": [60_000], "copy_wait_samples_ns": [],
             "exposed_ns": 50_000, "resolution_ns": 2_000, "arrival_samples_ns": [70_000]},
            {"layer": 14, "at": 3, "wait_samples_ns": [30_000], "copy_wait_samples_ns": [],
             "exposed_ns": 1_000, "resolution_ns": 2_000, "arrival_samples_ns": [90_000]},
        ],
    } | changes  # fmt: skip
    return {**document, "cases": [case]}


def shown(document: dict[str, Any]) -> tuple[Table, Table]:
    costs, waits = step_tables("model steps", case_rows(document))
    return costs, waits


def test_a_step_is_shown_over_its_three_baselines_and_its_floor(fresh: dict[str, Any]) -> None:
    [row] = shown(one_step(fresh))[0].rows
    assert (row["p90"], row["tokens/s"], row["of floor"]) == ("3 ms", 500, "25 %")
    assert [row[f"over {name}"] for name in ("none", "memory", "ready")] == [
        "+12.0 %", BELOW, "+2.5 %"
    ]  # fmt: skip


def test_each_layer_has_a_line_with_its_stall(fresh: dict[str, Any]) -> None:
    first, second = shown(one_step(fresh))[1].rows
    assert [first["layer"], second["layer"]] == [1, 3]
    assert [first["waits"], second["waits"]] == ["60 µs", "30 µs"]
    assert [first["exposed"], second["exposed"]] == ["50 µs", BELOW]
    assert [first["hidden"], second["hidden"]] == ["80 % ± 4", None]
    assert [first["bytes/token"], second["bytes/token"]] == ["cache 396, disk 4,096", None]


def test_a_share_that_may_be_off_by_half_is_not_shown(fresh: dict[str, Any]) -> None:
    hidden = {"percent": 80.0, "resolution_percent": 50.0}
    document = one_step(fresh, hidden=hidden)
    assert shown(document)[1].rows[0]["hidden"] == BELOW
    [row] = case_rows(document)
    assert (row["hidden_percent"], row["hidden_resolution_percent"]) == (None, 50.0)


def test_a_flag_takes_the_place_of_every_comparison(fresh: dict[str, Any]) -> None:
    [row] = shown(one_step(fresh, flags=["other threads"]))[0].rows
    assert [row[f"over {name}"] for name in ("none", "memory", "ready")] == [NOTHING] * 3
    assert row["flag"] == "other threads"
    [row] = shown(one_step(fresh))[0].rows
    assert row["flag"] is None


def test_the_issue_point_is_a_column_only_where_it_differs(fresh: dict[str, Any]) -> None:
    document = one_step(fresh, issue="start")
    assert all("asked" not in table.names for table in shown(document))
    document["cases"].append({**document["cases"][0], "issue": "layer"})
    for table in shown(document):
        assert {row["asked"] for row in table.rows} == {"start", "layer"}


def test_programs_get_each_layers_figures_in_one_column(fresh: dict[str, Any]) -> None:
    [row] = case_rows(one_step(fresh))
    assert (row["layers"], row["layers_at"]) == ("1 14", "1 3")
    assert row["layers_wait_p50_ns"] == "60000 30000"
    assert row["layers_exposed_ns"] == "50000 <2000"
    assert row["layers_there_p50_ns"] == "70000 90000"
    assert (row["floor_ns"], row["floor_flops"], row["floor_bytes"]) == (500_000, 7, 9)
    assert row["bytes_per_token_disk"] == 4096.0


@pytest.mark.parametrize("name", ["none", "ready"])
def test_baselines_wait_for_nothing(fresh: dict[str, Any], name: str) -> None:
    steps = [case for case in fresh["cases"] if case["tier"] == name]
    assert steps
    for case in steps:
        assert case["layers"] is case["issue"] is case["stall_ns"] is case["cache"] is None
        assert case["floor"]["ns"] > 0
        assert case["against"]["ready_percent"] is None
