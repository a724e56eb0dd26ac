"""A file that is no longer what it was is noticed, at most a second later."""

import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from engramctl.errors import StorageError
from engramctl.storage.readers.open_files import LOOK_AGAIN_NS, OpenFiles
from tests.storage.readers.ranges import random_file


def _cut(path: Path) -> None:
    os.truncate(path, 100)


def _overwrite(path: Path) -> None:
    with path.open("r+b") as file:
        file.write(b"other bytes")
    os.utime(path, ns=(1, 1))


def _replace(path: Path) -> None:
    before = path.stat()
    other = random_file(path.with_suffix(".new"), before.st_size, seed=9)
    os.utime(other, ns=(before.st_atime_ns, before.st_mtime_ns))
    other.rename(path)


CHANGES = {
    "was changed": _cut, "changed while": _overwrite, "replaced": _replace, "removed": os.unlink,
}  # fmt: skip


@pytest.mark.parametrize("word", CHANGES)
def test_changed_files_are_named(tmp_path: Path, word: str) -> None:
    paths = [random_file(tmp_path / name, 10_000) for name in ("a.bin", "b.bin")]
    files = OpenFiles(paths)
    files.check_unchanged(now=True)
    change: Callable[[Path], None] = CHANGES[word]
    change(paths[1])
    with pytest.raises(StorageError, match=rf"b\.bin .*{word}"):
        files.check_unchanged(now=True)
    files.close()


def test_what_was_changed_once_is_an_error_from_then_on(tmp_path: Path) -> None:
    path = random_file(tmp_path / "a.bin", 10_000)
    files = OpenFiles([path])
    path.rename(tmp_path / "b.bin")
    with pytest.raises(StorageError, match="removed"):
        files.check_unchanged(now=True)
    (tmp_path / "b.bin").rename(path)
    with pytest.raises(StorageError, match="removed"):
        files.check_unchanged()
    files.close()


def test_files_are_looked_at_once_a_second(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = random_file(tmp_path / "a.bin", 10_000)
    now = 5_000_000_000
    monkeypatch.setattr(time, "monotonic_ns", lambda: now)
    files = OpenFiles([path])
    path.unlink()
    now += LOOK_AGAIN_NS - 1
    files.check_unchanged()
    now += 1
    with pytest.raises(StorageError, match="removed"):
        files.check_unchanged()
    files.close()
