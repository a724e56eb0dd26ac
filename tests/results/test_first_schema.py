"""Results of `engramctl.bench/1` are still read."""

import copy
import json
from pathlib import Path

import pytest

from engramctl.results.document import SCHEMA, as_current
from engramctl.shown.tables import raw_tables, result_tables
from tests.conftest import RunCli
from tests.results.older import FIRST


def test_its_one_resolution_becomes_that_of_every_measured_case() -> None:
    before = copy.deepcopy(FIRST)
    document = as_current(FIRST)
    assert before == FIRST
    assert document is not None
    assert document["schema"] == SCHEMA
    assert "resolution_percent" not in document
    assert (document["created_utc"], document["command"]) == (None, None)
    assert [case["resolution_percent"] for case in document["cases"]] == [1.5, 1.5, 1.5, None]
    assert [case["copy_samples_ns"] for case in document["cases"]] == [[]] * 4
    assert [case["samples_ns"] for case in document["cases"]] == [
        case["samples_ns"] for case in FIRST["cases"]
    ]
    assert as_current(document) == document


def test_the_largest_of_few_samples_is_no_longer_called_p99() -> None:
    document = as_current(FIRST)
    assert document is not None
    assert {case["p99_ns"] for case in document["cases"]} == {None}
    many = {**FIRST["cases"][0], "samples_ns": list(range(1, 201)), "p99_ns": 198}
    document = as_current({**FIRST, "cases": [many]})
    assert document is not None
    assert document["cases"][0]["p99_ns"] == 198


def test_its_tables_are_those_of_a_new_result() -> None:
    document = as_current(FIRST)
    assert document is not None
    lookups, steps, waits, skipped = result_tables(document)
    assert [row["over none"] for row in steps.rows] == [None, "below resolution"]
    measured = [*lookups.rows, *steps.rows]
    assert [row["resolution"] for row in measured] == ["1.5 %"] * 3
    assert [row["p99"] for row in measured] == [None] * 3
    assert [row["p90"] for row in measured] == ["9 ns", "100 ns", "101 ns"]
    assert waits.rows == []
    assert skipped.rows == [{"tier": "gpu: no CUDA", "cases": 1, "the first": None}]
    [raw] = raw_tables(document)
    assert [row["against_none_below_resolution"] for row in raw.rows] == [None, None, True, None]


@pytest.mark.parametrize("schema", ["engramctl.bench/1", "engramctl.bench/2"])
def test_inspect_says_what_either_is(run_cli: RunCli, tmp_path: Path, schema: str) -> None:
    document = FIRST if schema == FIRST["schema"] else as_current(FIRST)
    (tmp_path / "result.json").write_text(json.dumps(document))
    found = run_cli("inspect", tmp_path / "result.json", "--json")
    assert found.exit_code == 0, found.stderr
    assert found.json["kind"] == "bench result"
    assert [case["samples"] for case in found.json["cases"]] == [3, 3, 3, 0]
    assert [case["resolution_percent"] for case in found.json["cases"]] == [1.5, 1.5, 1.5, None]


@pytest.mark.parametrize("samples", [[float("inf")] * 200, ["a"] * 200, 7, None, [[]] * 3])
def test_samples_that_are_none_are_no_result(
    run_cli: RunCli, tmp_path: Path, samples: object
) -> None:
    case = {**FIRST["cases"][0], "samples_ns": samples}
    (tmp_path / "result.json").write_text(json.dumps({**FIRST, "cases": [case]}))
    found = run_cli("inspect", tmp_path / "result.json")
    assert found.exit_code in (0, 1)
    assert "bug" not in found.stderr


def test_what_is_no_result_is_not_taken_for_one() -> None:
    assert as_current({"schema": "engramctl.bench/3"}) is None
    assert as_current({"schema": "engramctl.table/1"}) is None
    with pytest.raises(KeyError):
        as_current({"schema": "engramctl.bench/1"})


def test_older_steps_on_ranks_asked_at_their_start() -> None:
    document = as_current(FIRST)
    assert document is not None
    document["cases"][1] |= {"name": "ranks", "issue": None}
    again = as_current(document)
    assert again is not None
    assert [case["issue"] for case in again["cases"]] == [None, "start", None, None]
