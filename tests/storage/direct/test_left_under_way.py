"""Reads that were left under way in the working memory: the next one waits for them first."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from engramctl.errors import StorageError
from engramctl.storage import open_store
from engramctl.storage.direct.direct_rows import DirectRows
from engramctl.storage.readers.batch import Batch, ReadEngine
from engramctl.storage.reading.table import TableFiles, open_table
from engramctl.storage.tiers.ssd import SsdStore
from tests.storage.tables import make_plan, write

ROWS = 2111
FIRST, SECOND = np.arange(2000), np.arange(ROWS)[::-1].copy()


class Late:
    """An engine whose disk is slow: bytes come when a wait for them ends, and some waits do not."""

    def __init__(self, engine: ReadEngine, raised: list[BaseException]) -> None:
        """Let each of the first waits raise one of `raised`."""
        self.start_now = engine.start
        self.raised = raised
        self.started: list[LateBatch] = []
        self.left: list[int] = []

    def start(self, batch: Batch) -> "LateBatch":
        """Note how many are still under way beside this one."""
        self.left.append(sum(not one.over() for one in self.started))
        self.started.append(LateBatch(self, batch))
        return self.started[-1]


class LateBatch:
    """A batch of it."""

    def __init__(self, engine: Late, batch: Batch) -> None:
        self.engine, self.batch = engine, batch
        self.done = False
        self.broken: Exception | None = None

    def wait(self, _: int | None = None) -> None:
        """Read it, unless this wait is one that raises; what broke says so again each time."""
        if not self.done and self.engine.raised:
            error = self.engine.raised.pop(0)
            if isinstance(error, Exception):
                self.broken, self.done = error, True
            raise error
        if self.broken is not None:
            raise self.broken
        self.engine.start_now(self.batch).wait()
        self.done = True

    def over(self) -> bool:
        """Tell whether nothing comes any more."""
        return self.done


@pytest.fixture(scope="module")
def paged(tmp_path_factory: pytest.TempPathFactory) -> TableFiles:
    folder: Path = tmp_path_factory.mktemp("table") / "t"
    write(make_plan(form="paged", dtype="f8_e4m3", row_dim=256, rows={1: ROWS}), folder)
    return open_table(folder)


@pytest.fixture
def store(paged: TableFiles) -> Iterator[SsdStore]:
    with open_store(paged, "ssd", 600_000, torch.float32, cache_bytes=0) as store:
        assert isinstance(store, SsdStore)
        yield store


def test_a_second_interrupt_leaves_no_read_to_the_next_ones_memory(
    store: SsdStore, paged: TableFiles, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first one while rows are waited for, the second while what is left is waited for."""
    late = _late(store, [KeyboardInterrupt(), KeyboardInterrupt()], monkeypatch)
    with pytest.raises(KeyboardInterrupt):
        store.gather(1, FIRST)
    assert late.raised == []
    left = [one for one in late.started if not one.over()]
    assert len(left) == 2
    del late.left[:]
    want = torch.from_numpy(paged.read_values(1, SECOND))
    assert torch.equal(store.gather(1, SECOND), want)
    assert late.left[0] == 0
    assert all(one.over() for one in left)


def test_a_batch_that_broke_is_told_once_and_the_other_is_waited_for(
    store: SsdStore, paged: TableFiles, monkeypatch: pytest.MonkeyPatch
) -> None:
    late = _late(store, [StorageError("the ring broke")], monkeypatch)
    with pytest.raises(StorageError, match="the ring broke"):
        store.gather(1, FIRST)
    assert len(late.started) == 2
    assert all(one.over() for one in late.started)
    want = torch.from_numpy(paged.read_values(1, SECOND))
    assert torch.equal(store.gather(1, SECOND), want)


def test_memory_is_not_worked_in_while_waiting_for_its_bytes_fails(
    store: SsdStore, paged: TableFiles, monkeypatch: pytest.MonkeyPatch
) -> None:
    late = _late(store, [KeyboardInterrupt(), KeyboardInterrupt()], monkeypatch)
    with pytest.raises(KeyboardInterrupt):
        store.gather(1, FIRST)
    late.started[0].broken = StorageError("the ring broke")
    with pytest.raises(StorageError, match="the ring broke"):
        store.gather(1, FIRST)
    assert len(late.started) == 2
    late.started[0].broken = None
    want = torch.from_numpy(paged.read_values(1, SECOND))
    assert torch.equal(store.gather(1, SECOND), want)


def _late(store: SsdStore, raised: list[BaseException], monkeypatch: pytest.MonkeyPatch) -> Late:
    """Have a store read by a slow disk."""
    assert isinstance(store.read, DirectRows)
    engine = store.read.chosen.engine
    late = Late(engine, raised)
    monkeypatch.setattr(engine, "start", late.start)
    return late
