"""Slots: fixed outputs, asked for before a step; every tier, without a graph, on the CPU."""

import threading
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from engramctl.errors import ConfigError, StorageError
from engramctl.storage import open_store
from engramctl.storage.reading.table import TableFiles, open_table
from engramctl.storage.tiers import staged_slot
from engramctl.storage.tiers.staged import StagedStore
from tests.storage.tables import make_plan, write
from tests.storage.tiers.slot_stores import DIM, ROWS, SHAPE, STAGED, opened, values


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> TableFiles:
    folder = tmp_path_factory.mktemp("table") / "t"
    write(make_plan(form="paged", dtype="f8_e4m3", row_dim=DIM, rows=ROWS), folder)
    return open_table(folder)


@pytest.mark.parametrize("name", ["on the CPU", "gpu", *STAGED])
@settings(max_examples=10, deadline=None)
@given(data=st.data())
def test_every_step_finds_its_rows_at_the_same_place(
    table: TableFiles, name: str, data: st.DataObject
) -> None:
    shapes = {1: SHAPE, 4: (1, 3, 2)}
    with opened(table, name) as store:
        both = [store.slot(shapes) for _ in range(2)]
        places = [{k: out.data_ptr() for k, out in slot.out.items()} for slot in both]
        for step in range(data.draw(st.integers(1, 6))):
            slot = both[step % 2]
            asked = {}
            for layer, shape in shapes.items():
                last = ROWS[layer] - 1
                row = st.integers(0, 30) | st.sampled_from([0, last]) | st.integers(0, last)
                count = int(np.prod(shape))
                drawn = data.draw(st.lists(row, min_size=count, max_size=count))
                asked[layer] = np.array(drawn).reshape(shape)
                slot.out[layer].fill_(777.0)
            slot.prefetch(asked)
            for layer in sorted(asked, reverse=step % 3 == 1):
                assert slot.wait(layer) is slot.out[layer]
            for layer, ids in asked.items():
                assert torch.equal(slot.out[layer], values(table, layer, ids))
        assert places == [{k: out.data_ptr() for k, out in slot.out.items()} for slot in both]
        stats = store.stats()
        assert sum(stats.rows_by_tier.values()) == stats.rows_unique > 0
        for slot in both:
            slot.close()


@pytest.mark.parametrize("name", ["on the CPU", "gpu", STAGED[0]])
def test_only_so_many_slots_are_open_at_a_time(table: TableFiles, name: str) -> None:
    with opened(table, name) as store:
        first, second = store.slot({1: SHAPE}), store.slot({1: SHAPE})
        with pytest.raises(ConfigError, match="all 2 slots"):
            store.slot({1: SHAPE})
        first.close()
        first.close()
        with pytest.raises(ValueError, match="layer 2"):
            store.slot({2: SHAPE})
        with store.slot({1: SHAPE}), pytest.raises(ConfigError, match="all 2 slots"):
            store.slot({1: SHAPE})
        with pytest.raises(StorageError, match="slot is closed"):
            first.wait(1)
        second.close()
    with open_store(table, "host") as store, pytest.raises(ConfigError, match="without slots"):
        store.slot({1: SHAPE})
    with pytest.raises(ConfigError, match="negative"):
        open_store(table, "host", capture_slots=-1)


@pytest.mark.parametrize("name", ["on the CPU", "gpu", STAGED[0]])
def test_what_does_not_fit_a_slot_is_refused_before_anything_is_read(
    table: TableFiles, name: str
) -> None:
    ids = np.zeros(SHAPE, np.int64)
    with opened(table, name) as store, store.slot({1: SHAPE}) as slot:
        for wrong in ({}, {4: ids}, {1: ids[:1]}, {1: ids, 4: ids}):
            with pytest.raises(ValueError, match="the slot is for row ids of"):
                slot.prefetch(wrong)
        with pytest.raises(ValueError, match="outside"):
            slot.prefetch({1: ids + ROWS[1]})
        with pytest.raises(ValueError, match="not of this slot"):
            slot.wait(4)
        slot.prefetch({1: ids})
        assert torch.equal(slot.wait(1), values(table, 1, ids))
        assert store.stats().rows_asked == ids.size


@pytest.mark.parametrize("name", STAGED)
def test_a_step_whose_rows_were_never_taken_is_told(
    table: TableFiles, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(staged_slot, "NEVER_S", 0.2)
    ids = np.zeros(SHAPE, np.int64)
    with opened(table, name) as store, store.slot({1: SHAPE}) as slot:
        slot.prefetch({1: ids})
        with pytest.raises(StorageError, match="not taken"):
            slot.prefetch({1: ids})
        slot.wait(1)
        slot.prefetch({1: ids + 1})
        assert torch.equal(slot.wait(1), values(table, 1, ids + 1))


def test_rows_that_did_not_come_are_told_and_the_next_step_goes_on(
    table: TableFiles, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = np.arange(48).reshape(SHAPE)
    with opened(table, STAGED[0]) as store, store.slot({1: SHAPE}) as slot:
        assert isinstance(store, StagedStore)

        def fail(*_: Any) -> None:
            raise StorageError("the disk fails")

        monkeypatch.setattr(store.below, "collect", fail)
        slot.prefetch({1: ids})
        with pytest.raises(StorageError, match="the disk fails"):
            slot.wait(1)
        monkeypatch.undo()
        with pytest.raises(StorageError, match="the disk fails"):
            slot.prefetch({1: ids})  # where a graph waits, nobody else is told
        slot.prefetch({1: ids})
        assert torch.equal(slot.wait(1), values(table, 1, ids))
        assert store.stats().rows_by_tier["gpu"] == 0


@pytest.mark.parametrize("name", [STAGED[0], "gpu"])
def test_a_store_is_closed_with_slots_open(table: TableFiles, name: str) -> None:
    before = threading.active_count()
    store = opened(table, name)
    slot = store.slot({1: SHAPE})
    slot.prefetch({1: np.zeros(SHAPE, np.int64)})
    store.close()
    with pytest.raises(StorageError, match="closed"):
        slot.wait(1)
    slot.close()
    assert threading.active_count() <= before
