"""Names that are not UTF-8: of what is read, and of what is made."""

import json
import os
from pathlib import Path
from typing import Any

import pytest

from engramctl.storage.files.atomic import dump_json
from tests.conftest import RunCli
from tests.helpers.corpora import write_ids


@pytest.fixture
def strange(tmp_path: Path) -> Path:
    """A folder called caf\\xe9, with a Parquet file \\xff.parquet of ids."""
    folder = Path(os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9"))
    folder.mkdir()
    write_ids(tmp_path / "a.parquet", [[1, 2, 3, 1, 2]] * 30)
    os.rename(tmp_path / "a.parquet", folder / os.fsdecode(b"\xff.parquet"))
    return folder


def test_every_command_of_a_corpus_reads_and_writes_them(strange: Path, run_cli: RunCli) -> None:
    def run(*words: object) -> Any:
        result = run_cli(*words, "--json", "-q")
        assert result.exit_code == 0, result.stderr
        return result.json

    counts, [corpus] = strange / "counts", strange.glob("*.parquet")
    summary = run("mine", corpus, "-o", counts, "--scheme", "qwen-ple", "--curves",
                  "--held-out", corpus, "--tmp-dir", strange)  # fmt: skip
    assert summary["corpus"] == [f"{strange.parent}/caf\\xe9/\\xff.parquet"]
    assert json.loads((counts / "summary.json").read_bytes()) == summary
    manifest = json.loads((counts / "manifest.json").read_bytes())
    assert manifest["corpus"][0]["file"] == summary["corpus"][0]
    rows = ("rows", corpus, "--scheme", "dictionary", "--counts", counts, "--vocab-size", 9)
    assert run(*rows, "-o", strange / "rows.parquet")["sequences"] == 30
    run("inspect", counts)
    run("verify", counts)


def test_json_of_ours_may_hold_them_and_gives_them_back() -> None:
    document = {"command": ["build", "-o", os.fsdecode(b"\xff")], "é": "ü"}
    written = dump_json(document)
    assert json.loads(written.decode()) == document
    assert "ü" in written.decode()


@pytest.mark.parametrize("name", ["circle", "circle/within"])
@pytest.mark.parametrize(
    "line",
    [
        "inspect {}",
        "verify {}",
        "layout {} --dry-run",
        "export {} --dry-run",
        "bench {} --dry-run",
        "rows --scheme {}",
        "rows --scheme dictionary --counts {}",
        "build --counts {} --dry-run",
        "build --slots 97 -o {}",
    ],
)
def test_a_circle_of_links_is_no_bug(tmp_path: Path, run_cli: RunCli, line: str, name: str) -> None:
    (tmp_path / "circle").symlink_to("circle")
    result = run_cli(*line.format(tmp_path / name).split())
    assert result.exit_code in (1, 2)
    assert "circle" in result.stderr


def test_a_pipe_is_neither_a_config_nor_a_tokenizer(
    tmp_path: Path, run_cli: RunCli, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It would be waited for, for ever."""
    monkeypatch.chdir(tmp_path)
    write_ids(tmp_path / "a.parquet", [[1, 2, 3]])
    os.mkfifo("pipe")
    assert run_cli("mine", "a.parquet", "--tokenizer", "pipe", "-o", "c").exit_code == 2
    os.rename("pipe", "engramctl.toml")
    assert run_cli("inspect", "a.parquet").exit_code == 2
