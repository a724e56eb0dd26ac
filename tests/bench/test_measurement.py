"""The measurement itself, measured: stores that sleep, arms that are equal, arms that are not."""

import statistics
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import torch

from engramctl.arms.step import StepArm
from engramctl.arms.subject import opened_store
from engramctl.bench.compared import OTHER_THREADS
from engramctl.bench.run import run_bench
from engramctl.measured.model import Models, make_models
from engramctl.model.decoder import Decoder
from engramctl.shown.step_tables import NOTHING
from engramctl.shown.tables import result_tables
from engramctl.storage import Store
from engramctl.storage.io.gather_threads import set_gather_threads
from engramctl.sweep.options import BenchOptions
from tests.helpers.sleeping_store import SleepingStore

Wrap = Callable[[Store], Any]
OPENED = "engramctl.measured.opened"
OPTIONS: dict[str, Any] = {
    "tiers": ("host", "ssd"), "cases": ("step",), "cache": "warm", "samples": 20, "tokens": 2,
    "context": 3, "preset": "tiny", "threads": 1,
}  # fmt: skip
pytestmark = pytest.mark.skipif(
    torch.cuda.is_available(), reason="what sleeps is the host, not a device's stream"
)


def measured(
    shards: Path, monkeypatch: pytest.MonkeyPatch, wrap: Wrap, **changes: Any
) -> dict[str, Any]:
    """A run whose ssd tier is the host tier, wrapped."""

    def opened(table: Any, tier: str, device: torch.device, reading: Mapping[str, Any]) -> Any:
        store, told = opened_store(table, "host", device, {"dtype": reading["dtype"]})
        return (wrap(store) if tier == "ssd" else store), told

    monkeypatch.setattr(f"{OPENED}.opened_store", opened)
    monkeypatch.setattr("engramctl.sweep.options.PHASES", ("decode",))
    return run_bench(shards, BenchOptions(**(OPTIONS | changes)), lambda _: None)


def slow_layer(monkeypatch: pytest.MonkeyPatch, seconds: float) -> None:
    """Have every model sleep in its layer 0: compute whose length a busy machine cannot change."""

    def made(*arguments: Any) -> Models:
        models = make_models(*arguments)
        for model in (models.without, models.with_memory):
            model.trace = lambda point: time.sleep(seconds if point == "0.attention" else 0)
        return models

    monkeypatch.setattr(f"{OPENED}.make_models", made)


def step(document: dict[str, Any], tier: str, **wanted: Any) -> dict[str, Any]:
    [case] = [
        case
        for case in document["cases"]
        if case["tier"] == tier
        and all(case[name] == value for name, value in {"phase": "decode", **wanted}.items())
    ]
    return dict(case)


@pytest.mark.parametrize("issue", ["before", "start", "layer"])
def test_a_store_that_sleeps_when_it_is_waited_for_is_an_exposed_stall_of_that_size(
    shards: Path, monkeypatch: pytest.MonkeyPatch, issue: str
) -> None:
    stores: list[SleepingStore] = []

    def sleeping(store: Store) -> SleepingStore:
        stores.append(SleepingStore(store, in_wait_s=0.06))
        return stores[-1]

    document = measured(shards, monkeypatch, sleeping, issues=(issue,))
    [store] = stores
    case = step(document, "ssd")
    assert [one["at"] for one in case["layers"]] == [1, 3]
    for one in case["layers"]:
        slept = statistics.median(store.slept_ns[one["layer"]])
        assert slept >= 60e6
        assert one["exposed_ns"] == pytest.approx(slept, rel=0.3)  # beside other work
    assert case["exposed_ns"] == sum(one["exposed_ns"] for one in case["layers"])
    assert case["p50_ns"] - step(document, "ready")["p50_ns"] > case["exposed_ns"] / 2
    assert step(document, "host")["exposed_ns"] is None  # it is what the others are held against
    assert case["hidden"]["percent"] < 60  # of a difference between two arms, beside other work


def test_reads_that_end_before_their_layer_are_no_stall_and_hidden(
    shards: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow_layer(monkeypatch, 0.1)
    document = measured(shards, monkeypatch, lambda one: SleepingStore(one, on_the_way_s=0.05))
    case = step(document, "ssd")
    assert statistics.median(case["fetch_samples_ns"]) > 50e6
    assert all(one["exposed_ns"] < 2.5e6 for one in case["layers"])
    assert case["hidden"]["percent"] > 70


def test_reads_that_end_after_their_layer_are_a_stall_there_and_not_in_the_next(
    shards: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow_layer(monkeypatch, 0.03)
    document = measured(shards, monkeypatch, lambda one: SleepingStore(one, on_the_way_s=0.1))
    first, second = step(document, "ssd")["layers"]
    assert 10e6 < first["exposed_ns"] < 75e6
    assert second["exposed_ns"] < 2.5e6


def test_the_issue_point_decides_what_is_waited_for(
    shards: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each layer's own read, a read for both at the start, and one whose head start is the lead."""
    slow_layer(monkeypatch, 0.03)
    monkeypatch.setattr(StepArm, "end_last_step", lambda _: time.sleep(0.03))
    document = measured(
        shards, monkeypatch, lambda one: SleepingStore(one, on_the_way_s=0.1),
        issues=("before", "start", "layer"), cases=("step",),
    )  # fmt: skip
    before, start, layer = (
        step(document, "ssd", issue=issue) for issue in ("before", "start", "layer")
    )
    assert before["lead_ns"] > 30e6
    assert start["lead_ns"] is layer["lead_ns"] is None
    assert before["exposed_ns"] < start["exposed_ns"] - 15e6
    assert layer["exposed_ns"] > 190e6
    assert layer["p50_ns"] > start["p50_ns"] > before["p50_ns"]


def test_the_lead_has_the_asking_in_it(shards: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(StepArm, "end_last_step", lambda _: None)
    document = measured(
        shards, monkeypatch, lambda one: SleepingStore(one, in_prefetch_s=0.05),
        issues=("before",), cases=("step",),
    )  # fmt: skip
    assert step(document, "ssd", issue="before")["lead_ns"] > 50e6


class OtherThreads(SleepingStore):
    """An arm that takes more of the machine than the others."""

    def prefetch(self, requests: Mapping[int, Any], keys: Any = None) -> Any:
        torch.set_num_threads(2)
        return super().prefetch(requests, keys)


class OtherStoreThreads(SleepingStore):
    def prefetch(self, requests: Mapping[int, Any], keys: Any = None) -> Any:
        set_gather_threads(5)
        return super().prefetch(requests, keys)


@pytest.mark.parametrize(
    ("unfair", "threads"),
    [(OtherThreads, {"model": 2, "store": 3}), (OtherStoreThreads, {"model": 1, "store": 5})],
)
def test_an_arm_with_other_threads_is_told_and_not_compared(
    shards: Path,
    monkeypatch: pytest.MonkeyPatch,
    unfair: type[SleepingStore],
    threads: dict[str, int],
) -> None:
    document = measured(shards, monkeypatch, unfair, store_threads=3)
    assert (document["config"]["threads"], document["config"]["store_threads"]) == (1, 3)
    flagged = {case["tier"] for case in document["cases"] if case["flags"] == [OTHER_THREADS]}
    assert flagged == {"ssd"}  # and none of those that were sampled after it
    assert step(document, "ssd")["threads"] == threads
    assert step(document, "none")["threads"] == {"model": 1, "store": 3}
    assert any("cannot be compared" in text for text in document["warnings"])
    shown = next(table for table in result_tables(document) if table.title.startswith("model"))
    for row in shown.rows:
        assert (row["over ready"] == NOTHING) == (row["tier"] == "ssd")
        assert (row["flag"] == OTHER_THREADS) == (row["tier"] == "ssd")


def test_a_baseline_with_other_threads_flags_what_is_held_against_it(
    shards: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def made(*arguments: Any) -> Models:
        models = make_models(*arguments)
        without: Decoder = models.without
        without.trace = lambda _: torch.set_num_threads(2)
        return models

    monkeypatch.setattr(f"{OPENED}.make_models", made)
    document = measured(shards, monkeypatch, lambda store: store)
    assert all(case["flags"] == [OTHER_THREADS] for case in document["cases"])
    assert step(document, "host")["threads"]["model"] == 1


def test_threads_are_given_back(shards: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = torch.get_num_threads()
    measured(shards, monkeypatch, OtherThreads, threads=before + 1)
    assert torch.get_num_threads() == before
