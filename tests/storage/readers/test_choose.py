"""The engine that is used is the best that was seen to work, and what it replaces is named."""

import ctypes
import errno
import fcntl
import os
import subprocess
import sys
from pathlib import Path

import pytest

from engramctl.errors import ConfigError, StorageError
from engramctl.storage.readers import choose as module
from engramctl.storage.readers.choose import choose
from engramctl.storage.readers.open_files import OpenFiles
from engramctl.storage.readers.uring_engine import UringEngine
from tests.storage.readers.ranges import Target, random_file, random_ranges


@pytest.fixture
def paths(tmp_path: Path) -> list[Path]:
    return [random_file(tmp_path / f"{k}.bin", 30_000 + k, seed=k) for k in range(2)]


def test_without_a_budget_the_page_cache_is_asked(paths: list[Path]) -> None:
    chosen = choose(paths, direct=False)
    assert (chosen.engine.name, chosen.files.direct, chosen.fallback) == ("willneed", False, None)
    assert chosen.why == "willneed through the page cache: it is the best that works here"
    chosen.close()


@pytest.mark.parametrize("name", ["io_uring", "pread"])
def test_a_named_engine_is_used(paths: list[Path], name: str) -> None:
    chosen = choose(paths, name, direct=True)
    assert (chosen.engine.name, chosen.files.direct) == (name, True)
    target = Target(paths, random_ranges(paths, 9, seed=1, aligned=True))
    chosen.engine.start(target.batch).wait()
    target.check()
    chosen.close()


def test_a_file_system_that_refuses_direct_reads_is_labelled(
    paths: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = os.open

    def refusing(path: Path, flags: int, *more: int) -> int:
        if flags & os.O_DIRECT:
            raise OSError(errno.EINVAL, "Invalid argument", str(path))
        return plain(path, flags, *more)

    monkeypatch.setattr(os, "open", refusing)
    chosen = choose(paths, direct=True)
    assert not chosen.files.direct
    assert chosen.fallback == "O_DIRECT: Invalid argument (EINVAL)"
    assert "not to be had: O_DIRECT" in chosen.why
    chosen.close()


def test_direct_reads_refused_only_when_they_read_are_labelled_too(
    paths: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = os.preadv

    def refusing(descriptor: int, buffers: list[bytearray], offset: int) -> int:
        if fcntl.fcntl(descriptor, fcntl.F_GETFL) & os.O_DIRECT:
            raise OSError(errno.EINVAL, "Invalid argument")
        return plain(descriptor, buffers, offset)

    monkeypatch.setattr(os, "preadv", refusing)
    chosen = choose(paths, direct=True)
    assert not chosen.files.direct
    assert chosen.fallback == "O_DIRECT: a read failed with it: Invalid argument"
    chosen.close()


def test_an_engine_that_reads_other_bytes_is_passed_over(
    paths: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    class Lying(UringEngine):
        def start(self, batch):  # type: ignore[no-untyped-def]
            under_way = super().start(batch)
            under_way.wait()
            ctypes.memset(int(batch.ranges_R5[0, 3]) + 17, 0x5A, 9)
            return under_way

    monkeypatch.setitem(module._MAKERS, "io_uring", Lying)
    chosen = choose(paths, direct=True)
    assert (chosen.engine.name, chosen.fallback) == ("pread", "io_uring: other bytes")
    chosen.close()


_FORBIDDEN = """
import ctypes, sys
from pathlib import Path
class Line(ctypes.Structure):
    _fields_ = [("code", ctypes.c_ushort), ("jt", ctypes.c_ubyte), ("jf", ctypes.c_ubyte),
                ("k", ctypes.c_uint)]
class Program(ctypes.Structure):
    _fields_ = [("len", ctypes.c_ushort), ("filter", ctypes.POINTER(Line))]
lines = (Line * 4)(Line(0x20, 0, 0, 0), Line(0x15, 0, 1, 425), Line(0x06, 0, 0, 0x50001),
                   Line(0x06, 0, 0, 0x7FFF0000))
libc = ctypes.CDLL(None, use_errno=True)
assert libc.prctl(38, 1, 0, 0, 0) == 0
assert libc.prctl(22, 2, ctypes.byref(Program(4, lines))) == 0, ctypes.get_errno()
from engramctl.storage.readers.choose import choose
chosen = choose([Path(one) for one in sys.argv[1:]], direct=True)
print(chosen.engine.name, chosen.fallback, sep=" | ")
chosen.close()
"""


def test_io_uring_that_seccomp_forbids_is_noticed(paths: list[Path]) -> None:
    words = [sys.executable, "-c", _FORBIDDEN, *map(str, paths)]
    answer = subprocess.run(words, capture_output=True, text=True, timeout=120)
    assert answer.stdout == "pread | io_uring: Operation not permitted\n", answer.stderr


def test_what_cannot_be_is_refused(paths: list[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigError, match="unknown read engine 'aio'"):
        choose(paths, "aio", direct=False)
    with pytest.raises(ConfigError, match="past it"):
        choose(paths, "willneed", direct=True)

    def forbidden(files: OpenFiles) -> UringEngine:
        raise StorageError("the system refused", facts={"reason": "Operation not permitted"})

    monkeypatch.setitem(module._MAKERS, "io_uring", forbidden)
    with pytest.raises(StorageError, match="the system refused"):
        choose(paths, "io_uring", direct=True)
    with pytest.raises(StorageError, match="empty"):
        choose([Path("/nowhere/empty.bin")], direct=True)
