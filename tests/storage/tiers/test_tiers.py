"""Every tier returns the rows the plain reader returns, and refuses what it must."""

import gc
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from engramctl.errors import ConfigError, FormatError, StorageError, TierUnavailable
from engramctl.storage import Store, open_store
from engramctl.storage.readers import open_files
from engramctl.storage.reading.table import TableFiles, open_table
from engramctl.storage.requests.usage import MAX_OPEN_TICKETS
from engramctl.storage.tiers.gpu import GpuStore
from engramctl.storage.tiers.ssd import SsdStore
from tests.helpers.small_table import small_table

POISON = 777.0


TIERS = ("host", "ssd", "ssd direct", "gpu")


def gpu_store_on_cpu(
    path: Path, tier: str, dtype: torch.dtype = torch.bfloat16, budget_bytes: int | None = None
) -> Store:
    """The gpu tier's torch operations, run on the CPU."""
    return GpuStore(open_table(path), dtype, torch.device("cpu"), budget_bytes)


def open_on_cpu(path: Path, tier: str, dtype: torch.dtype = torch.bfloat16) -> Store:
    """Any tier, without a GPU."""
    if tier == "ssd direct":
        return open_store(path, "ssd", dtype=dtype, budget_bytes=1 << 20)
    opened = gpu_store_on_cpu if tier == "gpu" else open_store
    return opened(path, tier, dtype=dtype)


@pytest.fixture(scope="module")
def tables(tmp_path_factory: pytest.TempPathFactory) -> dict[tuple[str, str | None], TableFiles]:
    """One small table a dtype and layout, in several shards, the last page partial."""
    root = tmp_path_factory.mktemp("tables")
    shapes = {"f8_e4m3": 96, "bf16": 33, "f32": 7}
    return {
        (dtype, tier): small_table(
            root / f"{dtype}-{tier}", dtype=dtype, row_dim=row_dim, tier=tier, shard_rows=256
        )
        for dtype, row_dim in shapes.items()
        for tier in (None, "host", "ssd")
    }


def expected(table: TableFiles, layer: int, row_ids: Any, dtype: torch.dtype) -> torch.Tensor:
    """What the plain reader and the plain decoder give."""
    ids = np.asarray(row_ids)
    values = table.read_values(layer, ids.ravel())
    return torch.from_numpy(values).to(dtype).reshape(*ids.shape, table.record.row_dim)


@pytest.mark.parametrize("tier", TIERS)
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32])
@pytest.mark.parametrize("layout", [None, "host", "ssd"])
@pytest.mark.parametrize("record", ["f8_e4m3", "bf16", "f32"])
def test_a_gather_returns_exactly_the_rows_asked_for(
    tables: dict[tuple[str, str | None], TableFiles],
    record: str,
    layout: str | None,
    dtype: torch.dtype,
    tier: str,
) -> None:
    table = tables[record, layout]
    with open_on_cpu(table.path, tier, dtype) as store:
        for layer in store.layers:
            last = store.num_rows(layer) - 1
            some = np.random.default_rng(layer).integers(0, last + 1, (5, 24))
            some[0, :6] = [0, last, 0, 255, 256, last]  # both ends, twice, and across shards
            out = torch.full((*some.shape, store.row_dim), POISON, dtype=dtype)
            assert store.gather(layer, some, out) is out
            assert torch.equal(out, expected(table, layer, some, dtype))
            ids = torch.from_numpy(some.astype(np.int32))
            assert torch.equal(store.gather(layer, ids), out)


@given(data=st.data())
@settings(max_examples=30, deadline=None)
def test_any_rows_in_any_order_come_back(
    tables: dict[tuple[str, str | None], TableFiles], data: st.DataObject
) -> None:
    table = tables[data.draw(st.sampled_from(sorted(tables, key=str)))]
    layer = data.draw(st.sampled_from(table.layers))
    rows = st.integers(0, table.num_rows(layer) - 1)
    ids = np.array(data.draw(st.lists(rows, min_size=1, max_size=60)))
    with open_on_cpu(table.path, data.draw(st.sampled_from(TIERS))) as store:
        out = torch.full((len(ids), store.row_dim), POISON, dtype=store.dtype)
        assert torch.equal(store.gather(layer, ids, out), expected(table, layer, ids, store.dtype))


@pytest.mark.parametrize("tier", TIERS)
def test_one_prefetch_serves_all_layers_in_any_order(
    tables: dict[tuple[str, str | None], TableFiles], tier: str
) -> None:
    table = tables["f8_e4m3", "ssd"]
    with open_on_cpu(table.path, tier) as store:
        ids = {layer: np.arange(40).reshape(5, 8) + layer for layer in store.layers}
        ticket = store.prefetch(ids)
        for layer in ids:
            ids[layer] += 1  # the ticket holds a copy
        for layer in reversed(store.layers):
            rows = ticket.wait(layer)
            assert torch.equal(rows, expected(table, layer, ids[layer] - 1, store.dtype))
            with pytest.raises(ValueError, match="waited for already"):
                ticket.wait(layer)


@pytest.mark.parametrize("tier", TIERS)
@pytest.mark.parametrize("bad", [-1, 10**9])
def test_an_id_outside_the_table_is_named_before_any_read(
    tables: dict[tuple[str, str | None], TableFiles], tier: str, bad: int
) -> None:
    table = tables["f8_e4m3", "ssd"]
    ids = np.zeros((3, 4), np.int64)
    ids[1, 2] = bad
    with open_on_cpu(table.path, tier) as store:
        with pytest.raises(ValueError, match=rf"row id {bad} at position \(1, 2\) is outside"):
            store.gather(table.layers[0], ids)
        assert store.stats().rows_asked == 0
        with pytest.raises(ValueError, match="layer 5 has no table"):
            store.gather(5, ids)
        with pytest.raises(ValueError, match="int32 or int64"):
            store.gather(table.layers[0], ids.astype(np.float32))


@pytest.mark.parametrize("tier", TIERS)
def test_an_output_that_does_not_fit_is_refused_and_the_ticket_lives(
    tables: dict[tuple[str, str | None], TableFiles], tier: str
) -> None:
    table = tables["f8_e4m3", None]
    layer = table.layers[0]
    with open_on_cpu(table.path, tier) as store:
        ticket = store.prefetch({layer: np.arange(6)})
        for wrong in (
            torch.empty(6, store.row_dim, dtype=torch.float64),
            torch.empty(5, store.row_dim, dtype=store.dtype),
            torch.empty(store.row_dim, 6, dtype=store.dtype).T,
        ):
            with pytest.raises(ValueError, match="out must be"):
                ticket.wait(layer, wrong)
        assert torch.equal(ticket.wait(layer), expected(table, layer, np.arange(6), store.dtype))


@pytest.mark.parametrize("tier", TIERS)
def test_an_output_of_one_value_a_row_may_have_any_strides(tmp_path: Path, tier: str) -> None:
    """The strides of an axis of one are free; such a tensor is contiguous all the same."""
    table = small_table(tmp_path / "t", dtype="bf16", row_dim=1)
    layer = table.layers[0]
    out = torch.full((1, 9), POISON, dtype=torch.bfloat16).T
    assert out.is_contiguous()
    with open_on_cpu(table.path, tier) as store:
        assert store.gather(layer, np.arange(9), out) is out
        assert torch.equal(out, expected(table, layer, np.arange(9), torch.bfloat16))


def test_tickets_are_bounded_and_dropping_one_frees_its_place(
    tables: dict[tuple[str, str | None], TableFiles],
) -> None:
    table = tables["f8_e4m3", "ssd"]
    layer = table.layers[0]
    with open_store(table.path, "ssd") as store, ThreadPoolExecutor(1) as pool:
        tickets = [store.prefetch({layer: np.arange(3)}) for _ in range(MAX_OPEN_TICKETS)]
        one_more = pool.submit(store.prefetch, {layer: np.arange(3)})
        assert not one_more.done()
        tickets.pop()
        gc.collect()
        one_more.result(timeout=30).wait(layer)
        tickets[0].wait(layer)
        del tickets


def test_several_threads_share_a_store(
    tables: dict[tuple[str, str | None], TableFiles],
) -> None:
    table = tables["bf16", "ssd"]
    layer = table.layers[0]

    def one(seed: int) -> bool:
        ids = np.random.default_rng(seed).integers(0, table.num_rows(layer), (20, 4))
        return torch.equal(store.gather(layer, ids), expected(table, layer, ids, store.dtype))

    with open_store(table.path, "ssd") as store, ThreadPoolExecutor(4) as pool:
        assert all(pool.map(one, range(40)))
        assert store.stats().rows_asked == 40 * 80


def test_large_gathers_are_split_over_threads_without_a_seam(tmp_path: Path) -> None:
    table = small_table(tmp_path / "t", slots=3000, tier="ssd")
    layer = table.layers[0]
    ids = np.random.default_rng(0).integers(0, table.num_rows(layer), 20_001)
    for tier in ("host", "ssd"):
        with open_store(table.path, tier) as store:
            out = torch.full((len(ids), store.row_dim), POISON, dtype=store.dtype)
            store.gather(layer, ids, out)
            assert torch.equal(out, expected(table, layer, ids, store.dtype))


def test_stats_count_distinct_rows_and_pages_once(tmp_path: Path) -> None:
    table = small_table(tmp_path / "t", tier="ssd")
    layer = table.layers[0]
    ids = np.array([[0, 0, 1], [1, 0, 2]])
    with open_store(table.path, "ssd") as store:
        for _ in range(2):
            store.gather(layer, ids)
        stats = store.stats()
        assert (stats.rows_asked, stats.rows_unique) == (12, 6)
        assert stats.rows_by_tier == {"ssd": 6}
        assert stats.device_reads == 1  # rows 0..2 share a page, and the second gather knew it
        assert stats.device_bytes == 4096
        assert stats.stall_ns > 0


def test_dropped_pages_are_cold_and_gathered_ones_resident(tmp_path: Path) -> None:
    table = small_table(tmp_path / "t", slots=3000, tier="ssd")
    layer = table.layers[0]
    ids = np.random.default_rng(0).integers(0, table.num_rows(layer), 100)
    with open_store(table.path, "ssd") as store:
        assert isinstance(store, SsdStore)
        store.drop()
        before = store.resident(layer, ids)
        assert before is not None
        if before[0]:
            pytest.skip("this file system does not let go of clean pages")
        store.gather(layer, ids)
        assert store.resident(layer, ids) == (before[1], before[1])
        out = torch.full((len(ids), store.row_dim), POISON, dtype=store.dtype)
        store.drop()
        assert torch.equal(store.gather(layer, ids, out), expected(table, layer, ids, store.dtype))


@pytest.mark.parametrize("tier", ["host", "gpu"])
def test_a_table_larger_than_its_budget_is_refused(tmp_path: Path, tier: str) -> None:
    table = small_table(tmp_path / "t")
    opened = open_store if tier == "host" else gpu_store_on_cpu
    with pytest.raises(StorageError, match="does not fit"):
        opened(table.path, tier, budget_bytes=1000)


@pytest.mark.parametrize("change", ["truncate", "rewrite"])
def test_a_file_changed_while_open_is_an_error_not_a_signal(
    tmp_path: Path, change: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(open_files, "LOOK_AGAIN_NS", 0)
    table = small_table(tmp_path / "t", tier="ssd")
    layer = table.layers[0]
    file = table.regions(layer)[0].path
    with open_store(table.path, "ssd") as store:
        store.gather(layer, np.arange(5))
        if change == "truncate":
            os.truncate(file, 4096)
        else:
            data = file.read_bytes()
            os.utime(file, (1, 1))
            file.write_bytes(data)
        with pytest.raises(StorageError, match="was changed while it was open"):
            store.gather(layer, np.arange(5))


def test_a_closed_store_refuses_every_call(tmp_path: Path) -> None:
    table = small_table(tmp_path / "t", tier="ssd")
    layer = table.layers[0]
    store = open_store(table.path, "ssd")
    ticket = store.prefetch({layer: np.arange(5)})
    store.close()
    store.close()
    with pytest.raises(StorageError, match="closed"):
        ticket.wait(layer)
    with pytest.raises(StorageError, match="closed"):
        store.gather(layer, np.arange(5))


def test_what_is_not_a_table_or_a_tier_is_refused(tmp_path: Path) -> None:
    table = small_table(tmp_path / "t")
    with pytest.raises(ConfigError, match="unknown tier 'tape'"):
        open_store(table.path, "tape")
    with pytest.raises(ConfigError, match="cannot be read as"):
        open_store(table.path, "host", dtype=torch.float16)
    with pytest.raises(FormatError):
        open_store(tmp_path, "host")


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has the gpu tier")
def test_a_missing_gpu_is_named(tmp_path: Path) -> None:
    with pytest.raises(TierUnavailable, match="no gpu tier here"):
        open_store(small_table(tmp_path / "t").path, "gpu")
