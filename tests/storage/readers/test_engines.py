"""Every read engine brings the bytes that plain reads bring, or says which range it could not."""

import errno
import mmap
import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from engramctl.errors import FormatError, StorageError
from engramctl.storage.readers import ring_walk, uring_engine
from engramctl.storage.readers.batch import ADDRESS, NotBegun, ReadEngine
from engramctl.storage.readers.open_files import OpenFiles
from engramctl.storage.readers.pread_engine import PreadEngine
from engramctl.storage.readers.uring_engine import UringEngine
from engramctl.storage.readers.willneed_engine import WillneedEngine
from tests.storage.readers.ranges import PAGE, Target, random_file, random_ranges

Opened = tuple[OpenFiles, ReadEngine]
KINDS: dict[str, Callable[[OpenFiles, int], ReadEngine]] = {
    "io_uring": UringEngine,
    "pread": PreadEngine,
    "willneed": WillneedEngine,
}
CASES = [("io_uring", True), ("io_uring", False), ("pread", True), ("pread", False)]
CASES += [("willneed", False)]


@pytest.fixture
def paths(tmp_path: Path) -> list[Path]:
    return [random_file(tmp_path / f"{k}.bin", 300_000 + 1_111 * k, seed=k) for k in range(3)]


@pytest.fixture(params=CASES, ids=[f"{name}-{'direct' if d else 'cached'}" for name, d in CASES])
def opened(request: pytest.FixtureRequest, paths: list[Path]) -> Iterator[Opened]:
    name, direct = request.param
    files = OpenFiles(paths, direct=direct)
    engine = KINDS[name](files, 8)
    yield files, engine
    engine.close()
    files.close()


@pytest.mark.parametrize("count", [0, 1, 7, 8, 9, 500])
def test_random_ranges_come_whole_and_nothing_else_is_written(
    opened: Opened, paths: list[Path], count: int
) -> None:
    files, engine = opened
    target = Target(paths, random_ranges(paths, count, seed=count, aligned=files.direct))
    engine.start(target.batch).wait()
    files.check(target.batch)
    target.check()


def test_batches_under_way_at_once_keep_apart(opened: Opened, paths: list[Path]) -> None:
    files, engine = opened
    targets = [
        Target(paths, random_ranges(paths, count, seed=count, aligned=files.direct))
        for count in (5, 40, 3, 8)
    ]
    pending = [engine.start(target.batch) for target in targets]
    for one in reversed(pending):
        one.wait()
        one.wait()  # once more changes nothing
    for target in targets:
        target.check()


def test_the_first_ranges_can_be_waited_for_alone(opened: Opened, paths: list[Path]) -> None:
    files, engine = opened
    for count in (8, 40):
        for first in (0, 1, 5, count, count + 3):
            ranges = random_ranges(paths, count, seed=first, aligned=files.direct)
            target = Target(paths, ranges)
            pending = engine.start(target.batch)
            pending.wait(first)
            files.check(target.batch.part(0, first))
            pending.wait()
            files.check(target.batch)
            target.check()
            assert pending.over()


def test_eight_threads_share_an_engine(opened: Opened, paths: list[Path]) -> None:
    files, engine = opened

    def work(seed: int) -> None:
        for turn in range(10):
            ranges = random_ranges(paths, 1 + seed * turn, seed=seed, aligned=files.direct)
            target = Target(paths, ranges)
            engine.start(target.batch).wait()
            files.check(target.batch)
            target.check()

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(work, range(8)))


def test_a_file_cut_short_is_named_with_its_offset(opened: Opened, paths: list[Path]) -> None:
    files, engine = opened
    target = Target(paths, [(0, 0, PAGE), (1, 40 * PAGE, PAGE), (2, PAGE, PAGE)])
    os.truncate(paths[1], 40 * PAGE + 512)
    engine.start(target.batch).wait()
    with pytest.raises(StorageError, match="ended while it was read") as error:
        files.check(target.batch)
    assert error.value.facts["file"] == paths[1]
    assert error.value.facts["offset"] == f"{40 * PAGE + 512:,}"


def test_what_the_system_refuses_is_named_with_its_offset(
    opened: Opened, paths: list[Path]
) -> None:
    files, engine = opened
    target = Target(paths, [(0, 0, PAGE), (2, 3 * PAGE, PAGE)])
    target.batch.ranges_R5[1, ADDRESS] = PAGE  # where no memory is
    engine.start(target.batch).wait()
    with pytest.raises(StorageError, match=r"2\.bin: Bad address") as error:
        files.check(target.batch)
    assert error.value.facts["offset"] == f"{3 * PAGE:,}"


def test_a_batch_nobody_waits_for_is_over_when_the_engine_is_closed(paths: list[Path]) -> None:
    for count in (6, 60):
        files = OpenFiles(paths, direct=True)
        engine = UringEngine(files, 8)
        target = Target(paths, random_ranges(paths, count, seed=3, aligned=True))
        pending = engine.start(target.batch)
        engine.close()
        assert pending.over()
        target.check()
        files.close()


def test_a_ring_that_cannot_be_mapped_begins_nothing(
    paths: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Mapping takes a descriptor, and there may be none left."""
    files = OpenFiles(paths)
    engine = UringEngine(files, 8)
    ring = engine.borrow()
    target = Target(paths, random_ranges(paths, 6, seed=3, aligned=False))
    with monkeypatch.context() as none_left:
        none_left.setattr(mmap, "mmap", _too_many)
        with pytest.raises(NotBegun, match="to map an io_uring: Too many open files"):
            engine.start(target.batch)
    assert not target.batch.got_R.any()
    engine.start(target.batch).wait()
    target.check()
    ring.close()
    engine.close()
    files.close()


def _too_many(*_: object, **__: object) -> None:
    raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))


@pytest.mark.parametrize("count", [6, 60])
def test_a_ring_that_broke_is_told_and_then_tried_again(
    paths: list[Path], count: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    def breaks(*words: Any) -> None:
        words[4][ring_walk.FAILED] = errno.EBUSY

    files = OpenFiles(paths)
    engine = UringEngine(files, 8)
    target = Target(paths, random_ranges(paths, count, seed=3, aligned=False))
    with monkeypatch.context() as broken:
        broken.setattr(uring_engine, "walk", lambda *_: None if count == 6 else breaks(*_))
        pending = engine.start(target.batch)
        broken.setattr(uring_engine, "walk", breaks)
        with pytest.raises(StorageError, match="io_uring stopped working"):
            pending.wait()
        assert not pending.over()
    pending.wait()
    target.check()
    assert pending.over()
    engine.close()
    files.close()


def test_a_forked_child_reads_with_rings_and_threads_of_its_own(
    opened: Opened, paths: list[Path]
) -> None:
    files, engine = opened
    first = Target(paths, random_ranges(paths, 20, seed=1, aligned=files.direct))
    engine.start(first.batch).wait()
    child = os.fork()
    if not child:
        code = 1
        try:
            target = Target(paths, random_ranges(paths, 30, seed=2, aligned=files.direct))
            engine.start(target.batch).wait()
            target.check()
            code = 0
        finally:
            os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    again = Target(paths, random_ranges(paths, 20, seed=4, aligned=files.direct))
    engine.start(again.batch).wait()
    again.check()


def test_willneed_without_an_address_only_asks(paths: list[Path]) -> None:
    files = OpenFiles(paths)
    engine = WillneedEngine(files)
    target = Target(paths, [(0, 0, PAGE), (1, PAGE, 3 * PAGE)])
    target.batch.ranges_R5[:, ADDRESS] = 0
    engine.start(target.batch).wait()
    assert target.batch.first_bad() == -1
    assert (target.memory == 0xA5).all()
    files.close()


def test_only_regular_files_are_opened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(FormatError, match="pipe is not a file"):
        OpenFiles([tmp_path / "pipe"])
    with pytest.raises(StorageError, match=r"missing\.bin"):
        OpenFiles([tmp_path / "missing.bin"])
