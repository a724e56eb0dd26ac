"""`inspect` of a result: the table of the run again, and the facts of the run with it."""

import csv
import io
import json
from pathlib import Path
from typing import Any

import pytest

from engramctl.results.file import write_result
from tests.conftest import CliResult, RunCli, run_in_process
from tests.helpers.small_bench import SMALL_BENCH
from tests.helpers.small_table import small_table
from tests.results.older import FIRST


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, CliResult]]:
    """A result, and what `bench` printed of the same cases in every form."""
    folder = tmp_path_factory.mktemp("inspected")
    small_table(folder / "shards", tier="host")
    out = folder / "r.json"
    words = ("bench", folder / "shards", "--tier", "host", "--tier", "ssd", "--cache", "warm")
    assert run_in_process(*words, *SMALL_BENCH, "-o", out).exit_code == 0
    shown = {}
    with pytest.MonkeyPatch.context() as patch:
        document = json.loads(out.read_text())
        patch.setattr("engramctl.bench.run.run_bench", lambda *_, **__: document)
        for form in ("table", "md", "csv"):
            shown[form] = run_in_process(*words, *SMALL_BENCH, "-f", form)
    return out, shown


@pytest.mark.parametrize("form", ["table", "md", "csv"])
def test_it_shows_the_very_table_that_bench_printed(
    run: tuple[Path, dict[str, CliResult]], run_cli: RunCli, form: str
) -> None:
    out, shown = run
    found = run_cli("inspect", out, "-f", form)
    assert found.exit_code == 0, found.stderr
    assert "p50" in found.stdout
    assert found.stdout.endswith(shown[form].stdout)


def test_csv_is_the_cases_alone(run: tuple[Path, dict[str, CliResult]], run_cli: RunCli) -> None:
    out, _ = run
    rows = list(csv.DictReader(io.StringIO(run_cli("inspect", out, "-f", "csv").stdout)))
    cases = json.loads(out.read_text())["cases"]
    assert [row["p50_ns"] for row in rows] == [str(case["p50_ns"]) for case in cases]


def test_the_facts_of_the_run_come_first(
    run: tuple[Path, dict[str, CliResult]], run_cli: RunCli
) -> None:
    out, _ = run
    document = json.loads(out.read_text())
    text = run_cli("inspect", out).stdout
    facts, _, _ = text.partition("lookups in")
    assert len(facts.splitlines()) <= 20
    for wanted in (
        document["created_utc"], "engramctl bench", "--cache warm", "residual mhc", "preset tiny",
        document["environment"]["cpu"], "trace zipf", "by loop",
    ):  # fmt: skip
        assert wanted in " ".join(facts.split()), wanted


def test_json_has_the_facts_and_every_case_without_its_samples(
    run: tuple[Path, dict[str, CliResult]], run_cli: RunCli
) -> None:
    out, _ = run
    document = json.loads(out.read_text())
    found = run_cli("inspect", out, "-f", "json").json
    assert found == run_cli("inspect", out, "--json").json
    for name in ("created_utc", "command", "warnings"):
        assert found[name] == document[name]
    assert found["options"]["samples"] == 3
    bounds = [case["resolution_percent"] for case in document["cases"]]
    assert found["resolution_percent"] == {"least": min(bounds), "most": max(bounds)}
    assert [case["samples"] for case in found["cases"]] == [
        len(case["samples_ns"]) for case in document["cases"]
    ]


@pytest.mark.parametrize("form", ["table", "md", "csv", "json"])
def test_an_older_result_is_shown_too(run_cli: RunCli, tmp_path: Path, form: str) -> None:
    write_result({**FIRST, "warnings": ["the disk was busy"]}, tmp_path / "old.json")
    found = run_cli("inspect", tmp_path / "old.json", "-f", form)
    assert found.exit_code == 0, found.stderr
    assert "gather" in found.stdout
    assert form == "csv" or "the disk was busy" in found.stdout
    assert "None" not in found.stdout


@pytest.mark.parametrize("form", ["table", "md", "csv", "json"])
@pytest.mark.parametrize(
    "change",
    [
        {"cases": [{}]}, {"cases": 7}, {"cases": [None]}, {"environment": {}}, {"environment": 3},
        {"warnings": None}, {"config": []}, {"command": [1]}, {"command": 5},
        {"cases": [{**FIRST["cases"][0], "p50_ns": "soon"}]},
        {"cases": [{**FIRST["cases"][2], "against": {"none_percent": "x"}}]},
        {"config": {**FIRST["config"], "layout": 4}}, {"config": {**FIRST["config"], "layout": {}}},
        {"environment": {**FIRST["environment"], "gpu": 1}},
    ],
)  # fmt: skip
def test_a_result_with_parts_missing_or_wrong_is_one_clear_error(
    run_cli: RunCli, tmp_path: Path, form: str, change: dict[str, Any]
) -> None:
    """Or shown, where the wrong part is none that the form shows."""
    (tmp_path / "r.json").write_text(json.dumps({**FIRST, **change}))
    found = run_cli("inspect", tmp_path / "r.json", "-f", form)
    assert found.exit_code in (0, 1)
    assert found.exit_code == 0 or "is not as engramctl bench writes" in found.stderr
    assert "Traceback" not in found.stderr
    if form == "table":
        assert found.exit_code == 1


def test_an_unknown_form_is_refused(run_cli: RunCli, tmp_path: Path) -> None:
    assert run_cli("inspect", tmp_path, "-f", "xml").exit_code == 2
