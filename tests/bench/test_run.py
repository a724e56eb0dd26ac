"""What a bench result promises: every tier has its case, rows are checked, states are proved."""

import csv
import io
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

from engramctl.bench.loops import plan_loops, total_rounds
from engramctl.bench.options import BenchOptions
from engramctl.bench.run import run_bench
from engramctl.errors import ConfigError, CorpusError, TierUnavailable
from engramctl.storage.tiers import open_store
from tests.conftest import RunCli
from tests.tables import small_table

SMALL = ("--preset", "tiny", "--samples", "3", "--tokens", "4", "--context", "3")
HOST_GATHER = "engramctl.storage.tiers.host.gather_into"
no_gpu = pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has the gpu tier")


@pytest.fixture(scope="module")
def document(shards: Path) -> dict[str, Any]:
    options = BenchOptions(samples=4, tokens=5, context=3, preset="tiny")
    advanced: list[int] = []
    result = run_bench(shards, options, advanced.append)
    assert sum(advanced) == total_rounds(options)
    return json.loads(json.dumps(result))  # type: ignore[no-any-return]


def cases(document: Mapping[str, Any], **wanted: object) -> list[dict[str, Any]]:
    return [
        case
        for case in document["cases"]
        if all(case[key] == value for key, value in wanted.items())
    ]


@no_gpu
def test_every_tier_case_and_phase_is_there_and_a_missing_tier_says_why(
    document: dict[str, Any],
) -> None:
    for name in ("gather", "lookup", "step"):
        for phase in ("decode", "prefill"):
            found = {
                (case["tier"], case["cache"], case["status"])
                for case in cases(document, name=name, phase=phase)
            }
            assert {("host", "warm", "ok"), ("ssd", "warm", "ok")} <= found
            assert ("gpu", "warm", "skipped") in found
            assert any(tier == "ssd" and cache == "cold" for tier, cache, _ in found)
    for case in cases(document, tier="gpu"):
        assert "CUDA" in case["reason"]
        assert case["samples_ns"] == []


def test_figures_can_be_computed_again_from_the_samples(document: dict[str, Any]) -> None:
    for case in cases(document, status="ok"):
        samples = sorted(case["samples_ns"])
        assert len(samples) >= 5
        assert case["p50_ns"] == samples[(len(samples) + 1) // 2 - 1]
        assert case["p99_ns"] is None
        if case["rows"]:
            assert case["rows_per_s"] == round(case["rows"] / case["p50_ns"] * 1e9)
    by_place = {
        (c["name"], c["phase"], c["loop"], c["tier"]): c for c in cases(document, status="ok")
    }
    for (name, phase, loop, _), case in by_place.items():
        if case["against"]["none_percent"] is not None:
            none = by_place[name, phase, loop, "none"]["samples_ns"]
            ratio = np.median(case["samples_ns"]) / np.median(none)
            assert case["against"]["none_percent"] == pytest.approx((ratio - 1) * 100)


def test_every_sample_was_checked_and_states_were_proved(document: dict[str, Any]) -> None:
    for case in cases(document, status="ok"):
        if case["tier"] == "none":
            continue
        assert case["check"]["mismatches"] == 0
        assert case["check"]["rows"] >= len(case["samples_ns"]) * min(case["rows"], 256)
        before = case["resident_percent"]["before"]
        assert before <= 1.0 if case["cache"] == "cold" else before >= 99.9
        if case["cache"] == "cold":
            assert case["resident_percent"]["after"] == 100.0
            assert case["device_reads"] > 0


def test_the_baselines_are_in_every_step_loop(document: dict[str, Any]) -> None:
    measured = {case["loop"] for case in cases(document, name="step", tier="ssd", status="ok")}
    assert "warm" in measured  # cold too, unless the file system keeps its pages
    for loop in measured:
        for phase in ("decode", "prefill"):
            tiers = {case["tier"] for case in cases(document, name="step", loop=loop, phase=phase)}
            assert {"none", "host", "ssd"} <= tiers


def test_the_document_names_its_environment_and_configuration(document: dict[str, Any]) -> None:
    assert document["schema"] == "engramctl.bench/2"
    assert document["environment"]["page_bytes"] == os.sysconf("SC_PAGE_SIZE")
    assert document["config"]["preset"] == "tiny"
    assert document["config"]["layout"]["form"] == "paged"
    for case in document["cases"]:
        assert {"name", "tier", "cache", "engine", "rows", "batch", "status", "reason",
                "resolution_percent", "samples_ns", "copy_samples_ns", "p50_ns", "p99_ns",
                "rows_per_s", "useful_bytes", "device_bytes", "device_reads", "resident_percent",
                "ceiling_rows_per_s", "stall_ns", "against", "check"} <= set(case)  # fmt: skip


def test_wrong_rows_fail_the_run(
    shards: Path, run_cli: RunCli, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A reader that returns the row beside the one asked for must be found out."""
    from engramctl.storage.tiers.cpu import gather_into as honest

    def shifted(request: Any, rows: Any, out: torch.Tensor) -> torch.Tensor:
        request.row_ids[:] = np.maximum(request.row_ids - 1, 0)
        return honest(request, rows, out)

    monkeypatch.setattr(HOST_GATHER, shifted)
    result = run_cli("bench", shards, "--tier", "host", "--case", "gather", *SMALL, "--json")
    assert result.exit_code == 1
    assert "differ from the plain reader" in result.stderr
    case = result.json["cases"][0]
    assert case["status"] == "failed"
    assert case["check"]["mismatches"] > 0


def test_unwritten_output_fails_the_run(
    shards: Path, run_cli: RunCli, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(HOST_GATHER, lambda request, rows, out: out)
    result = run_cli("bench", shards, "--tier", "host", "--case", "gather", *SMALL, "--json")
    assert result.exit_code == 1


@no_gpu
def test_only_missing_tiers_is_exit_4(shards: Path, run_cli: RunCli) -> None:
    result = run_cli("bench", shards, "--tier", "gpu")
    assert result.exit_code == 4
    assert "no tier asked for is here: gpu" in result.stderr
    with pytest.raises(TierUnavailable):
        run_bench(shards, BenchOptions(tiers=("gpu",), named=True), lambda _: None)


@no_gpu
def test_one_missing_tier_among_several_is_a_skipped_case(shards: Path, run_cli: RunCli) -> None:
    result = run_cli(
        "bench", shards, "--tier", "gpu", "--tier", "host", "--case", "gather", *SMALL, "--json"
    )
    assert result.exit_code == 0
    assert {case["status"] for case in cases(result.json, tier="gpu")} == {"skipped"}


def test_a_table_that_does_not_fit_a_tier_is_a_skipped_case(
    shards: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also when it is the baseline, as a large table is on a GPU machine."""

    def full(path: Path, tier: str, **words: Any) -> Any:
        if tier == "host":
            raise torch.OutOfMemoryError("out of memory: tried to allocate 189 GiB")
        return open_store(path, tier, **words)

    monkeypatch.setattr("engramctl.bench.run.open_store", full)
    options = BenchOptions(
        tiers=("ssd",), cases=("step",), cache="warm", samples=5, tokens=2, context=3, preset="tiny"
    )
    result = run_bench(shards, options, lambda _: None)
    for case in cases(result, tier="host"):
        assert (case["status"], case["reason"][:13]) == ("skipped", "out of memory")
    for case in cases(result, tier="ssd"):
        assert case["status"] == "ok"
        assert case["against"]["none_percent"] is not None
        assert case["against"]["resident_percent"] is None


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_every_case_is_measured_on_a_gpu(shards: Path) -> None:
    options = BenchOptions(samples=5, tokens=5, context=3, preset="tiny", cache="warm")
    for case in run_bench(shards, options, lambda _: None)["cases"]:
        assert (case["status"], case["check"]["mismatches"]) == ("ok", 0)
        assert case["resolution_percent"] is not None


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
    monkeypatch.setattr("engramctl.commands.bench.TEMPORARY_SLOTS", 300)
    result = run_cli("bench", "--tier", "ssd", "--case", "gather", *SMALL, "--json")
    assert result.exit_code == 0
    assert "a temporary deepseek-v41 table" in result.stderr
    assert result.json["config"]["assumed"] in result.stderr
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


def test_a_model_without_the_fusion_is_named(shards: Path) -> None:
    with pytest.raises(ConfigError, match="unknown model preset"):
        run_bench(shards, BenchOptions(preset="none", cases=("step",)), lambda _: None)
