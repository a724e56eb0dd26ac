"""A path of another kind gets its name and the command that is meant, whatever the command."""

import os
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.conftest import RunCli


def _corpus(path: Path) -> None:
    path.mkdir()
    pq.write_table(pa.table({"input_ids": [[1, 2]]}), path / "a.parquet")


def _counts(path: Path) -> None:
    path.mkdir()
    (path / "manifest.json").write_text('{"schema": "engramctl.counts/1", "orders": []}')


def _result(path: Path) -> None:
    path.write_text('{"schema": "engramctl.bench/2", "cases": []}')


def _pointer(path: Path) -> None:
    path.write_text("version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n")


KINDS: dict[str, tuple[Callable[[Path], None], str, str]] = {
    "corpus": (_corpus, "holds Parquet files", "engramctl mine"),
    "counts": (_counts, "holds mined counts", "engramctl inspect"),
    "result.json": (_result, "is a result of engramctl bench", "engramctl inspect"),
    "pointer.safetensors": (_pointer, "is a Git LFS pointer", "git lfs pull"),
    "pipe.gguf": (lambda path: os.mkfifo(path), "is a pipe (FIFO)", "regular file"),
    "empty": (lambda path: path.mkdir(), "is an empty folder", "name another"),
}
COMMANDS = {
    "layout": ("layout", "PATH", "-o", "OUT"),
    "bench": ("bench", "PATH", "--tier", "host"),
    "export": ("export", "PATH", "-o", "OUT"),
    "verify": ("verify", "PATH"),
    "inspect": ("inspect", "PATH"),
}
READ = {("verify", "counts"), ("inspect", "counts"), ("inspect", "result.json")}


@pytest.mark.parametrize(
    ("command", "kind"),
    [(command, kind) for command in COMMANDS for kind in KINDS if (command, kind) not in READ],
)
def test_a_wrong_path_is_named_with_what_is_meant(
    run_cli: RunCli, tmp_path: Path, command: str, kind: str
) -> None:
    make, says, hint = KINDS[kind]
    make(tmp_path / kind)
    places = {"PATH": tmp_path / kind, "OUT": tmp_path / "out"}
    result = run_cli(*(places.get(word, word) for word in COMMANDS[command]))
    assert result.exit_code == 1
    assert f"{kind} {says}" in result.stderr
    assert hint in result.stderr
    assert "--resume" not in result.stderr


@pytest.mark.parametrize("kind", ["result.json", "pointer.safetensors"])
def test_a_file_that_is_no_corpus_scheme_or_tokenizer_is_named(
    run_cli: RunCli, tmp_path: Path, kind: str
) -> None:
    make, says, _ = KINDS[kind]
    make(tmp_path / kind)
    _corpus(tmp_path / "corpus")
    ids = tmp_path / "ids.jsonl"
    ids.write_text("[1, 2]\n")
    for words in (
        ("mine", tmp_path / kind, "-o", tmp_path / "out"),
        ("mine", tmp_path / "corpus", "--tokenizer", tmp_path / kind, "-o", tmp_path / "out"),
        ("rows", tmp_path / kind),
        ("rows", ids, "--scheme", tmp_path / kind),
    ):
        result = run_cli(*words)
        assert result.exit_code in (1, 2)
        assert says in result.stderr, words


def test_mine_says_what_a_folder_without_parquet_is(run_cli: RunCli, tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "model.safetensors").write_bytes(b"x")
    result = run_cli("mine", tmp_path / "model", "-o", tmp_path / "out")
    assert result.exit_code == 1
    assert "model is a checkpoint of a model" in result.stderr
