"""A run that goes on from the file of one that ended early."""

import json
from pathlib import Path
from typing import Any

import pytest

from engramctl.arms.arm import Arm
from engramctl.arms.lookups import GatherArm
from engramctl.arms.window import Window
from engramctl.bench.run import run_bench
from engramctl.errors import StorageError
from engramctl.results.document import LEAST_SAMPLES
from engramctl.results.earlier import NOT_YET, Earlier
from engramctl.sweep.loops import WARM_UP
from engramctl.sweep.options import BenchOptions
from tests.conftest import RunCli, run_in_process
from tests.helpers.small_table import SMALL_BUILD

QUICK = ("--tier", "host", "--case", "gather", "--samples", "1", "--tokens", "2")
ONE_LOOP = 2 * (WARM_UP + LEAST_SAMPLES)  # two copies of the host arm


class Runs:
    """The windows that arms have sampled, and after how many of them a run breaks."""

    def __init__(self) -> None:
        self.windows: list[list[int]] = []
        self.most: int | None = None


@pytest.fixture
def runs(monkeypatch: pytest.MonkeyPatch) -> Runs:
    seen = Runs()
    honest = GatherArm.sample

    def sample(self: GatherArm, window: Window, *, keep: bool) -> None:
        if seen.most is not None and len(seen.windows) >= seen.most:
            raise StorageError("the disk is gone")
        seen.windows.append(window.token_ids_BT.ravel().tolist())
        honest(self, window, keep=keep)

    monkeypatch.setattr(GatherArm, "sample", sample)
    return seen


@pytest.fixture
def begun(shards: Path, tmp_path: Path, runs: Runs) -> Path:
    """The file of a run that broke in its second loop."""
    runs.most = ONE_LOOP + 3
    out = tmp_path / "result.json"
    assert run_in_process("bench", shards, *QUICK, "-o", out).exit_code == 1
    runs.most = None
    runs.windows.clear()
    return out


def read(path: Path) -> Any:
    return json.loads(path.read_text())


def edited(path: Path, change: Any) -> None:
    document = read(path)
    change(document)
    path.write_text(json.dumps(document))


def test_only_the_missing_loops_are_measured(
    shards: Path, run_cli: RunCli, begun: Path, runs: Runs
) -> None:
    edited(begun, lambda one: one["warnings"].insert(0, "a warning of the first run"))
    before = read(begun)
    answer = run_cli("bench", shards, *QUICK, "-o", begun, "--resume", "--json")
    assert answer.exit_code == 0
    assert len(runs.windows) == ONE_LOOP
    after = read(begun)
    assert after == answer.json
    assert after["cases"][0] == before["cases"][0]
    assert [case["status"] for case in after["cases"]] == ["ok", "ok"]
    assert after["warnings"][0] == "a warning of the first run"
    assert "resumed: 1 finished loops are of an earlier run" in after["warnings"]
    assert not [one for one in after["warnings"] if "the disk is gone" in one]


def test_it_reads_the_windows_that_a_whole_run_reads(
    shards: Path, run_cli: RunCli, begun: Path, runs: Runs
) -> None:
    run_cli("bench", shards, *QUICK, "-o", begun, "--resume")
    resumed = list(runs.windows)
    runs.windows.clear()
    run_cli("bench", shards, *QUICK)
    assert resumed == runs.windows[ONE_LOOP:]


def test_a_finished_file_is_shown_and_not_measured_again(
    shards: Path, run_cli: RunCli, begun: Path, runs: Runs
) -> None:
    run_cli("bench", shards, *QUICK, "-o", begun, "--resume")
    runs.windows.clear()
    before = begun.read_bytes()
    answer = run_cli("bench", shards, *QUICK, "-o", begun, "--resume", "--json")
    assert (answer.exit_code, runs.windows) == (0, [])
    assert f"{begun} is finished" in answer.stderr
    assert answer.json == json.loads(before)
    assert begun.read_bytes() == before


def test_without_a_file_it_begins(shards: Path, run_cli: RunCli, tmp_path: Path) -> None:
    out = tmp_path / "new.json"
    assert run_cli("bench", shards, *QUICK, "-o", out, "--resume").exit_code == 0
    assert read(out)["warnings"] == []


def test_an_interruption_while_resuming_keeps_the_loops_of_both(
    shards: Path, run_cli: RunCli, begun: Path, runs: Runs
) -> None:
    before = read(begun)["cases"][0]
    runs.most = 3
    assert run_cli("bench", shards, *QUICK, "-o", begun, "--resume").exit_code == 1
    assert read(begun)["cases"][0] == before


@pytest.mark.parametrize(
    ("more", "name", "expected", "found"),
    [
        (("--samples", "3"), "samples", "1", "3"),
        (("--trace", "uniform"), "trace", "zipf", "uniform"),
        (("--seed", "5"), "seed", "0", "5"),
    ],
)
def test_other_options_are_refused_with_both_values(
    shards: Path, run_cli: RunCli, begun: Path, more: tuple[str, str], name: str, expected: str,
    found: str,
) -> None:  # fmt: skip
    words = list(QUICK)
    if more[0] in words:
        words[words.index(more[0]) + 1] = more[1]
    else:
        words += more
    before = begun.read_bytes()
    error = run_cli("bench", shards, *words, "-o", begun, "--resume", "--json").json["error"]
    assert error["exit_code"] == 2
    assert f"{name} of the run differs" in error["message"]
    assert error["facts"] == {"expected": expected, "found": found}
    assert begun.read_bytes() == before


@pytest.mark.parametrize(
    ("more", "told", "measured"),
    [
        (("--batch", "1", "--batch", "3"), "batch 1, now [1, 3]", ["b1", "b1.t2", "b3", "b3.t2"]),
        (("--batch", "3"), "batch 1, now 3", ["b1", "b3", "b3.t2"]),
    ],
)
def test_a_run_of_other_cases_adds_them_to_those_the_file_has(
    shards: Path, run_cli: RunCli, begun: Path, runs: Runs, more: tuple[str, ...], told: str,
    measured: list[str],
) -> None:  # fmt: skip
    before = read(begun)["cases"][0]
    words = ("bench", shards, *QUICK, *more, "-o", begun, "--resume", "--json")
    answer = run_cli(*words)
    assert answer.exit_code == 0, answer.stderr
    assert len(runs.windows) == ONE_LOOP * (len(measured) - 1)  # but for the finished one
    cases = answer.json["cases"]
    assert sorted(case["id"].partition(".warm.")[2] for case in cases) == measured
    assert all(case["status"] == "ok" for case in cases)
    assert before in cases
    assert "resumed: 1 finished loops are of an earlier run" in answer.stderr
    assert f"other options than the earlier run: {told}" in answer.stderr


def test_a_tier_more_measures_its_loops_anew(
    shards: Path, run_cli: RunCli, begun: Path, runs: Runs
) -> None:
    """Arms are compared with those that were measured in turn with them."""
    words = ("--tier", "ssd", "--cache", "warm", "-o", begun, "--resume", "--json")
    answer = run_cli("bench", shards, *QUICK, *words)
    assert answer.exit_code == 0
    assert len(runs.windows) == 2 * (ONE_LOOP + ONE_LOOP // 2)
    tiers = {case["tier"] for case in answer.json["cases"] if case["status"] == "ok"}
    assert tiers == {"host", "ssd"}


def test_other_rows_of_the_same_shape_are_refused(
    run_cli: RunCli, tmp_path: Path, runs: Runs
) -> None:
    place, out = tmp_path / "shards", tmp_path / "result.json"
    words = ("bench", place, *QUICK, "-o", out)
    run_cli("build", *SMALL_BUILD, "--init", "normal", "--seed", 1, "-o", place)
    runs.most = ONE_LOOP + 3
    assert run_cli(*words).exit_code == 1
    run_cli("build", *SMALL_BUILD, "--init", "normal", "--seed", 2, "-o", tmp_path / "other")
    place.rename(tmp_path / "old")
    (tmp_path / "other").rename(place)
    answer = run_cli(*words, "--resume")
    assert answer.exit_code == 2
    assert "table_xxh3_128 of the run differs" in answer.stderr


def test_another_machine_is_refused(shards: Path, run_cli: RunCli, begun: Path) -> None:
    edited(begun, lambda one: one["environment"].update(cpu="another processor"))
    answer = run_cli("bench", shards, *QUICK, "-o", begun, "--resume")
    assert answer.exit_code == 2
    assert "cpu of the machine differs" in answer.stderr
    assert "another processor" in answer.stderr


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('{"schema": "engramctl.bench/2", "cas', "is not a whole result"),
        ('{"schema": "engramctl.bench/1"}', "was written by another engramctl"),
        ('{"schema": "engramctl.bench/2"}', "cannot be gone on from"),
    ],
)
def test_a_file_that_cannot_be_gone_on_from_says_why(
    shards: Path, run_cli: RunCli, tmp_path: Path, content: str, message: str
) -> None:
    out = tmp_path / "result.json"
    out.write_text(content)
    answer = run_cli("bench", shards, *QUICK, "-o", out, "--resume")
    assert answer.exit_code == 1
    assert message in answer.stderr
    assert "--force" in answer.stderr
    assert out.read_text() == content


@pytest.mark.parametrize(
    "change",
    [
        lambda one: one.update(cases=[{"name": "gather"}]),
        lambda one: one["cases"][0].update(samples_ns="many"),
        lambda one: one.update(warnings=None),
        lambda one: one["cases"][0].pop("axes"),
        lambda one: one["environment"].pop("libraries"),
    ],
)
def test_a_spoiled_result_is_no_bug(
    shards: Path, run_cli: RunCli, begun: Path, change: Any
) -> None:
    edited(begun, change)
    answer = run_cli("bench", shards, *QUICK, "-o", begun, "--resume")
    assert answer.exit_code == 1
    assert "cannot be gone on from" in answer.stderr


def test_there_must_be_a_file_to_go_on_from(shards: Path, run_cli: RunCli, tmp_path: Path) -> None:
    assert run_cli("bench", shards, "--resume").exit_code == 2
    answer = run_cli("bench", shards, "--resume", "-o", "/dev/null")
    assert answer.exit_code == 2
    assert "keeps nothing" in answer.stderr


def test_a_resumed_run_of_steps_reads_the_windows_that_a_whole_one_reads(
    shards: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A loop of steps has three lists of windows: of cases, of fetches, of the copy."""
    seen: list[bytes] = []
    honest = Arm.sample

    def sample(self: Arm, window: Window, *, keep: bool) -> None:
        seen.append(window.token_ids_BT.tobytes())
        honest(self, window, keep=keep)

    monkeypatch.setattr(Arm, "sample", sample)
    options = BenchOptions(
        tiers=("host",), cases=("step",), samples=1, tokens=2, context=3, preset="tiny", threads=1
    )
    kept: list[Any] = []
    run_bench(shards, options, lambda _: None, keep=kept.append)
    whole = seen[:]
    seen.clear()
    half = json.loads(json.dumps(kept[0]))  # as its file has it
    assert {case["reason"] for case in half["cases"]} == {None, NOT_YET}
    run_bench(shards, options, lambda _: None, earlier=Earlier(half, Path("r.json")))
    assert seen == whole[len(whole) // 2 :]
