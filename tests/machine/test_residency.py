"""What cannot be proved of a file's pages is said, with its reason."""

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
