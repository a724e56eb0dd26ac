"""Names that are not UTF-8: of what is read, and of what is made."""

import json
import os
from pathlib import Path
from typing import Any

import pytest

from engramctl.storage.atomic import dump_json
from tests.conftest import RunCli
from tests.mining.conftest import write_ids


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
