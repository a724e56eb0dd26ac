"""What a step's case says beside its times: floor, bytes, and a verdict for another engine."""

from pathlib import Path
from typing import Any

import pytest
import torch

from engramctl.bench.run import run_bench
from engramctl.bench.step_verdict import engine_layers
from engramctl.errors import ConfigError
from engramctl.machine.ceilings import Ceilings
from engramctl.machine.floor import call_floor
from engramctl.model.cost import cost
from engramctl.model.presets import preset
from engramctl.results.document import Case
from engramctl.sweep.options import DECIDING, BenchOptions
from tests.conftest import RunCli
from tests.helpers.small_bench import SMALL_BENCH as SMALL


class Rates(Ceilings):
    def __init__(self, flops: float, streams: float) -> None:
        super().__init__(Path())
        self.flops, self.streams = flops, streams

    def of_products(self, dtype: torch.dtype) -> float:
        return self.flops

    def of_streams(self, num_bytes: int) -> float:
        return self.streams


@pytest.mark.parametrize(("flops", "streams"), [(1e6, 1e15), (1e15, 1e6)])
def test_the_floor_is_the_larger_of_flops_and_bytes(flops: float, streams: float) -> None:
    shape = preset("tiny")
    found = call_floor(shape, 2, 3, 5, torch.float32, 33, Rates(flops, streams))
    card = cost(shape, 2, 3, 5, value_bytes=4, record_bytes=33)
    assert found["flops"] == card["flops"]
    assert found["bytes"] == sum(card.values()) - card["flops"]
    larger = card["flops"] if flops < streams else found["bytes"]
    assert found["ns"] == pytest.approx(larger * 1e3)


def test_layers_of_the_table_lie_in_the_engine_or_the_preset() -> None:
    assert engine_layers(BenchOptions(step_ms=1, step_layers=40), (1, 14)) == (40, {1: 1, 14: 14})
    assert engine_layers(BenchOptions(step_ms=1, preset="small"), (1, 14)) == (8, {1: 1, 14: 4})
    with pytest.raises(ConfigError, match="feeds layer 14, which a model of 14 layers lacks"):
        engine_layers(BenchOptions(step_ms=1, step_layers=14), (1, 14))


@pytest.mark.parametrize("step_ms", [0.0, -1.0, float("nan"), float("inf")])
def test_a_step_takes_time(step_ms: float) -> None:
    with pytest.raises(ConfigError, match="--step-ms must be above 0"):
        BenchOptions(step_ms=step_ms)


def test_the_verdict_needs_no_model_and_decides_nothing_of_a_run() -> None:
    assert not {"step_ms", "step_layers"} & set(DECIDING)
    assert {"issues", "threads", "store_threads"} <= set(DECIDING)


def test_gathers_alone_give_a_verdict_and_inspect_shows_it(
    shards: Path, run_cli: RunCli, tmp_path: Path
) -> None:
    out = tmp_path / "r.json"
    found = run_cli(
        "bench", shards, "--tier", "host", "--case", "gather", *SMALL, "--step-ms", "1e6",
        "--step-layers", "40", "-o", out,
    )  # fmt: skip
    assert found.exit_code == 0, found.stderr
    assert "a step of 1e+06 ms with 40 layers" in found.stdout
    again = run_cli("inspect", out)
    assert again.stdout.endswith(found.stdout)
    fit = run_cli("inspect", out, "--json").json["step_fit"]
    assert [one["layer"] for one in fit["layers"]] == [1, 14]
    assert {(one["of"], one["in_time_percent"]) for one in fit["layers"]} == {("gather", 100.0)}


def test_an_engine_that_is_too_short_is_told_before_anything_is_measured(
    shards: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("engramctl.bench.loop_arms.interleave", lambda *_: pytest.fail("measured"))
    options = BenchOptions(tiers=("host",), cases=("gather",), step_ms=1, step_layers=3)
    with pytest.raises(ConfigError, match="lacks"):
        run_bench(shards, options, lambda _: None)


def test_every_step_names_its_floor_bytes_and_threads(shards: Path) -> None:
    options = BenchOptions(
        tiers=("ssd",), cases=("step",), cache="warm", samples=1, tokens=2, context=3,
        preset="tiny", threads=1, issues=("start", "layer"), batch=2,
    )  # fmt: skip
    document = run_bench(shards, options, lambda _: None)
    found: dict[Any, Any] = {
        (case["tier"], case["issue"]): case
        for case in document["cases"]
        if case["phase"] == "decode"
    }
    host = "gpu" if torch.cuda.is_available() else "host"
    assert list(found) == [
        ("none", None), ("ready", None), ("ssd", "start"), ("ssd", "layer"), (host, "start"),
        (host, "layer"),
    ]  # fmt: skip
    for (tier, _), case in found.items():
        assert case["floor"]["ns"] > 0
        assert case["tokens_per_s"] == pytest.approx(2 / case["p50_ns"] * 1e9)
        assert case["threads"]["model"] == 1
        assert (case["rows"] > 0) == (tier != "none")
    assert found["none", None]["floor"]["bytes"] < found["ready", None]["floor"]["bytes"]
    per_token = found[host, "start"]["useful_bytes"] / 2
    assert found[host, "start"]["bytes_per_token"][host] == per_token
    assert found["ssd", "start"]["bytes_per_token"]["page_cache"] == pytest.approx(per_token)
    assert found["ssd", "start"]["fetch_samples_ns"] == found["ssd", "layer"]["fetch_samples_ns"]


def test_an_exposed_stall_is_known_when_every_layers_is() -> None:
    case = Case("step", "decode", "ssd", "warm", "warm")
    assert case.to_dict()["exposed_ns"] is None
    case.layers = [{"exposed_ns": 3}, {"exposed_ns": 4}]
    assert case.to_dict()["exposed_ns"] == 7
    case.layers[0]["exposed_ns"] = None
    assert case.to_dict()["exposed_ns"] is None
