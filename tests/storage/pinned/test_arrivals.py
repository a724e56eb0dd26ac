"""Rows brought by a thread: told once they are there, whatever kept them, and when all is over."""

import threading
import time
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch

from engramctl.errors import StorageError
from engramctl.storage.pinned import triton_words
from engramctl.storage.pinned.arrivals import CLOSED, WORDS, Arrivals
from engramctl.storage.pinned.rooms import Room, Rooms

CPU = torch.device("cpu")


class Stream:
    """Stands for kernels that wait: notes what was queued, and runs none."""

    def __init__(self) -> None:
        self.queued: list[int] = []

    def __getitem__(self, grid: Any) -> Any:
        return lambda _, number, **__: (
            self.queued.append(number) if isinstance(number, int) else None
        )


@pytest.fixture
def stream(monkeypatch: pytest.MonkeyPatch) -> Stream:
    stream = Stream()
    for name in ("wait_kernel", "wait_next_kernel", "tell_kernel"):
        monkeypatch.setattr(triton_words, name, stream, raising=False)
    return stream


@pytest.fixture
def pool() -> Iterator[Rooms]:
    pool = Rooms(8, CPU)
    yield pool
    pool.release()


def filling(room: Room, value: int) -> Any:
    return lambda: room.records.fill_(value)


def test_rows_come_in_the_order_in_which_they_were_begun(pool: Rooms) -> None:
    arrivals, order = Arrivals(CPU, queues=False), []
    begun = []
    for k in range(20):
        room = pool.take(3)
        begun.append(arrivals.begin(lambda k=k: order.append(k), room))  # type: ignore[misc]
    for one in begun:
        arrivals.wait(one)
    assert order == list(range(20))
    arrivals.close()
    arrivals.release()


def test_a_word_tells_of_rows_only_when_they_are_there(pool: Rooms) -> None:
    arrivals, go = Arrivals(CPU, queues=False), threading.Event()
    word = arrivals.reserve()
    room = pool.take(2)
    before = arrivals.told(word)
    one = arrivals.begin(lambda: go.wait(30), room, word)
    assert arrivals.told(word) == before
    assert arrivals.number(word) == before + 1
    go.set()
    arrivals.wait(one)
    assert arrivals.told(word) == before + 1
    there = arrivals.here(room, word)
    assert there.done.is_set()
    assert arrivals.told(word) == arrivals.number(word) == before + 2
    arrivals.close()
    arrivals.release()


def test_a_reserved_word_is_nobody_elses(pool: Rooms) -> None:
    arrivals = Arrivals(CPU, queues=False)
    word = arrivals.reserve()
    room = pool.take(1)

    def used() -> set[int]:
        found = set()
        for _ in range(2 * WORDS):
            one = arrivals.begin(lambda: None, room)
            assert one.done.wait(30)
            found.add(one.place[0])
        return found

    assert word not in used()
    arrivals.free(word)
    assert word in used()
    arrivals.close()
    arrivals.release()


def test_a_stream_waits_only_for_rows_that_are_not_there(stream: Stream, pool: Rooms) -> None:
    arrivals, go = Arrivals(CPU, queues=True), threading.Event()
    room = pool.take(2)
    late = arrivals.begin(lambda: go.wait(30), room)
    stream.queued.clear()
    arrivals.wait(late)
    assert stream.queued == [late.place[1]]
    go.set()
    assert late.done.wait(30)
    arrivals.wait(late)
    assert len(stream.queued) == 1
    arrivals.raise_late()
    arrivals.close()
    arrivals.release()


def test_what_is_not_pinned_is_waited_for_by_the_host(stream: Stream, pool: Rooms) -> None:
    arrivals = Arrivals(CPU, queues=True)
    room = Room(torch.zeros((2, 8), dtype=torch.uint8), None, (0, 0))
    assert not room.is_pinned

    def slow() -> None:
        time.sleep(0.05)
        room.records.fill_(7)

    stream.queued.clear()
    arrivals.wait(arrivals.begin(slow, room))
    assert bool((room.records == 7).all())
    assert stream.queued == []
    arrivals.close()
    arrivals.release()


def test_what_kept_rows_from_coming_is_told_once(stream: Stream, pool: Rooms) -> None:
    arrivals, go = Arrivals(CPU, queues=True), threading.Event()
    room = pool.take(2)

    def fail() -> None:
        go.wait(30)
        raise OSError("the disk fails")

    one = arrivals.begin(fail, room)
    arrivals.wait(one)  # queued behind it
    arrivals.raise_late()
    go.set()
    assert one.done.wait(30)
    assert bool((room.records == 0xFF).all())
    with pytest.raises(OSError, match="the disk fails"):
        arrivals.raise_late()
    arrivals.raise_late()
    with pytest.raises(OSError, match="the disk fails"):
        arrivals.wait(one)
    arrivals.close()
    arrivals.release()


def test_closing_ends_every_wait_and_the_thread(stream: Stream, pool: Rooms) -> None:
    before = threading.active_count()
    arrivals, go = Arrivals(CPU, queues=True), threading.Event()
    word = arrivals.reserve()
    room, other = pool.take(2), pool.take(2)
    first = arrivals.begin(lambda: go.wait(30), room)
    never = arrivals.begin(filling(other, 1), other)
    threading.Timer(0.05, go.set).start()
    arrivals.close()
    assert first.done.is_set()
    assert never.done.is_set()
    assert isinstance(never.error, StorageError) == (str(never.error or "").startswith(CLOSED[:10]))
    assert arrivals.told(word) == np.iinfo(np.int32).max, "a graph may wait for ever"
    arrivals.release()
    time.sleep(0.1)
    assert threading.active_count() <= before
