"""Waits are taken where they happen: by this thread's clock, or by a stream's events."""

import time
from collections.abc import Iterator

import pytest
import torch

from engramctl.arms.waits import Clock, Waits


@pytest.fixture
def moments(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    times = iter([100, 130, 150, 150, 170, 300])
    with monkeypatch.context() as patch:
        patch.setattr(time, "perf_counter_ns", lambda: next(times))
        yield


@pytest.mark.usefixtures("moments")
def test_a_wait_is_from_its_call_to_its_end_and_an_arrival_from_the_beginning() -> None:
    waits = Waits(Clock(torch.device("cpu")))  # 100
    first, second = torch.zeros(1), torch.ones(1)
    assert waits.rows(1, lambda: first) is first  # 130 to 150
    assert waits.rows(14, lambda: second) is second  # 150 to 170
    assert waits.waited_ns() == {1: 20, 14: 20}
    assert waits.arrived_ns() == {1: 50, 14: 70}


def test_on_cuda_time_is_the_streams(monkeypatch: pytest.MonkeyPatch) -> None:
    times = iter([0.0, 2.0, 5.5])

    class Event:
        def __init__(self, *, enable_timing: bool) -> None:
            assert enable_timing
            self.at_ms = -1.0

        def record(self) -> None:
            self.at_ms = next(times)

        def elapsed_time(self, later: "Event") -> float:
            return later.at_ms - self.at_ms

    monkeypatch.setattr(torch.cuda, "Event", Event)
    waits = Waits(Clock(torch.device("cuda")))
    waits.rows(1, lambda: torch.zeros(1))
    assert waits.waited_ns() == {1: 3_500_000}
    assert waits.arrived_ns() == {1: 5_500_000}
