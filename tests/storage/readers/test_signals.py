"""A signal's handler, or an interrupt, in the middle of a read: nobody waits for ever after it."""

import os
import signal
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

from engramctl.errors import StorageError
from engramctl.storage.readers import pread_engine, ring_walk, uring_engine
from engramctl.storage.readers.open_files import OpenFiles
from engramctl.storage.readers.pread_engine import PreadEngine
from engramctl.storage.readers.uring_engine import UringEngine
from tests.helpers.forked import in_child
from tests.storage.readers.ranges import Target, random_file, random_ranges

HANGS_S = 10


@pytest.fixture
def paths(tmp_path: Path) -> list[Path]:
    """Files; the kernels are compiled, so that no child does it."""
    paths = [random_file(tmp_path / f"{k}.bin", 300_000, seed=k) for k in range(2)]
    files = OpenFiles(paths)
    for kind in (UringEngine, PreadEngine):
        engine = kind(files, 8)
        target = _target(paths, 6)  # its memory must live
        engine.start(target.batch).wait()
        engine.close()
    files.close()
    return paths


def test_a_handler_closes_the_engine_whose_reads_it_interrupts(
    paths: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    def closes() -> bool:
        engine = UringEngine(OpenFiles(paths), 8)
        target = _target(paths, 6)
        pending = _begun_with_a_signal(engine, target, lambda *_: engine.close(), monkeypatch)
        signal.alarm(HANGS_S)
        pending.wait()
        target.check()
        return pending.over()

    assert in_child(closes) == 0


def test_a_ring_that_a_handler_gave_back_is_not_given_back_again(
    paths: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    def waits() -> bool:
        engine = UringEngine(OpenFiles(paths), 8)
        target = _target(paths, 6)
        waited: list[uring_engine.UnderWay] = []
        pending = _begun_with_a_signal(engine, target, lambda *_: waited[0].wait(), monkeypatch)
        waited.append(pending)
        signal.alarm(HANGS_S)
        pending.wait()
        target.check()
        return engine.borrow() is not engine.borrow()

    assert in_child(waits) == 0


@pytest.mark.skipif(sys.gettrace() is not None, reason="something else traces")
def test_looking_lets_go_of_a_batch_wherever_it_is_interrupted(
    paths: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    def looks() -> bool:
        signal.alarm(HANGS_S)
        engine = UringEngine(OpenFiles(paths), 8)
        interrupts, came = 0, False
        while not came:
            with monkeypatch.context() as not_yet:
                not_yet.setattr(uring_engine, "walk", _nothing)
                target = _target(paths, 6)
                pending = engine.start(target.batch)
                came = _interrupted(pending.over, interrupts)
            with ThreadPoolExecutor(1) as other:
                other.submit(pending.wait).result()
            target.check()
            interrupts += 1
        return interrupts > 2

    assert in_child(looks) == 0


def test_reads_cancelled_by_closing_are_told_and_not_waited_for(
    paths: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    held, begun, real = threading.Event(), threading.Event(), pread_engine.pread_ranges

    def late(*words: Any) -> None:
        begun.set()
        held.wait()
        real(*words)

    def closes() -> bool:
        monkeypatch.setattr(pread_engine, "pread_ranges", late)
        signal.alarm(HANGS_S)
        engine = PreadEngine(OpenFiles(paths), 1)
        first, second = _target(paths, 6), _target(paths, 6)
        pending = [engine.start(one.batch) for one in (first, second)]
        closing = threading.Thread(target=engine.close)
        assert begun.wait(HANGS_S)
        closing.start()
        while not pending[1].over():  # cancelled; the first is in its thread's hands
            os.sched_yield()
        held.set()
        pending[0].wait()
        first.check()
        with pytest.raises(StorageError, match="closed meanwhile"):
            pending[1].wait()
        closing.join()
        return not second.batch.got_R.any()

    assert in_child(closes) == 0


def _target(paths: list[Path], count: int) -> Target:
    return Target(paths, random_ranges(paths, count, seed=count, aligned=False))


def _nothing(*_: object) -> None:
    """Submit and reap nothing."""


def _begun_with_a_signal(
    engine: UringEngine,
    target: Target,
    handler: Callable[[int, FrameType | None], None],
    monkeypatch: pytest.MonkeyPatch,
) -> uring_engine.UnderWay:
    """Begin a batch, so that a signal comes when the first wait for it returns to Python."""
    real = ring_walk.walk
    signal.signal(signal.SIGUSR1, handler)

    def walk(*words: Any) -> None:
        monkeypatch.setattr(uring_engine, "walk", real)
        real(*words)
        signal.raise_signal(signal.SIGUSR1)

    monkeypatch.setattr(uring_engine, "walk", _nothing)
    pending = engine.start(target.batch)
    monkeypatch.setattr(uring_engine, "walk", walk)
    return pending


def _interrupted(call: Callable[[], object], line: int) -> bool:
    """Make a call, interrupted as it comes to its line of that number; whether it ended before.

    A line that is come to again does not count: `with` ends at its own, where no interrupt comes.
    """
    seen: set[int] = set()

    def trace(frame: FrameType, event: str, _: object) -> Any:
        if frame.f_code.co_name != call.__name__:
            return None
        if event == "line" and frame.f_lineno not in seen:
            if len(seen) == line:
                raise KeyboardInterrupt
            seen.add(frame.f_lineno)
        return trace

    sys.settrace(trace)
    try:
        call()
    except KeyboardInterrupt:
        return False
    finally:
        sys.settrace(None)
    return True
