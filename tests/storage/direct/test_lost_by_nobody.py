"""What an interrupt, or an error, comes in the middle of is lost by nobody: it ends later."""

import gc
import os
from typing import Any

import numpy as np
import pytest
import torch

from engramctl.storage.direct.ahead import Ahead
from engramctl.storage.memory.slab import Slab
from engramctl.storage.pinned.rooms import Rooms
from engramctl.storage.readers.ring import Ring


class Interrupted:
    """Reads, or a device's event, that is over; who asks first is interrupted."""

    def __init__(self) -> None:
        self.asked = 0

    def over(self) -> bool:
        self.asked += 1
        if self.asked == 1:
            raise KeyboardInterrupt
        return True

    query = over

    def wait(self, first: int | None = None) -> None:
        raise NotImplementedError


def test_an_interrupted_sweep_keeps_what_it_looked_at() -> None:
    slab = Slab(8)
    ahead = Ahead(slab, 1)
    assert ahead.enter()
    first = slab.take(8)
    assert first is not None
    ahead.over.append((slab, ((first, 8),), Interrupted()))
    with pytest.raises(KeyboardInterrupt):
        ahead.sweep()
    assert slab.free_pages == 0
    ahead.sweep()
    assert slab.free_pages == 8
    assert ahead.enter()


def test_an_event_that_cannot_be_asked_keeps_its_room() -> None:
    pool = Rooms(264, torch.device("cpu"))
    whole = pool.free_bytes
    room = pool.take(1000)
    room.read = Interrupted()
    del room
    with pytest.raises(KeyboardInterrupt):
        pool.take(1)
    assert pool.free_bytes == whole
    pool.release()


def test_a_ring_that_nobody_ends_ends_with_its_last_holder() -> None:
    gc.collect()
    before = os.listdir("/proc/self/fd")
    none: Any = np.empty(0, np.int32)
    for _ in range(3):
        Ring(8, none)
    assert os.listdir("/proc/self/fd") == before
