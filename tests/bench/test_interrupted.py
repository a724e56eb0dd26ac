"""A run that ends early keeps the cases it has finished."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from engramctl.arms.lookups import GatherArm
from engramctl.arms.waits import Waits
from engramctl.errors import StorageError
from engramctl.results.document import LEAST_SAMPLES
from engramctl.results.file import write_result
from engramctl.sweep.loops import WARM_UP
from tests.conftest import ROOT, RunCli

QUICK = ("--tier", "host", "--case", "gather", "--samples", "1", "--tokens", "2")
ONE_LOOP = 2 * (WARM_UP + LEAST_SAMPLES)  # two copies of the host arm
SIGNALLED = """
import os, sys
from engramctl.arms.lookups import GatherArm
from engramctl.cli import main

number, left, honest = int(sys.argv.pop(1)), [int(sys.argv.pop(1))], GatherArm.run

def run(self, waits):
    left[0] -= 1
    if left[0] < 0:
        os.kill(os.getpid(), number)
    return honest(self, waits)

GatherArm.run = run
main()
"""


def failing_after(runs: int, monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    honest = GatherArm.run
    done = []

    def run(self: GatherArm, waits: Waits) -> None:
        done.append(1)
        if len(done) > runs:
            raise error
        honest(self, waits)

    monkeypatch.setattr(GatherArm, "run", run)


def states(document: dict[str, Any]) -> list[tuple[str, str, str, str | None]]:
    return [
        (case["name"], case["phase"], case["status"], case["reason"]) for case in document["cases"]
    ]


def ended_by(number: int, runs: int, *words: object) -> subprocess.CompletedProcess[str]:
    """Run a command line that sends itself a signal when an arm has run so often."""
    every = [sys.executable, "-c", SIGNALLED, int(number), runs, *words]
    return subprocess.run([str(word) for word in every], capture_output=True, text=True, cwd=ROOT)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_keeps_what_was_measured_and_says_what_was_not(
    shards: Path, tmp_path: Path, number: int, code: int
) -> None:
    out = tmp_path / "result.json"
    ended = ended_by(number, ONE_LOOP + 3, "bench", shards, *QUICK, "-o", out)
    assert ended.returncode == code, ended.stderr
    assert "Traceback" not in ended.stderr
    assert f"kept in {out}: 1 of 2 cases" in ended.stderr
    assert "run the same command with --resume" in ended.stderr
    assert "gather" in ended.stdout
    assert "p50" in ended.stdout
    document = json.loads(out.read_text())
    assert states(document) == [
        ("gather", "decode", "ok", None),
        ("gather", "prefill", "skipped", "interrupted"),
    ]
    assert document["cases"][0]["resolution_percent"] > 0
    assert document["warnings"][-1] == "interrupted"
    assert [path.name for path in tmp_path.iterdir()] == ["result.json"]


def test_an_interrupted_run_without_a_file_prints_what_there_is(shards: Path) -> None:
    ended = ended_by(signal.SIGINT, ONE_LOOP + 3, "bench", shards, *QUICK, "--json")
    assert ended.returncode == 130
    assert [status for _, _, status, _ in states(json.loads(ended.stdout))] == ["ok", "skipped"]
    assert "with -o FILE they are kept" in ended.stderr


def test_an_interruption_before_the_first_case_is_finished_says_so(
    shards: Path, tmp_path: Path
) -> None:
    out = tmp_path / "result.json"
    ended = ended_by(signal.SIGINT, 3, "bench", shards, *QUICK, "-o", out, "--json")
    assert ended.returncode == 130
    assert json.loads(ended.stdout)["error"]["message"] == "interrupted"
    told = [
        line
        for line in ended.stderr.splitlines()
        if "compiling" not in line and not line.startswith("assumed: ")
    ]
    assert told == ["interrupted before the first case was finished: nothing is kept"]
    assert list(tmp_path.iterdir()) == []


def test_samples_of_the_loop_that_was_interrupted_are_kept_and_measured_anew(
    shards: Path, run_cli: RunCli, tmp_path: Path
) -> None:
    out = tmp_path / "result.json"
    words = ("bench", shards, *QUICK[:4], "--samples", 20, "--tokens", 2, "-o", out)
    ended = ended_by(signal.SIGINT, 30, *words)
    assert ended.returncode == 130
    assert "0 of 2 cases and the samples so far of 1" in ended.stderr
    assert "gather" in ended.stdout
    decode, prefill = json.loads(out.read_text())["cases"]
    assert (decode["status"], decode["reason"]) == ("skipped", "interrupted")
    assert 10 < len(decode["samples_ns"]) < 20
    assert prefill["samples_ns"] == []
    assert run_cli(*words, "--resume").exit_code == 0
    again = json.loads(out.read_text())["cases"][0]
    assert (again["status"], len(again["samples_ns"])) == ("ok", 20)


def test_a_killed_run_leaves_the_loops_it_had_finished(shards: Path, tmp_path: Path) -> None:
    out = tmp_path / "result.json"
    ended = ended_by(signal.SIGKILL, ONE_LOOP + 3, "bench", shards, *QUICK, "-o", out)
    assert ended.returncode == -signal.SIGKILL
    assert states(json.loads(out.read_text())) == [
        ("gather", "decode", "ok", None),
        ("gather", "prefill", "skipped", "not measured yet"),
    ]


def test_a_stream_gets_the_finished_document_alone(
    shards: Path, run_cli: RunCli, tmp_path: Path
) -> None:
    os.mkfifo(tmp_path / "pipe")
    reader = os.open(tmp_path / "pipe", os.O_RDONLY | os.O_NONBLOCK)
    run_cli("bench", shards, *QUICK, "-o", tmp_path / "pipe")
    document = json.loads(os.read(reader, 1 << 16))
    os.close(reader)
    assert [status for _, _, status, _ in states(document)] == ["ok", "ok"]


def test_a_case_that_fails_is_recorded_and_the_rest_run(
    shards: Path, run_cli: RunCli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    failing_after(ONE_LOOP, monkeypatch, StorageError("the file was changed"))
    out = tmp_path / "result.json"
    words = ("--case", "step", "--preset", "tiny", "-o", out)
    found = run_cli("bench", shards, "--tier", "gpu", *QUICK, *words)
    assert found.exit_code == 1
    assert "gather prefill on host: the file was changed" in found.stderr
    assert "the others are in the result" in found.stderr
    host = [case for case in json.loads(out.read_text())["cases"] if case["tier"] == "host"]
    assert states({"cases": host}) == [
        ("gather", "decode", "ok", None),
        ("gather", "prefill", "failed", "the file was changed"),
        ("step", "decode", "ok", None),
        ("step", "prefill", "ok", None),
    ]


def test_a_tier_that_is_missing_keeps_its_own_reason(
    shards: Path, run_cli: RunCli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reason = "torch was built without it"
    monkeypatch.setattr(
        "engramctl.bench.run.tier_missing", lambda tier: reason if tier == "gpu" else None
    )
    failing_after(ONE_LOOP, monkeypatch, StorageError("the file was changed"))
    run_cli("bench", shards, "--tier", "gpu", *QUICK, "-o", tmp_path / "result.json")
    document = json.loads((tmp_path / "result.json").read_text())
    gpu = [case for case in document["cases"] if case["tier"] == "gpu"]
    assert [(case["status"], case["reason"]) for case in gpu] == [("skipped", reason)] * 2


def test_a_run_that_finished_no_case_leaves_the_file_as_it_was(
    shards: Path, run_cli: RunCli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "result.json"
    write_result({"schema": "engramctl.bench/2"}, out)
    before = out.read_bytes()
    failing_after(3, monkeypatch, StorageError("the file was changed"))
    found = run_cli("bench", shards, *QUICK, "-o", out, "--force")
    assert found.exit_code == 1
    assert out.read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["result.json"]
