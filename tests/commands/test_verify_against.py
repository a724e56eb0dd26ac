"""`verify --against`: rows compared with where they came from, whatever the layout."""

import json
from pathlib import Path

import pytest

from tests.conftest import RunCli
from tests.helpers.small_table import SMALL_BUILD as SMALL


@pytest.fixture
def laid_out(tmp_path: Path, run_cli: RunCli) -> tuple[Path, Path]:
    tables, shards = tmp_path / "tables", tmp_path / "shards"
    assert run_cli("build", *SMALL, "-o", tables).exit_code == 0
    words = ("--head-shards", "3", "--page-bytes", "1024")
    assert run_cli("layout", tables, *words, "-o", shards).exit_code == 0
    return tables, shards


def test_every_row_is_compared_with_its_source(
    laid_out: tuple[Path, Path], run_cli: RunCli
) -> None:
    tables, shards = laid_out
    result = run_cli("verify", shards, "--against", tables, "--json")
    assert result.exit_code == 0, result.stderr
    document = json.loads(result.stdout)
    inspected = json.loads(run_cli("inspect", tables, "--json").stdout)
    assert document["rows_compared"] == sum(one["num_rows"] for one in inspected["layers"])
    assert document["sampled"] is False


def test_a_sample_takes_the_first_and_the_last_rows(
    laid_out: tuple[Path, Path], run_cli: RunCli
) -> None:
    tables, shards = laid_out
    result = run_cli("verify", shards, "--against", tables, "--sample", 100, "--json")
    assert result.exit_code == 0, result.stderr
    assert json.loads(result.stdout)["sampled"] is True


def test_another_row_exits_3_and_is_named(
    laid_out: tuple[Path, Path], tmp_path: Path, run_cli: RunCli
) -> None:
    _, shards = laid_out
    other = tmp_path / "other"
    assert run_cli("build", *SMALL, "--seed", 5, "-o", other).exit_code == 0
    result = run_cli("verify", shards, "--against", other)
    assert result.exit_code == 3
    assert "row 0 of layer" in result.stderr
    assert "expected" in result.stderr


def test_a_table_of_another_shape_exits_3(
    laid_out: tuple[Path, Path], tmp_path: Path, run_cli: RunCli
) -> None:
    _, shards = laid_out
    other = tmp_path / "other"
    assert run_cli("build", *SMALL, "--dtype", "bf16", "-o", other).exit_code == 0
    result = run_cli("verify", shards, "--against", other)
    assert result.exit_code == 3
    assert "dtype differ" in result.stderr


def test_a_sample_of_nothing_exits_2(laid_out: tuple[Path, Path], run_cli: RunCli) -> None:
    assert run_cli("verify", laid_out[1], "--sample", 5).exit_code == 2
