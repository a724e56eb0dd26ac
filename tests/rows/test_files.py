"""Files of row ids: whole or not there; a stranger's is never replaced, removed or written to."""

import os
from pathlib import Path

import pytest

from tests.conftest import RunCli

OPTIONS = ("--scheme", "engram", "--slots", 97, "-q")


@pytest.fixture
def tokens(tmp_path: Path) -> Path:
    """A file of token ids."""
    (tmp_path / "tokens.jsonl").write_text("[1, 2, 3]\n")
    return tmp_path / "tokens.jsonl"


def test_a_strangers_file_beside_the_output_is_left_alone(
    run_cli: RunCli, tokens: Path, tmp_path: Path
) -> None:
    (tmp_path / "thesis").write_text("years of work")
    (tmp_path / "a.jsonl.partial").write_text("years of work")
    (tmp_path / "b.jsonl.partial").symlink_to("thesis")
    for name in ("a.jsonl", "b.jsonl"):
        assert run_cli("rows", tokens, *OPTIONS, "-o", tmp_path / name).exit_code == 0
        assert (tmp_path / f"{name}.partial").read_text() == "years of work"
    assert sorted(one.name for one in tmp_path.iterdir()) == [
        "a.jsonl", "a.jsonl.partial", "b.jsonl", "b.jsonl.partial", "thesis", "tokens.jsonl",
    ]  # fmt: skip


@pytest.mark.parametrize("name", ["out.jsonl", "out.parquet"])
@pytest.mark.parametrize("option", ["-o", "--save-scheme"])
def test_force_replaces_an_earlier_result_and_nothing_else(
    run_cli: RunCli, tokens: Path, tmp_path: Path, name: str, option: str
) -> None:
    words = ("rows", tokens, *OPTIONS, option, tmp_path / name)
    (tmp_path / name).write_text("years of work")
    refused = run_cli(*words, "--force")
    assert refused.exit_code == 2
    assert "is not replaced" in refused.stderr
    assert (tmp_path / name).read_text() == "years of work"
    (tmp_path / name).unlink()
    assert run_cli(*words).exit_code == 0
    assert run_cli(*words).exit_code == 2
    assert run_cli(*words, "--force").exit_code == 0
    assert len(list(tmp_path.iterdir())) == 2


@pytest.mark.parametrize("force", [(), ("--force",)])
def test_a_device_stays_one(
    run_cli: RunCli, tokens: Path, tmp_path: Path, force: tuple[str, ...]
) -> None:
    os.mkfifo(tmp_path / "pipe")
    reader = os.open(tmp_path / "pipe", os.O_RDONLY | os.O_NONBLOCK)
    assert run_cli("rows", tokens, *OPTIONS, "-o", tmp_path / "pipe", *force).exit_code == 0
    assert os.read(reader, 8) == b'{"rows":'
    os.close(reader)
    assert (tmp_path / "pipe").is_fifo()
