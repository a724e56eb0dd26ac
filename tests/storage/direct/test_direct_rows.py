"""Rows read past the page cache are the plain reader's, in memory that never exceeds the budget."""

import gc
import os
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from engramctl.errors import StorageError
from engramctl.storage import open_store
from engramctl.storage.direct.direct_rows import DirectRows
from engramctl.storage.io.pages import PAGE
from engramctl.storage.readers import open_files
from engramctl.storage.reading.table import TableFiles, open_table
from engramctl.storage.tiers.ssd import SsdStore
from tests.helpers.faulty_engine import FaultyEngine
from tests.storage.tables import make_plan, write

POISON = 777.0
ROWS = {1: 2111, 4: 977}
SHAPES = [
    ("planar", "f8_e4m3", 256), ("packed", "f8_e4m3", 256), ("paged", "f8_e4m3", 256),
    ("planar", "bf16", 33), ("paged", "int4", 64), ("packed", "f32", 2000),
    ("planar", "int8", 8192),
]  # fmt: skip


@pytest.fixture(scope="module")
def tables(tmp_path_factory: pytest.TempPathFactory) -> dict[tuple[str, str, int], TableFiles]:
    root = tmp_path_factory.mktemp("tables")
    found = {}
    for form, dtype, row_dim in SHAPES:
        folder = root / f"{form}-{dtype}-{row_dim}"
        write(make_plan(form=form, dtype=dtype, row_dim=row_dim, rows=ROWS, shard_rows=500), folder)
        found[form, dtype, row_dim] = open_table(folder)
    return found


def expected(table: TableFiles, layer: int, ids: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(table.read_values(layer, ids))


def opened(table: TableFiles, budget: int, engine: str = "auto") -> SsdStore:
    store = open_store(table, "ssd", budget, torch.float32, engine=engine)
    assert isinstance(store, SsdStore)
    assert store.mode == "direct"
    return store


def slab_is_free(store: SsdStore) -> bool:
    """Whether all pages but the working memory are free once what is over was swept."""
    read = store.read
    assert isinstance(read, DirectRows)
    read.start({})
    return read.slab.free_pages == read.pages_ahead


@given(
    st.sampled_from(SHAPES),
    st.sampled_from([300_000, 1 << 20, 64 << 20]),
    st.sampled_from(["io_uring", "pread"]),
    st.data(),
)
@settings(deadline=None, max_examples=40)
def test_rows_are_the_plain_readers(
    tables: dict[tuple[str, str, int], TableFiles],
    shape: tuple[str, str, int],
    budget: int,
    engine: str,
    data: st.DataObject,
) -> None:
    table = tables[shape]
    ids = {
        layer: np.array(data.draw(st.lists(st.integers(0, rows - 1), max_size=300)), np.int64)
        for layer, rows in ROWS.items()
    }
    with opened(table, budget, engine) as store:
        ticket = store.prefetch(ids)
        for layer in (4, 1):
            out = torch.full((len(ids[layer]), shape[2]), POISON)
            ticket.wait(layer, out)
            assert torch.equal(out, expected(table, layer, ids[layer]))
            out.fill_(POISON)
            store.gather(layer, ids[layer], out)
            assert torch.equal(out, expected(table, layer, ids[layer]))
        del ticket
        gc.collect()
        assert slab_is_free(store)


def test_pages_are_read_once_whatever_the_memory(
    tables: dict[tuple[str, str, int], TableFiles],
) -> None:
    table = tables["packed", "f32", 2000]
    ids = np.random.default_rng(0).integers(0, ROWS[1], 2500)
    wanted = {
        (region.path, (region.position(row) + byte) // PAGE)
        for region in table.regions(1)
        for row in set(ids.tolist())
        if region.row_start <= row < region.row_stop
        for byte in (0, 4000, 7999)
    }
    for budget in (2 << 20, 64 << 20):
        with opened(table, budget) as store:
            out = torch.full((len(ids), 2000), POISON)
            assert torch.equal(store.gather(1, ids, out), expected(table, 1, ids))
            stats = store.stats()
            turns = 1 if budget > 20 << 20 else 2500 * 3 * PAGE // (budget // 5)
            assert len(wanted) <= stats.device_bytes // PAGE <= len(wanted) + turns
            assert stats.device_reads < len(wanted) / 2  # neighbours are joined
            assert (stats.mode, stats.engine, stats.fallback) == ("direct", "io_uring", None)
            assert 1 <= stats.queue_depth <= 256
            assert stats.amplification == stats.device_bytes / stats.useful_bytes


def test_tickets_that_are_dropped_give_their_memory_back(
    tables: dict[tuple[str, str, int], TableFiles],
) -> None:
    table = tables["paged", "f8_e4m3", 256]
    rng = np.random.default_rng(0)
    with opened(table, 1 << 20) as store:
        for turn in range(200):
            ids = {layer: rng.integers(0, rows, 30) for layer, rows in ROWS.items()}
            ticket = store.prefetch(ids)
            if turn % 3 == 1:
                ticket.wait(1)
            if turn % 3 == 2:
                assert torch.equal(ticket.wait(4), expected(table, 4, ids[4]))
            del ticket
        gc.collect()
        for _ in range(100):
            if slab_is_free(store):
                break
            threading.Event().wait(0.01)
        assert slab_is_free(store)


def test_more_tickets_than_there_is_memory_for_are_served(
    tables: dict[tuple[str, str, int], TableFiles],
) -> None:
    table = tables["planar", "f8_e4m3", 256]
    rng = np.random.default_rng(0)
    with opened(table, 400_000) as store:
        asked = [{1: rng.integers(0, ROWS[1], 20)} for _ in range(40)]
        tickets = [store.prefetch(ids) for ids in asked]
        for ids, ticket in zip(asked, tickets, strict=True):
            assert torch.equal(ticket.wait(1), expected(table, 1, ids[1]))


def test_eight_threads_share_a_store(tables: dict[tuple[str, str, int], TableFiles]) -> None:
    table = tables["paged", "f8_e4m3", 256]

    def work(seed: int) -> bool:
        rng = np.random.default_rng(seed)
        for size in (1, 24, 300, 900):
            ids = {layer: rng.integers(0, rows, size) for layer, rows in ROWS.items()}
            ticket = store.prefetch(ids)
            for layer in ids:
                if not torch.equal(ticket.wait(layer), expected(table, layer, ids[layer])):
                    return False
        return True

    with opened(table, 1 << 20) as store, ThreadPoolExecutor(8) as pool:
        assert all(pool.map(work, range(16)))


def test_a_forked_child_reads_into_memory_of_its_own(
    tables: dict[tuple[str, str, int], TableFiles],
) -> None:
    table = tables["paged", "f8_e4m3", 256]
    ids = np.arange(0, 2000, 7)
    with opened(table, 8 << 20) as store:
        ticket = store.prefetch({1: ids})
        child = os.fork()
        if not child:
            code = 1
            try:
                same = torch.equal(store.gather(1, ids), expected(table, 1, ids))
                del ticket  # the last that holds the parent's slab, whose addresses are not here
                gc.collect()
                same = same and torch.equal(store.gather(1, ids), expected(table, 1, ids))
                code = 0 if same and slab_is_free(store) else 1
            finally:
                os._exit(code)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        assert torch.equal(ticket.wait(1), expected(table, 1, ids))


def faulty(store: SsdStore, **how: int | float) -> FaultyEngine:
    """Put a faulty engine in the place of the store's."""
    engine = FaultyEngine(store.read.chosen.files, **how)  # type: ignore[arg-type]
    object.__setattr__(store.read.chosen, "engine", engine)
    return engine


def test_short_late_and_reordered_reads_give_the_same_rows(
    tables: dict[tuple[str, str, int], TableFiles], monkeypatch: pytest.MonkeyPatch
) -> None:
    table = tables["planar", "f8_e4m3", 256]
    rng = np.random.default_rng(0)
    with opened(table, 500_000) as store:
        before = store.read.chosen.engine
        engine = faulty(store, seed=3, delay_s=0.01)
        for size in (5, 60, 700):
            ids = {layer: rng.integers(0, rows, size) for layer, rows in ROWS.items()}
            ticket = store.prefetch(ids)
            for layer in ids:
                out = torch.full((size, 256), POISON)
                assert torch.equal(ticket.wait(layer, out), expected(table, layer, ids[layer]))
        dropped = store.prefetch({1: np.arange(30)})
        del dropped
        before.close()
    assert engine.done > 0


@pytest.mark.parametrize(
    ("error", "words"), [(5, "Input/output error"), (0, "ended while it was read")]
)
@pytest.mark.parametrize("size", [30, 900])
def test_a_range_that_fails_is_an_error_with_file_and_offset_and_no_rows(
    tables: dict[tuple[str, str, int], TableFiles], error: int, words: str, size: int
) -> None:
    table = tables["paged", "f8_e4m3", 256]
    rng = np.random.default_rng(size)
    with opened(table, 500_000) as store:
        before = store.read.chosen.engine
        engine = faulty(store, fails=7, error=error)
        ids = rng.integers(0, ROWS[1], size)
        with pytest.raises(StorageError, match=words) as told:
            store.gather(1, ids)
        assert "offset" in told.value.facts
        del told  # it holds the ticket's frames
        gc.collect()
        engine.fails = -1
        for _ in range(3):  # what failed once is read anew, and holds no memory
            assert torch.equal(store.gather(1, ids), expected(table, 1, ids))
        assert slab_is_free(store)
        before.close()


@pytest.mark.parametrize("change", ["cut", "overwritten", "replaced"])
def test_files_changed_under_a_store_are_errors(
    tmp_path: Path, change: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(open_files, "LOOK_AGAIN_NS", 0)
    write(make_plan(form="paged", row_dim=256, rows=ROWS), tmp_path / "t")
    table = open_table(tmp_path / "t")
    path = table.regions(1)[0].path
    with opened(table, 1 << 20) as store:
        store.gather(1, np.arange(9))
        if change == "cut":
            os.truncate(path, 3 * PAGE)
        elif change == "overwritten":
            os.utime(path, (1, 1))
        else:
            path.with_suffix(".new").write_bytes(path.read_bytes())
            path.with_suffix(".new").rename(path)
        with pytest.raises(StorageError, match="while it was open"):
            store.gather(1, np.arange(9))


def test_a_file_cut_between_two_looks_is_an_error_too(tmp_path: Path) -> None:
    write(make_plan(form="paged", row_dim=256, rows=ROWS), tmp_path / "t")
    table = open_table(tmp_path / "t")
    path = table.regions(1)[0].path
    with opened(table, 1 << 20) as store:
        os.truncate(path, 3 * PAGE)
        with pytest.raises(StorageError, match=r"ended while it was read|was changed"):
            store.gather(1, np.arange(1000, 1100))


def test_a_budget_too_small_for_two_rows_is_refused(
    tables: dict[tuple[str, str, int], TableFiles],
) -> None:
    with pytest.raises(StorageError, match="too small to read rows in") as told:
        open_store(tables["planar", "int8", 8192], "ssd", 3 * PAGE)
    needed = int(str(told.value.facts["needed"]).split()[0].replace(",", ""))
    with opened(tables["planar", "int8", 8192], needed) as store:
        ids = np.array([5, 2000, 5])
        assert torch.equal(store.gather(1, ids), expected(tables["planar", "int8", 8192], 1, ids))
