"""What cannot be proved of a file's pages is said, with its reason."""

import errno
import fcntl
import mmap
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from engramctl.machine.residency import cannot_be_known, mapped_by, not_slower_when_dropped


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "rows.bin"
    path.write_bytes(np.random.default_rng(0).bytes(4 << 20))
    return path


def test_the_kernel_tells_the_owner_and_who_may_write(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert cannot_be_known(file) is None
    monkeypatch.setattr(os, "geteuid", lambda: 4242)
    monkeypatch.setattr(os, "access", lambda path, mode: True)
    assert cannot_be_known(file) is None
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    assert "rows.bin is another's" in str(cannot_be_known(file))


def test_a_dropped_page_that_is_as_fast_as_a_cached_one_proves_nothing(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "posix_fadvise", lambda *_: None)  # a system that keeps all its pages
    file.read_bytes()
    reason = not_slower_when_dropped(file)
    assert reason is not None
    assert "something below keeps it in memory" in reason


def test_a_dropped_page_that_takes_longer_is_cold(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = iter(k for read in range(1000) for k in (read * 1000, read * 1000 + (read % 2 or 99)))
    monkeypatch.setattr(time, "perf_counter_ns", lambda: next(clock))
    assert not_slower_when_dropped(file) is None


class Mapped:
    """A system in which all pages are mapped by somebody: reading past the cache alone is slow."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now_ns = 0
        self.read = os.preadv
        monkeypatch.setattr(os, "preadv", self.preadv)
        monkeypatch.setattr(time, "perf_counter_ns", lambda: self.now_ns)

    def preadv(self, descriptor: int, buffers: list[mmap.mmap], at: int) -> int:
        past = fcntl.fcntl(descriptor, fcntl.F_GETFL) & os.O_DIRECT
        self.now_ns += 80_000 if past else 1_000
        return self.read(descriptor, buffers, at)


def test_pages_that_somebody_has_mapped_do_not_hide_a_disk_behind_the_cache(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Mapped(monkeypatch)
    assert "something below" in str(not_slower_when_dropped(file))
    assert not_slower_when_dropped(file, past_cache=True) is None


@pytest.mark.parametrize("refused", ["open", "preadv"])
def test_without_a_way_past_the_cache_the_other_one_is_tried(
    file: Path, monkeypatch: pytest.MonkeyPatch, refused: str
) -> None:
    system, honest = Mapped(monkeypatch), os.open

    def opened(path: Path, flags: int) -> int:
        if flags & os.O_DIRECT:
            raise OSError(errno.EINVAL, "no O_DIRECT here")
        return honest(path, flags)

    def preadv(descriptor: int, buffers: list[mmap.mmap], at: int) -> int:
        if fcntl.fcntl(descriptor, fcntl.F_GETFL) & os.O_DIRECT:
            raise OSError(errno.EINVAL, "larger blocks here")
        return system.preadv(descriptor, buffers, at)

    monkeypatch.setattr(os, refused, {"open": opened, "preadv": preadv}[refused])
    before = len(os.listdir("/proc/self/fd"))
    assert "something below" in str(not_slower_when_dropped(file, past_cache=True))
    assert len(os.listdir("/proc/self/fd")) == before


def test_processes_that_map_a_file_are_named(file: Path) -> None:
    assert mapped_by(file) == []
    code = (
        "import mmap, sys, time; file = open(sys.argv[1], 'rb');"
        "held = mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ); print('mapped', flush=True);"
        "time.sleep(60)"
    )
    words = [sys.executable, "-c", code, str(file)]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None
        other.stdout.readline()
        named = mapped_by(file)
        other.kill()
    assert len(named) == 1
    assert named[0].endswith(f"(process {other.pid})")
    with file.open("rb") as opened, mmap.mmap(opened.fileno(), 0, prot=mmap.PROT_READ):
        assert mapped_by(file) == []  # we are not another
