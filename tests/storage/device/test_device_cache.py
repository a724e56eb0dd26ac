"""Rows kept on a device, here the CPU: what plain S3-FIFO keeps, and each with its own record."""

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from engramctl.caches.reference import S3FifoReference
from engramctl.errors import ConfigError
from engramctl.storage.device.device_cache import DeviceCache
from engramctl.storage.device.gathering import Gathering
from engramctl.storage.reading.table import TableFiles, open_table
from tests.storage.tables import make_plan, write

ROWS = {1: 60, 4: 50}
CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> TableFiles:
    folder: Path = tmp_path_factory.mktemp("table") / "t"
    write(make_plan(form="packed", dtype="f8_e4m3", row_dim=32, rows=ROWS), folder)
    return open_table(folder)


def made(table: TableFiles, rows: int) -> DeviceCache:
    record = table.record
    return DeviceCache(table, rows * record.record_bytes, Gathering(record, CPU, torch.uint8), CPU)


def records(table: TableFiles, layer: int, ids: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(np.concatenate(table.read_rows(layer, ids), axis=1))


@settings(max_examples=60, deadline=None)
@given(capacity=st.integers(1, 12), data=st.data())
def test_batches_of_any_size_find_the_records_of_their_rows(
    table: TableFiles, capacity: int, data: st.DataObject
) -> None:
    """Batches larger than the cache too: rows evicted before their record was there."""
    cache, plain = made(table, capacity), S3FifoReference(capacity)
    assert (cache.capacity, cache.num_bytes) == (capacity, capacity * table.record.record_bytes)
    for _ in range(data.draw(st.integers(1, 12))):
        layer: int = data.draw(st.sampled_from(sorted(ROWS)))
        drawn = data.draw(st.lists(st.integers(0, ROWS[layer] - 1), max_size=30))
        ids = np.array(drawn, np.int64)
        held, here, gone = cache.take(layer, ids)
        keys = [int(row) + layer * 1000 for row in ids]
        assert here.tolist() == [k for k, key in enumerate(keys) if key in plain.hits]
        assert sorted([*here, *gone]) == list(range(len(ids)))
        assert torch.equal(held, records(table, layer, ids[here]))
        for key in (keys[k] for k in here):
            plain.access(key)
        cache.put(layer, ids[gone], records(table, layer, ids[gone]))
        for key in (keys[k] for k in gone):
            plain.access(key)
        assert cache.rows == len(plain.hits)


def test_rows_whose_records_could_not_be_written_are_not_kept(table: TableFiles) -> None:
    cache = made(table, 20)
    ids = np.arange(10)

    class Broken(Exception):
        pass

    def fail(*_: object) -> None:
        raise Broken

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Gathering, "put", fail)
        with pytest.raises(Broken):
            cache.put(1, ids, records(table, 1, ids))
    assert not len(cache.take(1, ids)[1])
    cache.put(1, ids, records(table, 1, ids))
    assert torch.equal(cache.take(1, ids)[0], records(table, 1, ids))


def test_dropped_rows_are_gone_and_all_of_them_too(table: TableFiles) -> None:
    cache, ids = made(table, 20), np.arange(10)
    cache.put(1, ids, records(table, 1, ids))
    cache.drop({1: ids[:4]})
    assert cache.take(1, ids)[1].tolist() == [4, 5, 6, 7, 8, 9]
    cache.drop(None)
    assert not len(cache.take(1, ids)[1])
    assert cache.rows == 0


def test_a_cache_for_no_row_is_refused(table: TableFiles) -> None:
    with pytest.raises(ConfigError, match="too small"):
        made(table, 0)


def test_what_is_kept_follows_its_event_and_outlives_its_copy(
    table: TableFiles, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache, done, ids = made(table, 5), list[object](), np.arange(3)
    monkeypatch.setattr(cache.stream, "follow_event", done.append)
    monkeypatch.setattr(cache.stream, "keep", done.append)
    came, event = records(table, 1, ids), object()
    cache.put(1, ids, came, event)
    assert done[0] is event
    assert done[1] is came
