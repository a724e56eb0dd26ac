"""A flag on a device is looked at when its copy has come, and nothing waits for it."""

from types import SimpleNamespace
from typing import Any, ClassVar

import pytest
import torch

from engramctl.storage.device import bad_ids
from engramctl.storage.device.bad_ids import NOT_BAD, BadIds
from tests.helpers.fake_cuda import fake_cuda


class Event:
    """Has come when `come` says so."""

    made: ClassVar[list[Any]] = []

    def __init__(self) -> None:
        self.come = False
        self.made.append(self)

    def record(self, stream: object) -> None:
        self.come = False

    def query(self) -> bool:
        return self.come


class Device:
    """As much of torch as a flag needs, with values: memory of the CPU, events by hand."""

    int64, inference_mode = torch.int64, torch.inference_mode

    def __init__(self) -> None:
        self.waits = 0
        self.capturing = False
        self.cuda = SimpleNamespace(
            Event=Event, current_stream=lambda device: None, synchronize=self.synchronize,
            is_current_stream_capturing=lambda: self.capturing,
        )  # fmt: skip

    def full(self, *words: Any, device: Any, **more: Any) -> torch.Tensor:
        return torch.full(*words, **more)

    def empty(self, *words: Any, pin_memory: bool, **more: Any) -> torch.Tensor:
        assert pin_memory
        return torch.empty(*words, **more)

    def synchronize(self, device: object) -> None:
        self.waits += 1


@pytest.fixture
def device(monkeypatch: pytest.MonkeyPatch) -> Device:
    made = Device()
    monkeypatch.setattr(bad_ids, "torch", made)
    Event.made.clear()
    return made


def test_nothing_is_found_before_its_copy_has_come(device: Device) -> None:
    told = BadIds(torch.device("cuda", 0))
    told.note()
    told.tensor.fill_(7)
    told.note()
    assert told.found() is None
    first, second = Event.made
    first.come = True
    assert told.found() is None  # that copy is of before
    second.come = True
    assert told.found() == 7
    assert device.waits == 0
    assert told.check() == 7
    assert device.waits == 1


def test_what_was_told_is_forgotten_and_the_next_is_found(device: Device) -> None:
    told = BadIds(torch.device("cuda", 0))
    told.tensor.fill_(7)
    told.note()
    told.note()
    Event.made[0].come = True
    assert told.found() == 7
    told.clear()
    Event.made[1].come = True  # queued before
    assert told.found() is None
    assert int(told.tensor) == NOT_BAD
    told.tensor.fill_(3)
    told.note()
    assert told.found() is None
    for event in Event.made:
        event.come = True
    assert told.found() == 3


def test_copies_are_few_and_the_last_state_is_among_them(device: Device) -> None:
    told = BadIds(torch.device("cuda", 0))
    for _ in range(20):
        told.note()
    told.tensor.fill_(5)
    told.note()
    assert len(Event.made) == 4
    for event in Event.made:
        event.come = True
    assert told.found() == 5


def test_while_a_graph_is_captured_nothing_is_queued_or_asked(device: Device) -> None:
    told = BadIds(torch.device("cuda", 0))
    told.tensor.fill_(5)
    told.note()
    Event.made[0].come = True
    device.capturing = True
    told.note()
    assert (told.found(), len(Event.made)) == (None, 1)
    device.capturing = False
    assert told.found() == 5


def test_a_flag_made_in_inference_mode_is_written_to_outside_of_it() -> None:
    with torch.inference_mode():
        told = BadIds(torch.device("cpu"))
        told.tensor.fill_(2)
    told.clear()
    assert told.found() is None


def test_on_a_cpu_the_flag_itself_is_looked_at() -> None:
    told = BadIds(torch.device("cpu"))
    told.note()
    assert (told.found(), told.check()) == (None, None)
    told.tensor.fill_(4)
    assert (told.found(), told.check()) == (4, 4)
    told.clear()
    assert told.found() is None


def test_on_cuda_a_copy_goes_to_pinned_memory_and_is_not_waited_for() -> None:
    with fake_cuda() as machine:
        told = BadIds(torch.device("cuda", 1))
        for _ in range(9):
            told.note()
        assert told.found() is None
        told.clear()
        assert machine.queued == [8] * 9
        assert not machine.downloads + machine.uploads + machine.waits
