"""Interrupts and errors while reads are handed over: memory that bytes may come to is nobody's."""

from pathlib import Path

import numpy as np
import pytest
import torch

from engramctl.errors import StorageError
from engramctl.storage import open_store
from engramctl.storage.direct.direct_rows import DirectRows
from engramctl.storage.readers.batch import NotBegun
from engramctl.storage.readers.ring import Ring
from engramctl.storage.reading.table import TableFiles, open_table
from engramctl.storage.tiers.ssd import SsdStore
from tests.storage.tables import make_plan, write

ROWS = {1: 2111, 4: 977}


@pytest.fixture(scope="module")
def paged(tmp_path_factory: pytest.TempPathFactory) -> TableFiles:
    folder: Path = tmp_path_factory.mktemp("table") / "t"
    write(make_plan(form="paged", dtype="f8_e4m3", row_dim=256, rows=ROWS), folder)
    return open_table(folder)


@pytest.mark.parametrize("size", [30, 2000])
def test_pages_that_bytes_may_still_come_to_are_nobodys(
    paged: TableFiles, size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An interrupt between a read's beginning and the moment somebody knows of it."""
    ids = {1: np.random.default_rng(0).integers(0, ROWS[1], size)}
    with open_store(paged, "ssd", 16 << 20, torch.float32) as store:
        assert isinstance(store, SsdStore)
        read = store.read
        assert isinstance(read, DirectRows)
        free = read.slab.free_pages
        with monkeypatch.context() as interrupted:
            interrupted.setattr(read.chosen.engine, "start", _interrupt)
            with pytest.raises(KeyboardInterrupt):
                store.prefetch(ids)
        assert read.slab.free_pages < free
        assert torch.equal(store.gather(1, ids[1]), torch.from_numpy(paged.read_values(1, ids[1])))


def test_memory_that_bytes_may_still_come_to_is_not_worked_in(
    paged: TableFiles, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = np.arange(2000)
    with open_store(paged, "ssd", 600_000, torch.float32) as store:
        assert isinstance(store, SsdStore)
        assert isinstance(store.read, DirectRows)
        with monkeypatch.context() as interrupted:
            interrupted.setattr(store.read.chosen.engine, "start", _interrupt)
            with pytest.raises(KeyboardInterrupt):
                store.gather(1, ids)
        with pytest.raises(StorageError, match="interrupted while it began"):
            store.gather(1, ids)


@pytest.mark.parametrize("size", [30, 2000])
def test_a_batch_that_found_no_ring_keeps_no_memory(
    paged: TableFiles, size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = {1: np.random.default_rng(0).integers(0, ROWS[1], size)}
    with open_store(paged, "ssd", 16 << 20, torch.float32, engine="io_uring") as store:
        assert isinstance(store, SsdStore)
        read = store.read
        assert isinstance(read, DirectRows)
        free = read.slab.free_pages
        with monkeypatch.context() as none_left:
            none_left.setattr(read.chosen.engine, "borrow", _no_ring)
            with pytest.raises(NotBegun, match="Too many open files"):
                store.prefetch(ids)
        assert read.slab.free_pages == free
        assert read.reads == 0
        assert torch.equal(store.gather(1, ids[1]), torch.from_numpy(paged.read_values(1, ids[1])))


def test_memory_is_worked_in_after_a_batch_that_found_no_ring(
    paged: TableFiles, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = np.arange(2000)
    with open_store(paged, "ssd", 600_000, torch.float32, engine="io_uring") as store:
        assert isinstance(store, SsdStore)
        assert isinstance(store.read, DirectRows)
        with monkeypatch.context() as none_left:
            none_left.setattr(store.read.chosen.engine, "borrow", _no_ring)
            with pytest.raises(NotBegun, match="Too many open files"):
                store.gather(1, ids)
        assert store.read.reads == 0
        assert torch.equal(store.gather(1, ids), torch.from_numpy(paged.read_values(1, ids)))


def _no_ring() -> Ring:
    raise StorageError("the system refused: Too many open files")


def _interrupt(_: object) -> None:
    raise KeyboardInterrupt
