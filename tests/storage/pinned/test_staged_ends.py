"""Staged rows on a fake CUDA machine: what is queued, where hosts wait, what stays pinned."""

import gc
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from engramctl.errors import ConfigError, StorageError
from engramctl.storage import open_store
from engramctl.storage.device.side_stream import SideStream
from engramctl.storage.pinned.pinned import pinned_bytes
from engramctl.storage.tiers import staged
from engramctl.storage.tiers.staged import StagedStore
from engramctl.storage.tiers.tier_list import TierList, read_tiers
from tests.helpers.fake_cuda import Machine, fake_cuda
from tests.storage.tables import make_plan, write

MIXTURES = ("ssd", "host:64KiB,ssd", "gpu:64KiB,ssd", "gpu:64KiB,host:64KiB,ssd", "gpu:64KiB,host")
IDS = np.arange(48)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("ends") / "t"
    write(make_plan(form="paged", row_dim=64, rows={1: 300, 2: 300}), path)
    return path


@pytest.fixture(autouse=True)
def _nothing_stays() -> Iterator[None]:
    """Nothing is pinned before, and nothing after."""
    gc.collect()
    assert pinned_bytes() == 0
    yield
    gc.collect()
    assert pinned_bytes() == 0


@contextmanager
def on_gpu(folder: Path, name: str) -> Iterator[tuple[Machine, StagedStore]]:
    """Open a mixture; below the device is a real store, whose rows come without values."""
    tiers = read_tiers(name)
    below = TierList(tiers.whole, tuple(one for one in tiers.caches if one[0] != "gpu"))
    real = open_store(folder, below.name, dtype=torch.uint8)
    real.near.clear()
    with pytest.MonkeyPatch.context() as patch, fake_cuda() as machine:
        patch.setattr(real, "collect", lambda *_, **__: None)
        patch.setattr(real, "target", lambda *_: object())
        patch.setattr(StagedStore, "opened_below", lambda *_: real)
        with open_store(folder, name, device="cuda", capture_slots=1) as store:
            assert isinstance(store, StagedStore)
            yield machine, store
        assert machine.cudart.spans == {}


def started(machine: Machine) -> list[str]:
    """What kernels were started since the last time."""
    found = [name for name, _ in machine.launches]
    machine.launches.clear()
    return found


@pytest.mark.parametrize("name", MIXTURES)
def test_waiting_queues_one_copy_a_layer_and_never_waits_on_the_host(
    folder: Path, name: str
) -> None:
    with on_gpu(folder, name) as (machine, store):
        came = threading.Event()
        store.below.collect = lambda *_, **__: came.wait(30)  # type: ignore[method-assign, assignment]
        ticket = store.prefetch({1: IDS, 2: IDS})
        machine.uploads.clear()
        before = list(machine.waits)
        started(machine)
        for layer in (1, 2):
            assert ticket.wait(layer).device == torch.device("cuda", 0)
            assert started(machine) == ["wait", "gather"]
        assert len(machine.uploads) == 2, "more than the records"
        assert (machine.waits, machine.downloads) == (before, [])
        came.set()


@pytest.mark.parametrize("name", MIXTURES)
def test_what_is_pinned_for_mixtures_is_over_with_the_store(folder: Path, name: str) -> None:
    with on_gpu(folder, name) as (machine, store):
        held = [store.prefetch({1: IDS}) for _ in range(3)]
        slot = store.slot({1: IDS.shape})
        assert pinned_bytes() == sum(machine.cudart.spans.values()) > 0
        del held
        store.close()
        assert machine.cudart.spans == {}, "the slot's are among them"
        slot.close()


@pytest.mark.parametrize("fails", ["Arrivals", "DeviceCache", "Rooms"])
def test_a_mixture_that_cannot_be_opened_leaves_nothing(
    folder: Path, fails: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise StorageError("no memory for it")

    before = threading.active_count()
    monkeypatch.setattr(staged, fails, refuse)
    with pytest.raises(StorageError, match="no memory for it"), on_gpu(folder, MIXTURES[-2]):
        pass
    assert threading.active_count() <= before


def test_a_slot_queues_nothing_but_work_on_its_own_memory(folder: Path) -> None:
    with on_gpu(folder, "gpu:64KiB,ssd") as (machine, store):
        slot = store.slot({1: IDS.shape})
        slot.prefetch({1: IDS})
        machine.uploads.clear()
        before = list(machine.waits)
        started(machine)
        machine.capturing = True
        assert slot.wait(1) is slot.out[1]
        machine.capturing = False
        assert started(machine) == ["wait next", "gather", "gather", "tell"]
        assert (machine.uploads, machine.downloads, machine.waits) == ([], [], before)
        slot.close()


def test_what_cannot_be_captured_is_refused_and_the_reason_told(folder: Path) -> None:
    with on_gpu(folder, "host:64KiB,ssd") as (machine, store):
        ticket = store.prefetch({1: IDS})
        slot = store.slot({1: IDS.shape})
        machine.capturing = True
        for call in (
            lambda: store.prefetch({1: IDS}),
            lambda: store.gather(1, IDS),
            lambda: ticket.wait(1),
        ):
            with pytest.raises(ConfigError, match="read by the host"):
                call()
        with pytest.raises(ConfigError, match="before its graph is replayed"):
            slot.prefetch({1: IDS})
        machine.capturing = False
        slot.close()


def test_records_go_to_the_devices_cache_behind_the_event_that_brought_them(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    followed: list[Any] = []
    monkeypatch.setattr(SideStream, "follow_event", lambda stream, event: followed.append(event))
    with on_gpu(folder, "gpu:64KiB,ssd") as (_, store):
        ticket = store.prefetch({1: IDS})
        ticket.wait(1)
        for _ in range(1000):
            store.settle()
            time.sleep(0.001)
            if followed:
                break
        assert [event is not None for event in followed] == [True]
