"""A mixture of tiers under bench: its states, and which tier served the rows of a sample."""

import json
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pytest

from engramctl.arms.arm import Arm
from engramctl.arms.window import Window
from engramctl.bench.run import run_bench
from engramctl.bench.step_figures import give_bytes
from engramctl.errors import StorageError
from engramctl.results.document import Case
from engramctl.results.earlier import Earlier
from engramctl.shown.tables import result_tables
from engramctl.storage.tiers.ssd import SsdStore
from engramctl.sweep.loops import total_rounds
from engramctl.sweep.options import BenchOptions
from tests.conftest import ROOT
from tests.helpers.corpora import write_ids
from tests.helpers.mined_counts import run

SCHEMA = json.loads((ROOT / "docs" / "result.schema.json").read_text())
TINY, MIXED, LARGER = "host:8KiB,ssd", "host:256KiB,ssd", "host:1MiB,ssd"
WORDS: dict[str, Any] = {
    "tiers": (MIXED,), "cases": ("gather",), "samples": 5, "tokens": 20, "preset": "tiny",
}  # fmt: skip


def measured(shards: Path, **changed: Any) -> dict[str, Any]:
    document = run_bench(shards, BenchOptions(**WORDS | changed), lambda _: None)
    jsonschema.Draft202012Validator(SCHEMA).validate(json.loads(json.dumps(document)))
    return document


def text(folder: Path, tokens: int = 4000) -> str:
    ids = np.random.default_rng(5).integers(0, 129_280, tokens).tolist()
    return str(write_ids(folder / "trace.parquet", [ids]))


def test_every_case_says_which_tier_served_its_rows(shards: Path) -> None:
    document = measured(shards, tiers=(MIXED, "ssd", "host"))
    assert document["config"]["tiers"] == (MIXED, "ssd", "host")
    assert {case["tier"] for case in document["cases"]} == {MIXED, "ssd", "host"}
    for case in document["cases"]:
        assert case["status"] == "ok", case["reason"]
        unique = case["unique_rows"]
        served = {"ssd": {"ssd": unique}, "host": {"host": unique}}.get(case["tier"])
        if case["tier"] == MIXED:
            assert case["mode"] == "direct"
            assert case["bytes_per_token"]["gpu"] is case["bytes_per_token"]["host"] is None
            served = (
                {"host": unique, "ssd": 0}
                if case["cache"] == "warm"
                else {"host": 0, "ssd": unique}
            )
        assert case["rows_by_tier"] == {"gpu": None, "host": None, "ssd": None} | (served or {})
    [table] = result_tables(document)
    assert {(row["tier"], row["from cache"]) for row in table.rows} == {
        (MIXED, "host 100 % ssd 0 %"), (MIXED, "host 0 % ssd 100 %"), ("ssd", None), ("host", None)
    }  # fmt: skip


def test_a_step_of_a_mixture_says_when_it_asks_and_a_gather_never_does(shards: Path) -> None:
    words: dict[str, Any] = {"cases": ("step.decode", "gather.decode"), "context": 3}
    document = measured(shards, cache="warm", issues=("before", "start", "layer"), **words)
    issues = [case["issue"] for case in document["cases"] if case["tier"] == MIXED]
    assert sorted(issues, key=str) == [None, "before", "layer", "start"]
    for case in document["cases"]:
        if case["tier"] == MIXED:
            assert sum(filter(None, case["rows_by_tier"].values())) == case["unique_rows"]
        if case["tier"] in ("none", "ready"):
            assert set(case["rows_by_tier"].values()) == {None}
    alone = measured(shards, cache="warm", issues=("layer",), cases=("step.decode",), context=3)
    assert result_tables(alone)[1].title == "model steps, rows asked for in the layer"
    several = result_tables(document)[1]
    assert several.title == "model steps"
    asked = [row["asked"] for row in several.rows if row["tier"] == MIXED]
    assert sorted(map(str, asked)) == ["before", "layer", "start"]


def test_after_traffic_every_store_has_seen_the_same_tokens(shards: Path, tmp_path: Path) -> None:
    options = BenchOptions(
        **WORDS | {"tiers": (MIXED, LARGER), "cases": ("gather.decode",), "cache": "traffic"},
        after=3000, trace=text(tmp_path),
    )  # fmt: skip
    rounds: list[int] = []
    small, large = run_bench(shards, options, rounds.append)["cases"]
    assert sum(rounds) == total_rounds(options)
    for case in (small, large):
        assert case["tokens_before"] in (3002, 3003, 3004, 3005)
        served = case["rows_by_tier"]
        assert served["host"] + served["ssd"] == case["unique_rows"]
        assert case["state"] == "traffic"
    assert large["rows_by_tier"]["host"] > small["rows_by_tier"]["host"]
    assert large["kept"]["cache_bytes"] > small["kept"]["cache_bytes"]


@pytest.mark.parametrize("case", ["gather.prefill", "step.prefill"])
def test_a_mixture_too_small_for_a_sample_is_left_out_and_the_others_run(
    shards: Path, tmp_path: Path, case: str
) -> None:
    words: dict[str, Any] = {"cases": (case,), "cache": "warm"}
    asked = BenchOptions(**WORDS | words | {"tiers": (TINY, "host", "ssd")})
    rounds: list[int] = []
    document = run_bench(shards, asked, rounds.append)
    assert sum(rounds) == total_rounds(asked)
    cases = {one["tier"]: one for one in document["cases"]}
    assert (cases[TINY]["status"], cases[TINY]["samples_ns"]) == ("skipped", [])
    assert "does not keep the rows of a sample" in cases[TINY]["reason"]
    beside = {"none", "ready"} if case == "step.prefill" else set()
    assert set(cases) == {TINY, "host", "ssd"} | beside
    for tier in set(cases) - {TINY}:
        assert (cases[tier]["status"], cases[tier]["reason"]) == ("ok", None)
        assert len(cases[tier]["samples_ns"]) == 5
        assert cases[tier]["resolution_percent"] is not None
    assert len(cases["ssd"]["copy_samples_ns"]) == 5  # the slowest that is left has a copy
    begun = Earlier(json.loads(json.dumps(document)), tmp_path / "r.json")
    without = BenchOptions(**WORDS | words | {"tiers": ("host", "ssd")})
    assert run_bench(shards, without, lambda _: None, earlier=begun) is begun.document


def test_a_loop_that_begins_again_reads_the_windows_it_has(
    shards: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[tuple[str, list[int]]] = []
    honest = Arm.sample

    def sample(self: Arm, window: Window, *, keep: bool) -> None:
        seen.append((self.tier, window.token_ids_BT.ravel().tolist()))
        honest(self, window, keep=keep)

    monkeypatch.setattr(Arm, "sample", sample)
    words: dict[str, Any] = {"cases": ("gather.prefill", "lookup.prefill"), "cache": "warm"}
    measured(shards, tiers=("host",), **words)
    alone = [ids for tier, ids in seen if tier == "host"]
    seen.clear()
    measured(shards, tiers=(TINY, "host"), **words)
    assert TINY in {tier for tier, _ in seen}
    assert [ids for tier, ids in seen if tier == "host"][-len(alone) :] == alone


def test_a_tier_without_the_state_is_told_of_unless_it_is_a_baseline(
    shards: Path, tmp_path: Path
) -> None:
    words: dict[str, Any] = {"tiers": ("host", MIXED), "cache": "traffic", "named": True}
    gathers = measured(shards, cases=("gather",), **words)
    told = "host is not measured: its rows are in memory, and --cache traffic is a state of rows"
    assert [one.startswith(told) for one in gathers["warnings"]].count(True) == 1
    assert {case["tier"] for case in gathers["cases"]} == {MIXED}
    half = json.loads(json.dumps(gathers))
    half["cases"].pop()
    begun = Earlier(half, tmp_path / "r.json")
    options = BenchOptions(**WORDS | words)
    warnings = run_bench(shards, options, lambda _: None, earlier=begun)["warnings"]
    assert [one.startswith(told) for one in warnings].count(True) == 1
    steps = measured(shards, cases=("step.decode",), context=3, **words)
    is_baseline = "host" in {case["tier"] for case in steps["cases"]}
    assert is_baseline != any(one.startswith(told) for one in steps["warnings"])


def test_a_store_that_is_first_measured_later_was_given_what_comes_before(
    shards: Path, tmp_path: Path
) -> None:
    ids = (f"gather.decode.{MIXED}", f"gather.prefill.{LARGER}")
    words: dict[str, Any] = {"tiers": (MIXED, LARGER), "cases": ids, "trace": text(tmp_path)}
    cases = measured(shards, cache="traffic", after=500, **words)["cases"]
    assert [case["tier"] for case in cases] == [MIXED, LARGER]
    assert cases[0]["tokens_before"] in range(500, 520)
    assert cases[1]["tokens_before"] in (540, 560, 580)  # two rounds of one or two arms


def test_a_run_that_goes_on_gives_each_store_what_its_own_arms_had_read(
    shards: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = BenchOptions(
        **WORDS | {"tiers": (MIXED, LARGER), "cache": "traffic", "trace": text(tmp_path)}
    )
    honest, left = Arm.sample, [4 * 7 + 4]  # in the second loop

    def sample(self: Arm, window: Window, *, keep: bool) -> None:
        left[0] -= 1
        if not left[0]:
            raise StorageError("the disk is gone")
        honest(self, window, keep=keep)

    monkeypatch.setattr(Arm, "sample", sample)
    kept: list[dict[str, Any]] = []
    run_bench(shards, options, lambda _: None, keep=kept.append)
    monkeypatch.undo()
    begun = Earlier(json.loads(json.dumps(kept[0])), tmp_path / "r.json")
    resumed = run_bench(shards, options, lambda _: None, earlier=begun)["cases"]
    whole = run_bench(shards, options, lambda _: None)["cases"]
    for ours, theirs in zip(resumed, whole, strict=True):
        for name in ("id", "tokens_before", "rows_by_tier"):
            assert ours[name] == theirs[name], ours["id"]


def test_counts_warm_the_cache_of_a_mixture(shards: Path, tmp_path: Path) -> None:
    trace, counts = text(tmp_path), tmp_path / "accesses"
    run("mine", trace, "--scheme", shards, "--orders", "2,3,4", "-o", counts)
    words: dict[str, Any] = {"tiers": (LARGER,), "cases": ("gather.decode",), "trace": trace}
    warmed = measured(shards, cache="traffic", warm=str(counts), **words)["cases"][0]
    empty = measured(shards, cache="traffic", **words)["cases"][0]
    assert warmed["rows_by_tier"]["host"] > 0.5 * warmed["unique_rows"]
    assert empty["rows_by_tier"]["host"] < 0.2 * empty["unique_rows"]


def test_a_mixture_fills_a_dictionary(shards: Path, tmp_path: Path) -> None:
    log = tmp_path / "records.log"
    words: dict[str, Any] = {"cases": ("gather.decode",), "trace": text(tmp_path, 900)}
    [case] = measured(shards, cache="traffic", fill=str(log), named=True, after=500, **words)[
        "cases"
    ]
    assert (case["tier"], case["status"]) == (MIXED, "ok")
    assert log.exists()


def test_a_budget_beside_a_mixture_is_its_host_memory_in_all(
    shards: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[tuple[int | None, int]] = []
    honest = SsdStore.load

    def load(self: SsdStore, budget_bytes: int | None) -> None:
        seen.append((budget_bytes, self.cache_bytes))
        honest(self, budget_bytes)

    monkeypatch.setattr(SsdStore, "load", load)
    measured(shards, cases=("gather.decode",), cache="warm", budget_bytes=8 << 20)
    assert seen == [(8 << 20, 256 << 10)]


def test_rows_of_a_gpu_are_its_bytes_and_the_rest_the_slower_tiers() -> None:
    """By hand: no machine of ours has the tier."""

    def case(tier: str, **served: float) -> Case:
        rows: dict[str, float | None] = {"gpu": None, "host": None, "ssd": None}
        found = Case("gather", "decode", tier, "traffic", "traffic", tokens=1, mode="direct")
        found.useful_bytes, found.rows_by_tier = 1000, {**rows, **served}
        found.kept = found.kept | {"cache_bytes": 4096}
        found.saved = found.saved | {"cache_hits": 3.0, "cache_misses": 1.0}
        give_bytes(found, arm)
        return found

    class WithStore:
        subject = object()

    arm: Any = WithStore()
    both = case("gpu:1MiB,host", gpu=30.0, host=10.0).bytes_per_token
    assert (both["gpu"], both["host"], both["row_cache"]) == (750, 250, None)
    three = case(f"gpu:1MiB,{MIXED}", gpu=20.0, host=15.0, ssd=5.0).bytes_per_token
    assert (three["gpu"], three["row_cache"], three["host"]) == (500, 375, None)


def test_a_budget_that_the_system_does_not_give_ends_its_tier_alone(
    shards: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("engramctl.measured.model.available_bytes", lambda: 1 << 62)
    document = measured(shards, tiers=("host", MIXED), budget_bytes=1 << 60)
    found = {(case["tier"], case["status"]) for case in document["cases"]}
    assert found == {("host", "ok"), (MIXED, "skipped")}
    reasons = {case["reason"] for case in document["cases"] if case["tier"] == MIXED}
    assert all("gives no memory" in reason for reason in reasons)
