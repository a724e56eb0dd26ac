"""What bench refuses, with the documented exit code."""

import json
import os
from pathlib import Path

import pytest

from engramctl.arms.threads import threads_now
from engramctl.bench.run import run_bench
from engramctl.errors import CorpusError
from engramctl.sweep.options import BenchOptions
from tests.conftest import RunCli
from tests.helpers.corpora import write_ids
from tests.helpers.small_table import small_table


@pytest.mark.parametrize(
    "arguments",
    [
        ("--tier", "tape"),
        ("--case", "train"),
        ("--cache", "lukewarm"),
        ("--samples", "0"),
        ("--tokens", "0"),
        ("--batch", "-1"),
        ("--residual", "dense"),
        ("--preset", "huge"),
        ("--format", "xml"),
    ],
)
def test_unknown_values_are_exit_2(shards: Path, run_cli: RunCli, arguments: tuple[str]) -> None:
    result = run_cli("bench", shards, *arguments)
    assert result.exit_code == 2
    assert result.stdout == ""


def test_an_unfinished_build_is_refused(run_cli: RunCli, tmp_path: Path) -> None:
    table = small_table(tmp_path / "t")
    table.path.rename(tmp_path / "t.partial")
    (tmp_path / "t.partial" / "manifest.json").unlink()
    for name in ("t", "t.partial"):
        result = run_cli("bench", tmp_path / name, "--tier", "host")
        assert result.exit_code == 1
        assert "unfinished" in result.stderr


def test_a_truncated_shard_is_refused(run_cli: RunCli, tmp_path: Path) -> None:
    table = small_table(tmp_path / "t", tier="ssd")
    file = table.regions(table.layers[0])[0].path
    os.truncate(file, file.stat().st_size - 4096)
    result = run_cli("bench", table.path, "--tier", "ssd")
    assert result.exit_code == 1
    assert file.name in result.stderr
    assert "4,096 bytes short" in result.stderr


def test_an_edited_scheme_is_refused(run_cli: RunCli, tmp_path: Path) -> None:
    table = small_table(tmp_path / "t")
    manifest = json.loads((table.path / "manifest.json").read_text())
    manifest["scheme"]["layers"][0]["multipliers"][1] += 2
    (table.path / "manifest.json").write_text(json.dumps(manifest))
    result = run_cli("bench", table.path, "--tier", "host")
    assert result.exit_code == 1
    assert "multipliers[1] does not follow" in result.stderr


def test_a_run_that_is_refused_leaves_the_threads_as_they_were(
    shards: Path, tmp_path: Path
) -> None:
    before = threads_now()
    options = BenchOptions(
        tiers=("ssd",), cases=("gather",), cache="traffic", row_cache_bytes=1 << 20, after=60,
        trace=str(write_ids(tmp_path / "trace.parquet", [list(range(60))])),
        threads=before.model + 1,
    )  # fmt: skip
    with pytest.raises(CorpusError, match="too short to be read before") as told:
        run_bench(shards, options, lambda _: None)
    assert threads_now() == before
    assert told.value.facts  # until here it keeps what the run had
