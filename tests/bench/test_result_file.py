"""The file of `-o`: looked at before anything is measured, and never one that is not ours."""

import errno
import json
import os
import shutil
from pathlib import Path
from typing import Any, NoReturn

import pytest

from engramctl.errors import ConfigError, StorageError
from engramctl.results.file import result_file, write_result
from tests.conftest import RunCli

RESULT = {"schema": "engramctl.bench/2", "cases": []}


@pytest.fixture
def result(tmp_path: Path) -> Path:
    """A result of an earlier run."""
    write_result(RESULT, tmp_path / "result.json")
    return tmp_path / "result.json"


@pytest.fixture
def never_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    def measured(*_: Any) -> NoReturn:
        raise AssertionError("measured before the path was looked at")

    monkeypatch.setattr("engramctl.bench.run.run_bench", measured)


def tree(folder: Path) -> dict[str, bytes | None]:
    return {
        str(path.relative_to(folder)): path.read_bytes() if path.is_file() else None
        for path in folder.rglob("*")
    }


@pytest.mark.usefixtures("never_measured")
@pytest.mark.parametrize("force", [(), ("--force",)])
@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("notes.txt", b"precious"),
        ("corpus.parquet", b"PAR1"),
        ("scheme.json", json.dumps({"schema": "engramctl.scheme/1"}).encode()),
        ("quoted.json", json.dumps({"about": RESULT}).encode()),
        ("link.json", None),
        ("folder", None),
        ("shards/manifest.json", None),
        ("none/result.json", None),
        ("notes.txt/result.json", None),
    ],
)
def test_a_place_that_cannot_be_a_results_is_refused_before_anything_is_measured(
    shards: Path,
    run_cli: RunCli,
    tmp_path: Path,
    force: tuple[str, ...],
    name: str,
    content: bytes | None,
) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "notes.txt").write_bytes(b"precious")
    (tmp_path / "link.json").symlink_to("notes.txt")
    shutil.copytree(shards, tmp_path / "shards")
    if content is not None:
        (tmp_path / name).write_bytes(content)
    before = tree(tmp_path)
    found = run_cli("bench", tmp_path / "shards", "-o", tmp_path / name, *force)
    assert found.exit_code == (1 if "/result" in name else 2)
    assert name in found.stderr
    assert tree(tmp_path) == before


@pytest.mark.usefixtures("never_measured")
def test_an_earlier_result_is_kept_unless_told(shards: Path, run_cli: RunCli, result: Path) -> None:
    before = result.read_bytes()
    found = run_cli("bench", shards, "-o", result)
    assert found.exit_code == 2
    assert "--force" in found.stderr
    assert result.read_bytes() == before


def test_force_replaces_an_earlier_result_and_a_cut_one(result: Path) -> None:
    assert result_file(result, force=True) == result
    result.write_bytes(result.read_bytes()[:40])
    assert result_file(result, force=True) == result


def test_an_empty_file_and_a_link_to_nothing_are_free(tmp_path: Path) -> None:
    """As mktemp leaves them."""
    (tmp_path / "empty").touch()
    assert result_file(tmp_path / "empty", force=False) == tmp_path / "empty"
    (tmp_path / "link").symlink_to("target.json")
    assert result_file(tmp_path / "link", force=False) == tmp_path / "target.json"


def test_a_circle_of_links_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a").symlink_to("b")
    (tmp_path / "b").symlink_to("a")
    with pytest.raises(ConfigError, match="is not a result"):
        result_file(tmp_path / "a", force=True)


def test_devices_and_pipes_are_written_to_as_they_are(tmp_path: Path) -> None:
    (tmp_path / "null").symlink_to(os.devnull)
    write_result(RESULT, result_file(tmp_path / "null", force=True))
    assert (tmp_path / "null").is_char_device()
    os.mkfifo(tmp_path / "pipe")
    reader = os.open(tmp_path / "pipe", os.O_RDONLY | os.O_NONBLOCK)
    write_result(RESULT, result_file(tmp_path / "pipe", force=False))
    assert json.loads(os.read(reader, 4096)) == RESULT
    os.close(reader)
    assert (tmp_path / "pipe").is_fifo()
    assert len(list(tmp_path.iterdir())) == 2


def test_a_name_that_is_too_long_is_told_before_measuring(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="too long"):
        result_file(tmp_path / ("n" * 245), force=False)


def test_a_folder_that_takes_no_files_is_told_before_measuring(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*_: Any, **__: Any) -> NoReturn:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS), "a name nobody knows")

    monkeypatch.setattr(os, "open", refused)
    with pytest.raises(StorageError, match=r"cannot write .*result\.json: Read-only"):
        result_file(tmp_path / "result.json", force=False)


def test_looking_leaves_nothing_behind(tmp_path: Path) -> None:
    result_file(tmp_path / "result.json", force=False)
    assert list(tmp_path.iterdir()) == []
