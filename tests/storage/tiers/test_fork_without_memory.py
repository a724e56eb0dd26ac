"""A forked child that has no memory for a store's budget is told so, by every call."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from engramctl.errors import StorageError
from engramctl.storage import Store, open_store
from engramctl.storage.direct.direct_rows import DirectRows
from engramctl.storage.memory.slab import Slab
from engramctl.storage.tiers.ssd import SsdStore
from tests.helpers.forked import in_child
from tests.storage.tables import make_plan, write

IDS = np.arange(300)
SLABS = ["direct.direct_rows", "cache.row_cache"]
ERRORS = [StorageError("Cannot allocate memory"), MemoryError("Cannot allocate memory")]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("poor") / "t"
    write(make_plan(form="paged", row_dim=256, rows={1: 3000, 4: 500}), path)
    return path


@pytest.fixture
def store(folder: Path) -> Iterator[Store]:
    with open_store(folder, "ssd", 16 << 20, torch.float32, cache_bytes=8 << 20) as opened:
        opened.gather(1, IDS)
        yield opened


def poor(monkeypatch: pytest.MonkeyPatch, where: str, error: Exception) -> None:
    """Give a child no such memory."""
    parent = os.getpid()

    def slab(num_pages: int) -> Slab:
        if os.getpid() != parent:
            raise error
        return Slab(num_pages)

    monkeypatch.setattr(f"engramctl.storage.{where}.Slab", slab)


@pytest.mark.parametrize("where", SLABS)
@pytest.mark.parametrize("error", ERRORS, ids=["slab", "numpy"])
def test_every_call_says_that_the_child_has_no_memory(
    store: Store, monkeypatch: pytest.MonkeyPatch, where: str, error: Exception
) -> None:
    assert isinstance(store, SsdStore)
    poor(monkeypatch, where, error)
    calls: list[Callable[[], Any]] = [
        lambda: store.gather(1, IDS[:5]),  # by the cache, were it there
        lambda: store.gather(1, np.arange(3000)),
        lambda: store.prefetch({1: IDS}),
        lambda: store.warm({1: IDS}),
        lambda: store.drop({1: IDS}),
        lambda: store.resident(1, IDS),
    ]

    def job() -> bool:
        for call in calls:
            with pytest.raises(StorageError, match=r"child has no memory .* Cannot allocate"):
                call()
        assert store.stats().cache_rows == 0
        assert in_child(lambda: store.usage.over is not None) == 0
        before = len(os.listdir("/proc/self/fd"))
        store.close()
        return len(os.listdir("/proc/self/fd")) < before

    want = store.gather(1, IDS)
    assert in_child(job) == 0
    assert torch.equal(store.gather(1, IDS), want)


def test_other_stores_work_in_that_child(
    store: Store, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with open_store(folder, "ssd", dtype=torch.float32) as mapped:
        want = store.gather(1, IDS)
        poor(monkeypatch, SLABS[0], ERRORS[0])
        assert in_child(lambda: torch.equal(mapped.gather(1, IDS), want)) == 0


def test_rows_that_another_tier_asks_for_are_refused_too(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert isinstance(store, SsdStore)
    read = store.read
    assert isinstance(read, DirectRows)
    poor(monkeypatch, SLABS[1], ERRORS[0])
    out = torch.empty((len(IDS), 256))

    calls: list[Callable[[], Any]] = [
        lambda: read.bring(1, IDS, out),
        lambda: read.start({1: IDS}),
        lambda: store.bring(1, IDS, out),
    ]

    def job() -> bool:
        for call in calls:
            with pytest.raises(StorageError, match="child has no memory"):
                call()
        return read.cache is None and not store.near

    assert in_child(job) == 0
