"""Before every sample other threads sleep, and the same memory has been worked on."""

import hashlib
import threading
import time

import pytest
import torch

from engramctl.arms import ground
from engramctl.arms.ground import Ground, others_run, rest


@pytest.fixture
def naps(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Time as the naps tell it."""
    taken: list[float] = []
    monkeypatch.setattr(time, "sleep", taken.append)
    monkeypatch.setattr(time, "monotonic", lambda: sum(taken))
    return taken


def test_a_rest_lasts_until_no_other_thread_runs(
    naps: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    answers = [True, True, False]
    monkeypatch.setattr(ground, "others_run", lambda: answers.pop(0))
    rest()
    assert answers == []
    assert naps == [ground.NAP_S] * 3


def test_a_rest_comes_to_its_end(naps: list[float], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ground, "others_run", lambda: True)
    rest()
    assert sum(naps) == pytest.approx(ground.REST_AT_MOST_S, abs=2 * ground.NAP_S)


def test_a_thread_that_works_is_seen_and_one_that_waits_is_not() -> None:
    works, stop = threading.Event(), threading.Event()

    def work() -> None:
        data = bytes(1 << 24)
        while not stop.is_set():
            works.set()
            hashlib.sha256(data).digest()  # without the interpreter's lock

    worker = threading.Thread(target=work)
    sleeper = threading.Thread(target=stop.wait)
    worker.start()
    works.wait()
    end = time.monotonic() + 60
    while not others_run():
        assert time.monotonic() < end
    sleeper.start()
    stop.set()
    worker.join()
    sleeper.join()

    stop.clear()
    sleeper = threading.Thread(target=stop.wait)
    sleeper.start()
    try:
        while others_run():  # until it has gone to sleep
            assert time.monotonic() < end
    finally:
        stop.set()
        sleeper.join()


def test_levelling_rests_first_and_sweeps_its_memory_after(monkeypatch: pytest.MonkeyPatch) -> None:
    level = Ground(torch.device("cpu"))
    seen: list[int] = []
    monkeypatch.setattr(ground, "rest", lambda: seen.append(int(level.swept.sum())))
    for _ in range(2):
        level.level()
    assert seen == [0, ground.SWEPT_BYTES]
    assert (level.swept == 2).all()
