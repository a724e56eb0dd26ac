"""A run of several points: each case says its place, a failed one lets the rest run."""

import gc
import weakref
from pathlib import Path
from typing import Any

import pytest

from engramctl.bench.run import run_bench
from engramctl.errors import ConfigError, EngramError
from engramctl.measured import opened
from engramctl.measured.model import make_models
from engramctl.shown.tables import result_tables
from engramctl.sweep.loops import plan_loops, total_rounds
from engramctl.sweep.options import BenchOptions
from tests.conftest import RunCli
from tests.helpers.small_bench import SMALL_BENCH

FEW: dict[str, Any] = {
    "tiers": ("host",),
    "samples": 1,
    "tokens": 2,
    "context": 3,
    "preset": "tiny",
}
MODES = ("none", "hc", "mhc")


@pytest.fixture(scope="module")
def swept(shards: Path) -> dict[str, Any]:
    sweep = {"batch": (1, 2), "context": (3, 5)}
    options = BenchOptions(**FEW, cases=("gather.decode", "step.decode"), sweep=sweep)
    advanced: list[int] = []
    result = run_bench(shards, options, advanced.append)
    assert sum(advanced) == total_rounds(options)
    return result


def test_every_case_says_its_place_and_its_samples_are_of_it(swept: dict[str, Any]) -> None:
    places = [(case["tier"], case["batch"], case["axes"]["context"]) for case in swept["cases"]]
    assert places == [
        ("host", 1, None), ("host", 2, None),
        *((tier, batch, context) for batch in (1, 2) for context in (3, 5)
          for tier in ("none", "ready", "host")),
    ]  # fmt: skip
    assert all(case["axes"]["batch"] == case["tokens"] == case["batch"] for case in swept["cases"])
    assert len({case["id"] for case in swept["cases"]}) == len(swept["cases"])
    assert swept["config"]["sweep"] == {"batch": (1, 2), "context": (3, 5)}


def test_arms_are_compared_within_their_point(swept: dict[str, Any]) -> None:
    steps = [case for case in swept["cases"] if case["name"] == "step"]
    for none, ready, host in zip(steps[::3], steps[1::3], steps[2::3], strict=True):
        for case, other, name in ((host, none, "none"), (host, ready, "ready")):
            ours, theirs = sorted(case["samples_ns"])[2], sorted(other["samples_ns"])[2]
            assert case["against"][f"{name}_percent"] == pytest.approx(100 * (ours / theirs - 1))


def test_tables_show_a_column_for_what_is_swept_and_say_the_rest_once(
    swept: dict[str, Any],
) -> None:
    gather, step, waits = result_tables(swept)
    assert [row["batch"] for row in gather.rows] == [1, 2]
    assert "context" not in gather.names
    assert [row["context"] for row in step.rows] == [3, 3, 3, 5, 5, 5] * 2
    assert {row["preset"] for row in step.rows} == {"tiny"}
    assert set(waits.rows[0]) >= {"batch", "context", "layer", "waits"}
    assert "resolution: " in step.caption


def test_one_pair_of_models_is_in_memory_at_a_time(
    shards: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn: list[weakref.ref[Any]] = []
    modes = []

    def counted(options: BenchOptions, *words: Any) -> Any:
        gc.collect()
        assert not [one for one in drawn if one() is not None]
        modes.append(options.residual)
        made = make_models(options, *words)
        drawn.append(weakref.ref(made.with_memory))
        return made

    monkeypatch.setattr(opened, "make_models", counted)
    options = BenchOptions(
        **{**FEW, "tiers": ("host", "ssd")}, cases=("step.decode",), sweep={"residual": MODES}
    )
    run_bench(shards, options, lambda _: None)
    assert modes == list(MODES)


def refusing(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    def refuse(options: BenchOptions, *words: Any) -> Any:
        if options.residual == "hc":
            raise error
        return make_models(options, *words)

    monkeypatch.setattr(opened, "make_models", refuse)


@pytest.mark.parametrize(
    ("error", "status", "said"),
    [
        (ConfigError("a model of 9 TiB", facts={"free": "3 GiB"}), "skipped", "a model of 9 TiB"),
        (MemoryError(), "skipped", "not enough memory"),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory"), "skipped", "not enough"),
        (EngramError("the file was changed"), "failed", "the file was changed"),
    ],
)
def test_a_point_that_cannot_be_measured_says_why_and_the_rest_run(
    shards: Path, monkeypatch: pytest.MonkeyPatch, error: Exception, status: str, said: str
) -> None:
    refusing(monkeypatch, error)
    options = BenchOptions(**FEW, cases=("lookup.decode",), sweep={"residual": MODES})
    advanced: list[int] = []
    result = run_bench(shards, options, advanced.append)
    found = {case["axes"]["residual"]: case for case in result["cases"]}
    assert {mode: case["status"] for mode, case in found.items()} == {
        "none": "ok", "hc": status, "mhc": "ok"
    }  # fmt: skip
    assert said in found["hc"]["reason"]
    assert sum(advanced) == total_rounds(options)


def test_a_bug_ends_the_run(shards: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    refusing(monkeypatch, RuntimeError("shapes do not match"))
    options = BenchOptions(**FEW, cases=("lookup.decode",), sweep={"residual": MODES})
    with pytest.raises(RuntimeError, match="shapes do not match"):
        run_bench(shards, options, lambda _: None)


@pytest.mark.parametrize(
    ("error", "code"), [(ConfigError("too large"), 0), (EngramError("gone"), 1)]
)
def test_the_exit_code_says_whether_something_went_wrong(
    shards: Path, run_cli: RunCli, monkeypatch: pytest.MonkeyPatch, error: EngramError, code: int
) -> None:
    refusing(monkeypatch, error)
    words = ("bench", shards, "--tier", "host", "--case", "lookup.decode", *SMALL_BENCH)
    answer = run_cli(*words, "--residual", "none", "--residual", "hc")
    assert answer.exit_code == code
    assert error.message in answer.stdout
    alone = run_cli(*words, "--residual", "hc")
    assert alone.exit_code == error.exit_code
    assert error.message in alone.stderr


def test_a_case_named_by_its_id_is_measured_alone(shards: Path, run_cli: RunCli) -> None:
    wanted = "gather.decode.host.warm.b2"
    words = ("--batch", "1", "--batch", "2", "--case", wanted, "--samples", "5", "--json")
    answer = run_cli("bench", shards, "--tier", "host", *words)
    assert [case["id"] for case in answer.json["cases"]] == [wanted]
    assert answer.json["config"]["cases"] == [wanted]
    assert len(plan_loops(BenchOptions(cases=(wanted,), batch=2))) == 1
