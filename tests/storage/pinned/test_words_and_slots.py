"""Rows on their way: a word never says more than has come, and nobody waits for ever."""

import threading
from typing import Any

import pytest
import torch

from engramctl.errors import ConfigError, StorageError
from engramctl.storage.pinned.arrivals import WORDS, Arrival, Arrivals
from engramctl.storage.pinned.rooms import Rooms
from tests.helpers.forked import in_child

CPU = torch.device("cpu")
NEVER = 2**31 - 1


def told(arrivals: Arrivals, arrival: Arrival) -> bool:
    """Tell whether a stream that waits for these rows goes on."""
    word, number = arrival.place
    return arrivals.told(word) >= number


class Held:
    """Rows that come when `go` is set."""

    def __init__(self) -> None:
        self.go, self.begun = threading.Event(), threading.Event()

    def __call__(self) -> None:
        self.begun.set()
        self.go.wait(5)
        self.go.set()  # one that waited for nothing is enough


def test_a_word_that_was_a_slot_s_says_nothing_of_the_rows_of_others() -> None:
    arrivals, rooms = Arrivals(CPU, queues=False), Rooms(264, CPU)
    words = [arrivals.reserve() for _ in range(2)]
    for word in words:  # as a device does that took the rows of many steps, or a close
        arrivals.write(word, 100)
        arrivals.free(word)
    held = Held()
    begun = [arrivals.begin(held, rooms.take(1)) for _ in range(WORDS)]
    assert {arrival.place[0] for arrival in begun} == set(range(WORDS))
    for arrival in begun:
        assert not told(arrivals, arrival), "a stream would read rows that did not come"
    held.go.set()
    arrival.done.wait()
    assert told(arrivals, arrival)
    arrivals.close()


def test_closing_lets_a_graph_go_on_that_was_replayed_more_often_than_asked_for() -> None:
    arrivals, rooms = Arrivals(CPU, queues=False), Rooms(264, CPU)
    held, word = Held(), arrivals.reserve()
    first = arrivals.begin(held, rooms.take(1))
    held.begun.wait()
    never = arrivals.begin(held, rooms.take(1), word)
    ends = threading.Timer(0.05, held.go.set)
    ends.start()
    arrivals.close()
    ends.join()
    assert first.error is None
    assert isinstance(never.error, StorageError)
    assert bool((never.records == 0xFF).all())
    assert arrivals.told(word) == NEVER


def test_rows_that_no_thread_takes_on_are_told_to_whoever_waits(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    arrivals, rooms = Arrivals(CPU, queues=False), Rooms(264, CPU)
    word = arrivals.reserve()

    def fail(*_: Any) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as broken:
        broken.setattr("engramctl.runtime.threads.Workers.submit", fail)
        with pytest.raises(RuntimeError, match="thread"):
            arrivals.begin(Held(), rooms.take(1), word)
    assert arrivals.told(word) == arrivals.number(word) == 1
    arrivals.close()


def test_a_forked_child_knows_of_no_rows_on_their_way() -> None:
    arrivals, rooms = Arrivals(CPU, queues=False), Rooms(264, CPU)
    held, word = Held(), arrivals.reserve()
    arrival = arrivals.begin(held, rooms.take(1))
    held.begun.wait()

    def job() -> bool:
        arrivals.close()
        return not arrival.done.is_set() and arrivals.told(word) == 0

    assert in_child(job) == 0
    held.go.set()
    arrival.done.wait()
    arrivals.close()


def test_slots_leave_words_for_tickets() -> None:
    arrivals, rooms = Arrivals(CPU, queues=False), Rooms(264, CPU)
    words = {arrivals.reserve() for _ in range(WORDS // 2)}
    assert len(words) == WORDS // 2
    with pytest.raises(ConfigError, match="too many layers"):
        arrivals.reserve()
    came = arrivals.begin(lambda: None, rooms.take(1))
    came.done.wait()
    assert came.place[0] not in words
    arrivals.close()
