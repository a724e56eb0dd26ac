"""Pages: exactly those that rows lie in are asked for, and a refusal is told."""

import mmap
import time
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engramctl.errors import StorageError
from engramctl.storage import open_store
from engramctl.storage.io import pages
from engramctl.storage.io.mapping import MappedLayer
from engramctl.storage.reading.table import TableFiles, open_table
from engramctl.storage.tiers import ssd
from tests.storage.tables import make_plan, write

PAGE = mmap.PAGESIZE


@given(st.lists(st.integers(0, 60), max_size=40))
@settings(deadline=None)
def test_runs_hold_exactly_the_pages_given_and_no_two_touch(given_pages: list[int]) -> None:
    runs = pages.page_runs(np.array(given_pages, np.int64)).tolist()
    held = [page for first, count in runs for page in range(first, first + count)]
    assert held == sorted(set(given_pages))
    ends = [first + count for first, count in runs]
    assert all(start > end for (start, _), end in zip(runs[1:], ends, strict=False))


def pages_of(table: TableFiles, layer: MappedLayer, ids: list[int]) -> set[int]:
    """The plain way: every byte of every row, region by region."""
    address = {file.path: file.address for file in layer.files}
    return {
        (address[region.path] + region.position(row) + byte) // PAGE
        for region in table.regions(1)
        for row in ids
        if region.row_start <= row < region.row_stop
        for byte in range(region.width)
    }


@pytest.mark.parametrize("form", ["planar", "packed", "paged"])
@pytest.mark.parametrize("row_dim", [32, 1504, 8192])
def test_every_page_of_a_row_is_found_and_no_other(tmp_path: Path, form: str, row_dim: int) -> None:
    write(make_plan(form=form, row_dim=row_dim, rows={1: 211}, shard_rows=60), tmp_path / "t")
    table = open_table(tmp_path / "t")
    layer = MappedLayer(table, 1)
    ids = np.random.default_rng(0).integers(0, 211, 40)
    found = layer.unseen(ids).tolist()
    assert len(found) == len(set(found))
    assert set(found) == pages_of(table, layer, ids.tolist())
    assert not len(layer.unseen(ids))
    more = np.arange(211)
    assert set(layer.unseen(more).tolist()) == pages_of(table, layer, more.tolist()) - set(found)
    layer.close()


def test_a_kernel_that_refuses_to_read_ahead_is_told_of() -> None:
    region = mmap.mmap(-1, 4 * PAGE)
    first = np.frombuffer(region, np.uint8).ctypes.data // PAGE
    assert pages.ask_for_pages(np.array([first + 3, first + 1, first])) == (2, True)
    beyond = (1 << 62) // PAGE  # no address of a process
    assert pages.ask_for_pages(np.array([first, beyond])) == (1, False)


def test_a_gather_whose_pages_could_not_be_asked_for_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(make_plan(form="paged"), tmp_path / "t")
    with open_store(tmp_path / "t", "ssd") as store:
        monkeypatch.setattr(ssd, "ask_for_pages", lambda pages: (0, False))
        with pytest.raises(StorageError, match="refused to read ahead"):
            store.gather(1, np.arange(5))


def test_a_slow_gather_of_known_pages_means_that_they_were_evicted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(make_plan(form="paged"), tmp_path / "t")
    ids = np.arange(0, 900, 100)
    with open_store(tmp_path / "t", "ssd") as store:

        def reads() -> int:
            before = store.stats().device_reads
            store.gather(1, ids)
            return store.stats().device_reads - before

        assert reads() > 0
        assert reads() == 0
        clock = iter(range(0, 1 << 62, ssd.EVICTED_NS + ssd.EVICTED_ROW_NS * len(ids) + 1))
        with monkeypatch.context() as slow:
            slow.setattr(time, "perf_counter_ns", lambda: next(clock))
            assert reads() == 0
        assert reads() > 0
