"""What a run will leave out is told by --list and --dry-run, in the words of the run."""

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from engramctl.bench.run import run_bench
from engramctl.errors import EngramError
from engramctl.storage.tiers.door import cuda_missing
from engramctl.sweep.chosen import chosen_options
from engramctl.sweep.left_out import KnownTable, why_left_out
from engramctl.sweep.loops import plan_loops
from engramctl.sweep.options import BenchOptions
from tests.conftest import RunCli
from tests.helpers.small_table import small_table

TINY, MIXED = "host:8KiB,ssd", "host:1MiB,ssd"
QUICK = ("--samples", "5", "--preset", "tiny")


@pytest.fixture(scope="module")
def shards(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return small_table(tmp_path_factory.mktemp("left") / "shards", slots=600, tier="ssd").path


def told(run_cli: RunCli, *words: object) -> dict[str, Any]:
    answer = run_cli("bench", *words, "--json")
    assert answer.exit_code == 0, answer.stderr
    found: dict[str, Any] = answer.json
    return found


def reasons(document: dict[str, Any]) -> dict[str, str | None]:
    return {case["id"]: case["left_out"] for case in document["cases"]}


def test_a_budget_that_keeps_no_row_has_no_warm_case(shards: Path, run_cli: RunCli) -> None:
    words = ("--tier", "ssd", "--budget", "8MiB", "--case", "gather.decode")
    run = told(run_cli, shards, *words, *QUICK)
    ran = {case["id"]: case["reason"] for case in run["cases"]}
    assert set(map(bool, ran.values())) == {True, False}
    for found in (told(run_cli, *words, "--list"), told(run_cli, shards, *words, "--dry-run")):
        assert reasons(found) == ran
        assert found["warnings"] == []
    shown = " ".join(run_cli("bench", *words, "--list").stdout.split())
    assert "none is warm" in shown


def test_a_row_cache_too_small_for_a_sample_is_told_where_the_table_is_known(
    shards: Path, run_cli: RunCli
) -> None:
    words = ["--case", "gather", "--cache", "warm", "--tokens", "60"]
    words += [word for tier in (TINY, MIXED, "ssd", "host") for word in ("--tier", tier)]
    assert set(reasons(told(run_cli, *words, "--list")).values()) == {None}
    found = reasons(told(run_cli, shards, *words, "--dry-run"))
    small = {name for name, why in found.items() if why is not None}
    assert small == {f"gather.prefill.{TINY}.warm.b1.t60"}
    [why] = filter(None, found.values())
    assert why.startswith("the row cache may not keep the rows of a sample: up to ")
    options = chosen_options(
        tier=[TINY], case=["gather.prefill"], cache="warm", tokens=[60], samples=5
    )
    with pytest.raises(EngramError, match="does not keep the rows") as refused:
        run_bench(shards, options, lambda _: None)
    assert why.rpartition(" and ")[2] == refused.value.message.rpartition(" and ")[2]


def test_what_holds_not_even_the_rows_of_a_token_is_left_out_for_sure() -> None:
    record: Any = SimpleNamespace(record_bytes=264)
    rows: Any = SimpleNamespace(record=record, layers=(1, 2, 3), num_rows=lambda layer: 10_000)
    scheme: Any = SimpleNamespace(num_heads=16)
    table = KnownTable(rows, scheme)
    for tokens in (1, 60):
        options = BenchOptions(
            tiers=("host:9KiB,ssd",), cases=("gather.prefill",), cache="warm", tokens=tokens
        )
        [loop] = plan_loops(options)
        why = why_left_out(loop, "host:9KiB,ssd", table)
        assert why is not None
        assert why.startswith("the row cache does not keep the rows of a sample: 48 of them")
    every = replace(loop, options=replace(options, tokens=1))
    assert why_left_out(every, "host:64KiB,ssd", table) is None
    assert why_left_out(loop, "gpu:8MiB,ssd", table) is None
    assert "may not keep" in str(why_left_out(loop, "gpu:256KiB,ssd", table))


def test_a_row_cache_that_cannot_be_is_told(shards: Path, run_cli: RunCli) -> None:
    words = ("--tier", "host:16,ssd", "--case", "gather.decode", "--cache", "cold")
    for more in (("--list",), (shards, "--dry-run")):
        assert set(reasons(told(run_cli, *words, *more)).values()) == {"the row cache is too small"}


@pytest.mark.parametrize("case", ["gather", "step.decode"])
def test_a_tier_that_is_in_no_loop_is_told_unless_it_is_a_baseline(
    shards: Path, run_cli: RunCli, case: str
) -> None:
    words = ("--tier", "host", "--tier", MIXED, "--case", case, "--cache", "cold")
    listed, planned = told(run_cli, *words, "--list"), told(run_cli, shards, *words, "--dry-run")
    is_baseline = case != "gather" and cuda_missing() is not None
    assert len(listed["warnings"]) == (0 if is_baseline else 1)
    assert planned["warnings"] == listed["warnings"]
    run = told(run_cli, shards, *words, *QUICK, "--context", "3", "--tokens", "4")
    assert set(listed["warnings"]) <= set(run["warnings"])
    assert any(one.startswith("host is not measured") for one in run["warnings"]) != is_baseline
    shown = " ".join(run_cli("bench", *words, "--list").stdout.split())
    assert ("host is not measured" in shown) != is_baseline


def test_traffic_wants_rows_that_are_kept(shards: Path, run_cli: RunCli, tmp_path: Path) -> None:
    words = ("--tier", "ssd", "--budget", "8MiB", "--case", "gather.decode", "--cache", "traffic")
    found = told(run_cli, shards, *words, "--dry-run")
    assert list(reasons(found).values()) == ["nothing is kept of the rows that were read before"]
    fills = ("--fill", tmp_path / "records.log")
    assert list(reasons(told(run_cli, shards, *words, *fills, "--dry-run")).values()) == [None]
