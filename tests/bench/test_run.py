"""What a bench result promises: every tier has its case, rows are checked, states are proved."""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from engramctl.bench.run import run_bench
from engramctl.errors import ConfigError, TierUnavailable
from engramctl.storage import open_store
from engramctl.sweep.loops import total_rounds
from engramctl.sweep.options import BenchOptions
from tests.conftest import RunCli
from tests.helpers.small_bench import SMALL_BENCH as SMALL

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
        if case["tier"] in ("none", "ready"):
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
    from engramctl.storage.tiers.by_address import gather_into as honest

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

    monkeypatch.setattr("engramctl.arms.subject.open_store", full)
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


def test_an_unknown_model_is_told_before_anything_is_measured() -> None:
    with pytest.raises(ConfigError, match="unknown --preset 'smal'") as error:
        BenchOptions(preset="smal")
    assert error.value.hint == "did you mean 'small'?"
