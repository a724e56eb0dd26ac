"""What `bench` shows of a result, and which table it measures when none is named."""

import csv
import io
import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from engramctl.errors import CorpusError
from engramctl.sweep.loops import plan_loops
from engramctl.sweep.options import BenchOptions
from tests.conftest import RunCli
from tests.helpers.small_bench import SMALL_BENCH as SMALL
from tests.helpers.small_table import small_table


def test_json_is_one_document_and_out_writes_the_same(
    shards: Path, run_cli: RunCli, tmp_path: Path
) -> None:
    out = tmp_path / "result.json"
    result = run_cli(
        "bench", shards, "--tier", "ssd", "--case", "gather", *SMALL, "--json", "-o", out
    )
    assert result.exit_code == 0
    assert json.loads(out.read_text()) == result.json


@pytest.mark.parametrize("format", ["table", "md"])
def test_people_get_a_table(shards: Path, run_cli: RunCli, format: str) -> None:
    result = run_cli(
        "bench", shards, "--tier", "ssd", "--case", "gather", *SMALL, "--format", format
    )
    assert result.exit_code == 0
    assert "p50" in result.stdout
    assert "resolution" in result.stdout
    assert "gather" in result.stdout


def test_csv_holds_numbers_with_their_units(shards: Path, run_cli: RunCli) -> None:
    result = run_cli(
        "bench", shards, "--tier", "host", "--case", "gather", *SMALL, "--format", "csv"
    )
    rows = list(csv.DictReader(io.StringIO(result.stdout)))
    assert [row["phase"] for row in rows] == ["decode", "prefill"]
    for row in rows:
        assert int(row["p50_ns"]) > 0
        assert int(row["check_mismatches"]) == 0
        assert float(row["resolution_percent"]) > 0


def test_a_dry_run_lists_the_cases_and_measures_nothing(shards: Path, run_cli: RunCli) -> None:
    result = run_cli("bench", shards, "--tier", "ssd", "--dry-run", "--json")
    assert result.exit_code == 0
    planned = list(plan_loops(BenchOptions(tiers=("ssd",))))
    assert len(result.json["cases"]) == len(planned)


def test_without_a_folder_shards_come_before_tables(
    run_cli: RunCli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    arguments = ("bench", "--tier", "host", "--case", "gather", *SMALL, "--json")
    small_table(tmp_path / "tables")
    result = run_cli(*arguments)
    assert "assumed: measuring ./tables" in result.stderr
    assert result.json["config"]["path"] == "tables"
    small_table(tmp_path / "shards", tier="host")
    assert run_cli(*arguments).json["config"]["path"] == "shards"


def test_without_any_table_a_temporary_one_is_made_and_removed(
    run_cli: RunCli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)
    monkeypatch.setattr("engramctl.measured.folder.TEMPORARY_SLOTS", 300)
    result = run_cli("bench", "--tier", "ssd", "--case", "gather", *SMALL, "--json")
    assert result.exit_code == 0
    assert "a temporary deepseek-v41 table" in result.stderr
    for assumed in result.json["config"]["assumed"].split("; "):
        assert f"assumed: {assumed}" in result.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_trace_of_real_tokens_is_read_from_parquet(
    shards: Path, run_cli: RunCli, tmp_path: Path
) -> None:
    corpus = tmp_path / "corpus.parquet"
    pq.write_table(pa.table({"input_ids": [[1, 2, 3, 4, 5] * 40]}), corpus)
    arguments = ("bench", shards, "--tier", "host", "--case", "gather", *SMALL, "--json")
    result = run_cli(*arguments, "--trace", corpus)
    assert result.exit_code == 0
    assert result.json["config"]["trace"] == str(corpus)
    pq.write_table(pa.table({"input_ids": [[1, 2, 10**6] * 40]}), corpus)
    assert run_cli(*arguments, "--trace", corpus).exit_code == CorpusError.exit_code
    assert run_cli(*arguments, "--trace", tmp_path / "none.parquet").exit_code == 1
