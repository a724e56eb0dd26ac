"""`bench` where there is a CUDA device: on a fake machine, and on a real one."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch._subclasses.fake_tensor import FakeTensor

from engramctl.bench.run import run_bench
from engramctl.storage.tiers.pinned_host import PinnedHostStore
from engramctl.sweep.options import BenchOptions
from tests.conftest import RunCli
from tests.helpers.fake_cuda import fake_cuda

OPTIONS = BenchOptions(
    tiers=("gpu", "host"), named=True, samples=3, tokens=5, context=3, preset="tiny",
    residual="none",
)  # fmt: skip


def measured(document: dict[str, Any]) -> set[tuple[str, str, str]]:
    return {
        (case["name"], case["phase"], case["tier"])
        for case in document["cases"]
        if (case["status"], case["reason"]) == ("ok", None)
    }


WANTED = {
    (name, phase, tier)
    for name in ("gather", "lookup", "step")
    for phase in ("decode", "prefill")
    for tier in ("gpu", "host")
}


def test_every_case_runs_where_cuda_is(shards: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """All of a run but values and times: what a store of memory that is not there cannot give."""
    monkeypatch.setattr(PinnedHostStore, "finish", lambda *arguments: arguments[-1])
    monkeypatch.setattr(FakeTensor, "__int__", lambda tensor: 0, raising=False)  # of mismatches
    with fake_cuda(current=1) as machine:
        document = run_bench(shards, OPTIONS, lambda windows: None)
    assert measured(document) >= WANTED
    # a buffer is filled again when the device has read it: the events of a fake one never come
    assert set(machine.waits) - {"event"} == {"cuda:1"}
    for case in document["cases"]:
        graphed = {"decode": True, "prefill": False}[case["phase"]]
        assert case["graphs"] is (graphed if case["name"] == "step" else None)
        assert case["graphs_reason"] == (
            "prompts are read without graphs" if case["graphs"] is False else None
        )
    assert {what for what, _ in machine.graphs} == {"made", "begin", "end", "replay"}
    assert document["environment"]["gpu"]["available"]


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_a_gpu_is_measured_beside_host(shards: Path, run_cli: RunCli) -> None:
    result = run_cli(
        "bench", shards, "--tier", "gpu", "--tier", "host", "--preset", "tiny", "--samples", "3",
        "--tokens", "4", "--context", "3", "--json",
    )  # fmt: skip
    assert result.exit_code == 0, result.stderr
    assert measured(result.json) >= WANTED
    for case in result.json["cases"]:
        assert not case["check"] or case["check"]["mismatches"] == 0


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_every_case_is_measured_on_a_gpu(shards: Path) -> None:
    options = BenchOptions(samples=5, tokens=5, context=3, preset="tiny", cache="warm")
    for case in run_bench(shards, options, lambda _: None)["cases"]:
        assert (case["status"], case["check"]["mismatches"]) == ("ok", 0)
        assert case["resolution_percent"] is not None
