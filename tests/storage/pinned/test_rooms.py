"""Memory for rows on their way: never two holders', bounded, and free again without a lock."""

import gc
from itertools import pairwise
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from engramctl.storage.pinned import rooms
from engramctl.storage.pinned.rooms import Room, Rooms

CPU = torch.device("cpu")
RECORD = 264


class Event:
    """Of a device that has read something when `over` is set."""

    def __init__(self) -> None:
        self.over = False

    def query(self) -> bool:
        return self.over


@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_no_bytes_are_two_holders_and_all_come_back(data: st.DataObject) -> None:
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(rooms, "STAGED_BYTES", 1 << 20)
        pool = Rooms(RECORD, CPU)
        whole = pool.free_bytes
        held: list[Room] = []
        events: list[Event] = []
        for _ in range(data.draw(st.integers(1, 30))):
            act: int = data.draw(st.integers(0, 3))
            if act == 0 and held:
                one = held.pop(data.draw(st.integers(0, len(held) - 1)))
                if data.draw(st.booleans()):
                    one.read = Event()
                    events.append(one.read)
                del one
            elif act == 1 and events:
                events.pop().over = True
            else:
                rows: int = data.draw(st.integers(0, 3000))
                held.append(pool.take(rows))
                assert held[-1].records.shape == (rows, RECORD)
            places = sorted(
                (one.records.data_ptr(), one.records.nbytes) for one in held if one.is_pinned
            )
            for (start, size), (after, _) in pairwise(places):
                assert start + size <= after
        held.clear()
        for event in events:
            event.over = True
        assert pool.free_bytes == whole
        pool.release()


def test_what_the_device_still_reads_is_nobody_elses() -> None:
    pool = Rooms(RECORD, CPU)
    room = pool.take(1000)
    at, event = room.records.data_ptr(), Event()
    room.read = event
    del room
    assert pool.take(1000).records.data_ptr() != at
    event.over = True
    pool.take(0)
    assert pool.take(1000).records.data_ptr() == at


def test_where_all_is_taken_rows_go_elsewhere() -> None:
    pool = Rooms(RECORD, CPU)
    most = rooms.STAGED_BYTES // RECORD
    first = pool.take(most - 100)
    second = pool.take(1000)
    assert (first.is_pinned, second.is_pinned) == (True, False)
    assert second.records.shape == (1000, RECORD)


def test_a_room_freed_in_the_middle_of_taking_one_does_not_wait() -> None:
    pool = Rooms(RECORD, CPU)
    taken = pool.runs.take

    def collects(num_pages: int) -> Any:
        with pool.runs.lock:
            gc.collect()  # as an allocation may
        return taken(num_pages)

    room = pool.take(10)
    loop: list[Any] = [room]
    loop.append(loop)
    del room, loop
    pool.runs.take = collects  # type: ignore[method-assign]
    assert pool.take(10).is_pinned
