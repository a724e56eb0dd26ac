"""What a store takes beside its slab is a few objects, whatever is asked of it."""

import tracemalloc
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch

from engramctl.errors import StorageError
from engramctl.storage import open_store
from engramctl.storage.direct.direct_rows import DirectRows
from engramctl.storage.io.pages import PAGE
from engramctl.storage.reading.table import TableFiles, open_table
from tests.flight.subjects import of_table
from tests.storage.tables import make_plan, write

ROWS = 60_000
BUDGET = 8 << 20
OBJECTS_BYTES = 64 << 10


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> TableFiles:
    folder = tmp_path_factory.mktemp("table") / "t"
    write(make_plan(row_dim=32, rows={1: ROWS}, shard_rows=25_000), folder)
    return open_table(folder)


@pytest.mark.parametrize("engine", ["io_uring", "pread"])
@pytest.mark.parametrize("size", [100, 3000, 120_000])
def test_no_array_stands_beside_the_slab(table: TableFiles, engine: str, size: int) -> None:
    ids = np.random.default_rng(0).integers(0, ROWS, size)
    out = torch.full((size, 32), 777.0)
    wanted = torch.from_numpy(table.read_values(1, ids[:50]))
    read = DirectRows(table, BUDGET, engine)
    read.compile(out[:0])
    read.finish(1, ids, read.start({1: ids}), out)  # whoever runs first makes caches
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    read.finish(1, ids, read.start({1: ids}), out)
    dropped = [read.start({1: ids}) for _ in range(20)]
    del dropped
    read.start({})
    grown = tracemalloc.get_traced_memory()[1] - before
    tracemalloc.stop()
    read.close()
    assert torch.equal(out[:50], wanted)
    engines_own = read.chosen.engine.memory_bytes(22)
    assert grown < OBJECTS_BYTES + engines_own


def test_ids_of_a_long_prefetch_take_no_memory_and_may_not_change(table: TableFiles) -> None:
    ids = np.random.default_rng(0).integers(0, ROWS, 500_000)
    out = torch.full((len(ids), 32), 777.0, dtype=torch.bfloat16)
    with open_store(table, "ssd", budget_bytes=BUDGET) as store:
        store.prefetch({1: ids})  # whoever runs first makes caches
        tracemalloc.start()
        before = tracemalloc.get_traced_memory()[0]
        tickets = [store.prefetch({1: ids}) for _ in range(30)]
        grown = tracemalloc.get_traced_memory()[1] - before
        tracemalloc.stop()
        assert grown < OBJECTS_BYTES
        tickets[0].wait(1, out)
        wanted = torch.from_numpy(table.read_values(1, ids[-50:])).to(torch.bfloat16)
        assert torch.equal(out[-50:], wanted)
        ids[7] ^= 1
        with pytest.raises(StorageError, match="ids of an open ticket were changed"):
            tickets[1].wait(1, out)
        few = ids[:200].copy()
        ticket = store.prefetch({1: few})
        few[:] = 0
        assert torch.equal(ticket.wait(1), store.gather(1, ids[:200]))


def test_more_rows_than_are_sorted_at_once_are_whole(table: TableFiles) -> None:
    read = DirectRows(table, 64 << 20)
    ids = np.random.default_rng(1).integers(0, 50, 400_000)
    out = torch.full((len(ids), 32), 777.0)
    read.finish(1, ids, read.start({}), out)
    assert torch.equal(out, torch.from_numpy(table.read_values(1, np.arange(50)))[ids])
    read.close()


@pytest.mark.parametrize("budget", [500_000, BUDGET, 64 << 20])
@pytest.mark.parametrize("engine", ["io_uring", "pread"])
def test_slab_and_engine_are_less_than_the_budget(
    table: TableFiles, engine: str, budget: int
) -> None:
    read = DirectRows(table, budget, engine)
    own = read.chosen.engine.memory_bytes(2)
    assert 0.5 * budget < read.slab.memory.nbytes + own < 0.98 * budget
    read.close()


def test_heads_dealt_to_files_find_room(tmp_path: Path) -> None:
    """Their rows ascend, but their files go up and down: no page may be left out of the count."""
    subject = of_table(tmp_path / "t", "f32", "planar", None, 3, 5003)
    files = [one.path for one in open_table(subject.path).regions(3)]
    assert any(one > other for one, other in pairwise(files))
    ids = np.arange(0, 5003, 10)  # a page each
    out = torch.full((len(ids), 96), 777.0)
    read = DirectRows(open_table(subject.path), 30 * PAGE + (400 << 10))
    assert read.pieces.half_pages < 50
    read.finish(3, ids, read.start({}), out)
    assert torch.equal(out, torch.from_numpy(subject.values[3][ids]))
    read.close()
