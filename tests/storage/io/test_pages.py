"""Pages: exactly those that rows lie in are asked for, and what could not be read is told."""

import errno
import os
import time
from pathlib import Path

import numpy as np
import pytest

from engramctl.errors import StorageError
from engramctl.storage import open_store
from engramctl.storage.io import mapped_rows
from engramctl.storage.io.mapped_rows import MappedRows
from engramctl.storage.io.pages import PAGE, page_key, resident_pages
from engramctl.storage.readers.batch import Batch
from engramctl.storage.readers.willneed_engine import WillneedEngine
from engramctl.storage.reading.region import Region
from engramctl.storage.reading.source import CheckpointTables
from engramctl.storage.reading.table import TableFiles, open_table
from engramctl.storage.record.record import RecordSpec
from engramctl.storage.tiers.ssd import SsdStore
from tests.storage.tables import make_plan, write


def pages_of(table: TableFiles, number: dict[Path, int], ids: list[int]) -> set[int]:
    """The plain way: every byte of every row, region by region."""
    return {
        page_key(number[region.path], (region.position(row) + byte) // PAGE)
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
    rows = MappedRows(table)
    number = {path: k for k, path in enumerate(rows.chosen.files.paths)}
    layer = rows.layers[1]
    ids = np.random.default_rng(0).integers(0, 211, 40)
    first = layer.unseen(ids)
    assert first is not None
    found = first.tolist()
    assert len(found) == len(set(found))
    assert set(found) == pages_of(table, number, ids.tolist())
    assert layer.unseen(ids) is None
    assert layer.unseen(ids[:0]) is None
    more = np.arange(211)
    rest = layer.unseen(more)
    wanted = pages_of(table, number, more.tolist()) - set(found)
    assert (set() if rest is None else set(rest.tolist())) == wanted
    rows.close()


@pytest.mark.parametrize("engine", ["willneed", "io_uring", "pread"])
def test_a_gather_whose_pages_could_not_be_read_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, engine: str
) -> None:
    write(make_plan(form="paged"), tmp_path / "t")
    with open_store(tmp_path / "t", "ssd", engine=engine) as store:
        assert isinstance(store, SsdStore)

        class Refused:
            def wait(self) -> None:
                pass

        def start(batch: Batch) -> Refused:
            batch.got_R[:] = -5  # EIO
            return Refused()

        monkeypatch.setattr(store.read.chosen.engine, "start", start)
        with pytest.raises(
            StorageError, match=r"layer\S*\.safetensors: Input/output error"
        ) as told:
            store.gather(1, np.arange(5))
        assert "offset" in told.value.facts
        ticket = store.prefetch({1: np.arange(100, 900, 100)})
        with pytest.raises(StorageError, match="Input/output error"):
            ticket.wait(1)


def test_an_advice_that_the_kernel_refuses_is_told(tmp_path: Path) -> None:
    write(make_plan(form="paged"), tmp_path / "t")
    rows = MappedRows(open_table(tmp_path / "t"), "willneed")
    batch = Batch.of(np.array([[0, 0, PAGE, 0, PAGE]]))
    engine = rows.chosen.engine
    assert isinstance(engine, WillneedEngine)
    ends = os.pipe()
    plain, rows.chosen.files.descriptors[0] = rows.chosen.files.descriptors[0], ends[0]
    engine.start(batch).wait()
    rows.chosen.files.descriptors[0] = plain
    assert -batch.got_R[0] in (errno.ESPIPE, errno.EINVAL)
    rows.close()
    for one in ends:
        os.close(one)


@pytest.mark.parametrize(
    ("faults", "evicted"), [((3, 4), True), ((0, 0), False), ((None, None), True)]
)
def test_a_slow_gather_of_known_pages_that_faulted_means_that_they_were_evicted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, faults: tuple[int | None, ...], evicted: bool
) -> None:
    """Without a fault a busy processor was slow; where none are counted, time alone decides."""
    counted = iter(faults)
    monkeypatch.setattr(mapped_rows, "_major_faults", lambda: next(counted))
    write(make_plan(form="paged"), tmp_path / "t")
    ids = np.arange(0, 900, 100)
    with open_store(tmp_path / "t", "ssd") as store:

        def reads() -> int:
            before = store.stats().device_reads
            store.gather(1, ids)
            return store.stats().device_reads - before

        assert reads() > 0
        assert reads() == 0
        slow_ns = mapped_rows.EVICTED_NS + mapped_rows.EVICTED_ROW_NS * len(ids) + 1
        clock = iter(range(0, 1 << 62, slow_ns))
        with monkeypatch.context() as slow:
            slow.setattr(time, "perf_counter_ns", lambda: next(clock))
            assert reads() == 0
        assert (reads() > 0) == evicted


def resident(rows: MappedRows) -> int:
    """Pages of all mapped files that the kernel has in memory."""
    files = {id(file): file for layer in rows.layers.values() for file in layer.files}
    return sum(int(resident_pages(file.address, len(file.data)).sum()) for file in files.values())


def make_cold(rows: MappedRows) -> None:
    """Drop every page, again while the system still writes some of them."""
    for _ in range(40):
        rows.drop()
        if not resident(rows):
            return
        time.sleep(0.05)
    pytest.skip("this file system does not let go of clean pages")


def test_populate_reads_the_pages_of_rows_alone(tmp_path: Path) -> None:
    """A checkpoint's file holds other tensors too, some a thousand times larger."""
    path = tmp_path / "all.bin"
    path.write_bytes(np.random.default_rng(0).bytes(300 * PAGE))
    record = RecordSpec("bf16", 2048)
    region = Region(path, 0, PAGE, 0, 20, 100 * PAGE, 1, PAGE)
    rows = MappedRows(CheckpointTables(path, record, {1: (region,)}, {1: None}))
    make_cold(rows)
    rows.populate()
    assert resident(rows) == 20
    rows.close()


def test_only_the_pages_of_some_rows_are_dropped(tmp_path: Path) -> None:
    write(make_plan(form="paged", row_dim=256, rows={1: 3000}), tmp_path / "t")
    rows = MappedRows(open_table(tmp_path / "t"))
    make_cold(rows)
    ids = np.arange(0, 3000, 300)
    assert rows.start({1: np.arange(3000)}, ahead=False) is not None
    whole = -(-3000 // 15)
    read_all = np.array(rows.layers[1].files[0].data).sum()
    assert read_all
    before = resident(rows)
    assert before >= whole
    rows.drop({1: ids})
    assert resident(rows) == before - len(ids)
    assert rows.start({1: np.arange(3000)}, ahead=False) is not None  # they are missing again
    assert rows.start({1: np.arange(3000)}, ahead=False) is None
    rows.close()
