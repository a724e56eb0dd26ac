"""An open that fails late and a close that is interrupted leave no file open and no log locked."""

import gc
import os
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from engramctl.errors import StorageError
from engramctl.storage import SelfFilled, open_store
from engramctl.storage.direct.direct_rows import DirectRows
from engramctl.storage.io.mapped_rows import MappedRows
from engramctl.storage.readers import medium
from engramctl.storage.reading.table import TableFiles, open_table
from engramctl.storage.tiers.ssd import SsdStore
from tests.storage.tables import make_plan, write

BUDGET = 16 << 20


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> TableFiles:
    path: Path = tmp_path_factory.mktemp("ends") / "t"
    write(make_plan(form="paged", row_dim=256, rows={1: 3000}), path)
    return open_table(path)


Open = Callable[[], SsdStore]


@pytest.fixture(params=["mapped", "direct", "filled"])
def opening(request: pytest.FixtureRequest, table: TableFiles, tmp_path: Path) -> Open:
    def opened() -> SsdStore:
        budget = None if request.param == "mapped" else BUDGET
        fill = SelfFilled(tmp_path / "log", 2, 4, 40, 8 << 20)
        store = open_store(
            table, "ssd", budget, torch.float32, fill=fill if request.param == "filled" else None
        )
        assert isinstance(store, SsdStore)
        return store

    return opened


def descriptors() -> int:
    gc.collect()  # a traceback holds views of a mapping, and so its file
    return len(os.listdir("/proc/self/fd"))


def raising(error: BaseException) -> Callable[..., Any]:
    def raises(*_: Any, **__: Any) -> Any:
        raise error

    return raises


@pytest.mark.parametrize("error", [StorageError("no"), KeyboardInterrupt()], ids=["eio", "ctrl-c"])
def test_an_open_that_fails_late_lets_go_of_all(
    opening: Open, monkeypatch: pytest.MonkeyPatch, error: BaseException
) -> None:
    before = descriptors()
    with monkeypatch.context() as failing:
        failing.setattr("engramctl.storage.tiers.ssd.slow_medium", raising(error))
        with pytest.raises(type(error)):
            opening()
    assert descriptors() == before
    opening().close()


def test_a_warning_that_is_an_error_lets_go_of_all(
    opening: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = descriptors()
    with monkeypatch.context() as slow, warnings.catch_warnings():
        slow.setattr(medium, "SLOW_MS", -1.0)
        warnings.simplefilter("error")
        with pytest.raises(RuntimeWarning, match="is slow"):
            opening()
    assert descriptors() == before
    opening().close()


def test_kernels_that_cannot_be_compiled_let_go_of_all(
    opening: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = descriptors()
    with monkeypatch.context() as failing:
        for broken in ("direct.direct_rows.DirectRows.compile", "tiers.ssd.compile_gather"):
            failing.setattr(f"engramctl.storage.{broken}", raising(KeyboardInterrupt()))
        with pytest.raises(KeyboardInterrupt):
            opening()
    with monkeypatch.context() as failing:
        taking = "engramctl.storage.tiers.store.compile_counts"
        failing.setattr(taking, raising(KeyboardInterrupt()))
        with pytest.raises(KeyboardInterrupt):
            opening()
    assert descriptors() == before
    opening().close()


@pytest.mark.parametrize("error", [OSError(5, "no"), KeyboardInterrupt()], ids=["eio", "ctrl-c"])
def test_a_close_that_is_interrupted_closes_the_files_and_the_log(
    opening: Open, monkeypatch: pytest.MonkeyPatch, error: BaseException
) -> None:
    before = descriptors()
    store = opening()
    engine = store.read.chosen.engine
    end = engine.close

    def interrupted() -> None:
        end()
        raise error

    monkeypatch.setattr(engine, "close", interrupted)
    with pytest.raises(type(error)):
        store.close()
    assert descriptors() == before
    store.close()  # nothing is left to do
    opening().close()


def test_mapped_files_are_closed_when_the_wait_for_a_thread_is_interrupted(
    table: TableFiles, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = descriptors()
    mapped = MappedRows(table)
    with monkeypatch.context() as interrupted:
        interrupted.setattr("engramctl.runtime.threads.Workers.shutdown", raising(SystemExit()))
        with pytest.raises(SystemExit):
            mapped.close()
    assert descriptors() == before


def test_rows_without_memory_for_them_leave_no_file_open(
    table: TableFiles, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = descriptors()
    with pytest.raises(ValueError, match="holds no row"):
        DirectRows(table, BUDGET, cache_bytes=100)
    with pytest.raises(StorageError, match="too small"):
        DirectRows(table, 5000)
    assert descriptors() == before
    with monkeypatch.context() as full:
        full.setattr("engramctl.storage.direct.direct_rows.Slab", raising(OSError(12, "full")))
        full.setattr("engramctl.storage.io.mapped_rows.MOST_PAGES", -1)
        with pytest.raises(OSError, match="full"):
            DirectRows(table, BUDGET)
        with pytest.raises(OverflowError):
            MappedRows(table)
    assert descriptors() == before


@pytest.mark.parametrize("engine", ["io_uring", "pread"])
def test_a_step_that_cannot_be_planned_leaves_no_file_open(
    table: TableFiles, monkeypatch: pytest.MonkeyPatch, engine: str
) -> None:
    before = descriptors()
    planner = "engramctl.storage.direct.page_reads.StepPlanner"
    monkeypatch.setattr(planner, raising(MemoryError("full")))
    with pytest.raises(MemoryError, match="full") as held:
        DirectRows(table, BUDGET, engine)
    assert len(os.listdir("/proc/self/fd")) == before
    del held
