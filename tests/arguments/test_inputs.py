"""No command writes over what it reads."""

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from engramctl.arguments.inputs import keep_inputs
from engramctl.errors import ConfigError
from tests.conftest import RunCli
from tests.helpers.small_table import small_table


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("inputs")
    small_table(folder / "tables")
    return folder / "tables"


@pytest.fixture
def tables(made: Path, tmp_path: Path) -> Path:
    shutil.copytree(made, tmp_path / "tables")
    return tmp_path / "tables"


def contents(folder: Path) -> dict[str, bytes]:
    return {str(file): file.read_bytes() for file in folder.rglob("*") if file.is_file()}


@pytest.mark.parametrize(
    "line",
    [
        "rows in.jsonl --scheme tables -o in.jsonl",
        "rows in.jsonl --scheme tables -o hard.jsonl",
        "rows in.jsonl --scheme tables -o soft.jsonl",
        "rows in.jsonl --scheme tables -o ./tables/../in.jsonl",
        "rows in.jsonl --scheme tables --save-scheme in.jsonl",
        "rows in.jsonl --scheme tables -o tables/manifest.json",
        "rows in.jsonl --scheme scheme.json -o scheme.json",
        "rows in.jsonl --scheme scheme.json --save-scheme scheme.json",
        "rows in.jsonl --scheme tables --config mine.toml -o mine.toml",
        "layout tables -o tables",
        "layout tables/ -o link",
        "layout tables/tables -o tables",
        "build --init import --source tables --scheme scheme.json -o tables",
        "build --scheme tables -o tables",
        "export tables -o tables",
        "mine tables/*.parquet -o tables",
        "mine tables/sub/a.parquet -o tables",
        "mine other.parquet --scheme tables -o tables",
        "mine other.parquet --held-out tables --curves -o tables",
    ],
)
def test_an_output_that_is_an_input_is_refused_and_nothing_is_touched(
    line: str, tables: Path, run_cli: RunCli, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tables.parent)
    Path("in.jsonl").write_text("[1, 2, 3]\n")
    os.link("in.jsonl", "hard.jsonl")
    Path("soft.jsonl").symlink_to("in.jsonl")
    Path("link").symlink_to("tables")
    Path("mine.toml").write_text("")
    for inner in ("tables/sub", "tables/tables"):
        Path(inner).mkdir()
    Path("tables/sub/a.parquet").write_bytes(b"whatever")
    scheme = json.loads(Path("tables/manifest.json").read_text())["scheme"]
    Path("scheme.json").write_text(json.dumps(scheme))
    before = contents(tables.parent)
    result = run_cli(*line.split(), "--force", "-q")
    assert result.exit_code == 2
    assert "it would replace an input" in result.stderr
    assert contents(tables.parent) == before


def fresh(room: Path) -> Path:
    return room / "new"


def beside(room: Path) -> Path:
    (room / "old").mkdir()
    return room / "old"


def inside(room: Path) -> Path:
    (room / "corpus" / "counts").mkdir()
    return room / "corpus" / "counts"


@pytest.mark.parametrize("place", [fresh, beside, inside])
def test_other_outputs_are_free(place: Callable[[Path], Path], tmp_path: Path) -> None:
    (tmp_path / "corpus").mkdir()
    out = place(tmp_path)
    remote = ("s3://bucket/corpus", "engram", str(tmp_path / "none" / "*.parquet"))
    keep_inputs(out, tmp_path / "corpus", str(tmp_path / "corpus" / "*.parquet"), None, *remote)
    keep_inputs(None, tmp_path / "corpus")


def test_a_file_whose_name_looks_like_a_pattern_is_itself(tmp_path: Path) -> None:
    file = tmp_path / "a[1].jsonl"
    file.write_text("")
    keep_inputs(tmp_path, str(tmp_path / "b" / "c.parquet"))
    with pytest.raises(ConfigError):
        keep_inputs(file, str(file))
