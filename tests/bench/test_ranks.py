"""`bench` on several ranks, started by itself or by a launcher."""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import jsonschema
import pytest

from engramctl.errors import ConfigError
from engramctl.results.document import as_current
from engramctl.shown.tables import raw_tables, result_tables
from engramctl.sweep.loops import plan_loops
from engramctl.sweep.options import BenchOptions
from tests.conftest import ROOT, RunCli
from tests.helpers.small_bench import SMALL_BENCH

WORDS = (*SMALL_BENCH, "--tier", "host", "--tier", "gpu", "--trace", "uniform")
SCHEMA = json.loads((ROOT / "docs" / "result.schema.json").read_text())


def test_two_ranks_give_a_result_with_both_schedules(
    shards: Path, run_cli: RunCli, tmp_path: Path
) -> None:
    out = tmp_path / "r.json"
    result = run_cli("bench", shards, "--ranks", "2", *WORDS, "-o", out)
    assert result.exit_code == 0, result.stderr
    assert "two micro-batches" in result.stdout
    assert "branches/token" in result.stdout
    document = json.loads(out.read_text())
    jsonschema.Draft202012Validator(SCHEMA).validate(document)
    assert document["config"]["ranks"] == 2
    assert document["config"]["batch"] == 4  # the smallest there is
    cases = {(case["phase"], case["tier"]): case for case in document["cases"]}
    assert {tier for _, tier in cases} == {"host", "gpu"}
    for phase, tokens in (("decode", 4), ("prefill", 16)):
        case = cases[phase, "host"]
        assert case["id"].startswith(f"ranks.{phase}.host.warm.b4")
        assert (case["tokens"], case["check"]["mismatches"], case["issue"]) == (tokens, 0, "start")
        assert case["ranks"]["logits_off"] == 0
        assert case["ranks"]["bytes_per_token"]["streams"] == 4 * 64 * 4  # branches, width, f32
        for schedule in case["ranks"]["schedules"]:
            assert [len(of) for of in schedule["samples_ns"]] == [5, 5]
            assert [len(of) for of in schedule["rows_wait_ns"]] == [5, 5]
        plain = case["ranks"]["schedules"][0]["samples_ns"]
        assert case["samples_ns"] == [max(times) for times in zip(*plain, strict=True)]
    again = as_current(document)
    assert again is not None
    assert result_tables(again)
    [table] = raw_tables(again)
    assert table.rows[0]["ranks_plain_p50_ns"]


def test_ranks_that_a_launcher_started_speak_through_the_first(
    shards: Path, tmp_path: Path
) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    words = [sys.executable, "-m", "engramctl", "bench", str(shards), *SMALL_BENCH, "--tier",
             "host", "--case", "ranks.decode", "--trace", "uniform", "--json", "-o",
             str(tmp_path / "r.json")]  # fmt: skip
    place = {"WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    ranks = [
        subprocess.Popen(
            words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=ROOT, text=True,
            env=os.environ | place | {"RANK": str(rank), "LOCAL_RANK": str(rank)},
        )
        for rank in range(2)
    ]  # fmt: skip
    said = [rank.communicate(timeout=300) for rank in ranks]
    assert [rank.returncode for rank in ranks] == [0, 0], said
    [case] = json.loads(said[0][0])["cases"]
    assert case["ranks"]["number"] == 2
    assert said[1] == ("", "")


def test_ranks_have_one_case_and_a_batch_that_can_be_dealt() -> None:
    loops = plan_loops(BenchOptions(ranks=2, batch=8, cases=("ranks",), tiers=("host",)))
    assert [(loop.case, loop.phase) for loop in loops] == [
        ("ranks", "decode"),
        ("ranks", "prefill"),
    ]
    for words, message in (
        ({"batch": 6}, "--batch must be a multiple of 4 with 2 ranks"),
        ({"batch": 4, "cases": ("step",)}, "unknown --case 'step'"),
        ({"batch": 4, "issues": ("layer",)}, "asked for when a step begins"),
        ({"batch": 4, "step_ms": 3.0}, "--step-ms"),
        ({"batch": 4, "deal": "columns"}, "unknown --deal 'columns'"),
    ):
        with pytest.raises(ConfigError, match=message):
            BenchOptions(**{"ranks": 2, "cases": ("ranks",), **words})  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="--deal deals a table to ranks"):
        BenchOptions(deal="rows")
