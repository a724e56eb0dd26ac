"""The host tier for a GPU: rows of both ways, which way is taken, and that nothing stays pinned.

Its operations run on the CPU, its registrations and devices are those of a fake machine.
"""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from engramctl.storage.pinned import crossover, staging
from engramctl.storage.pinned.crossover import Crossover, Times
from engramctl.storage.reading.source import RecordReader, read_values
from engramctl.storage.reading.table import open_table
from engramctl.storage.record.dtypes import DTYPES
from engramctl.storage.requests.output import STORED
from engramctl.storage.tiers import gpu, pinned_host
from engramctl.storage.tiers.pinned_host import PinnedHostStore
from engramctl.storage.writing.seeded_values import RowInit
from tests.storage.tables import make_plan, write

ROWS, ROW_DIM = 300, 64
POISON = -3.0e38
CPU = torch.device("cpu")
COPIED, IN_PLACE = 0, None  # from how many rows on they are copied
TIMES = (Times(48, 1, 2),)


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("pinned")
    init = RowInit(seed=3)
    for number, dtype in enumerate(DTYPES):
        form = ("paged", "packed", "planar")[number % 3]
        plan = make_plan(dtype=dtype, row_dim=ROW_DIM, form=form, rows={1: ROWS, 2: 77})
        for layer in (1, 2):
            plan.table_scales[layer] = init.table_scale(plan.layout.record)  # type: ignore[index]
        write(plan, root / dtype, init=init)
    return {dtype: root / dtype for dtype in DTYPES}


@pytest.fixture(autouse=True)
def _measured_shortly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(crossover, "REPEATS", 1)


@pytest.fixture
def folder(folders: dict[str, Path]) -> Path:
    return folders["f8_e4m3"]


def opened(path: Path, copied_from: int | None, dtype: torch.dtype = torch.float32) -> Any:
    """The tier on the CPU, one of the two ways taken."""
    store = PinnedHostStore(open_table(path), dtype, CPU)
    store.crossover = Crossover(copied_from, TIMES, "it was said")
    return store


def poisoned(shape: tuple[int, ...], dtype: torch.dtype = torch.float32) -> torch.Tensor:
    return torch.full(shape, 0xA5 if dtype is STORED else POISON, dtype=dtype)


@pytest.mark.parametrize("copied_from", [COPIED, IN_PLACE, 40])
@pytest.mark.parametrize("out_dtype", [torch.float32, torch.bfloat16, STORED])
@pytest.mark.parametrize("dtype", DTYPES)
def test_both_ways_give_the_plain_rows(
    folders: dict[str, Path],
    dtype: str,
    out_dtype: torch.dtype,
    copied_from: int | None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(staging, "BUFFER_BYTES", 16 << 10)  # several buffers a request
    random = np.random.default_rng(0)
    with opened(folders[dtype], copied_from, out_dtype) as store:
        for layer in (1, 2):
            rows = store.num_rows(layer)
            for count in (0, 1, 39, 40, 41, 700):
                ids = random.integers(0, rows, count)
                ids[:2] = (0, rows - 1)[:count]
                out = poisoned((count, store.width), out_dtype)
                assert store.gather(layer, ids, out) is out
                assert torch.equal(out, right(store, layer, ids))
            ids = random.integers(0, rows, (4, 5, 6)).astype(np.int32)
            ticket = store.prefetch({layer: ids})
            assert ticket.wait(layer).shape == (4, 5, 6, store.width)


def right(store: PinnedHostStore, layer: int, ids: np.ndarray) -> torch.Tensor:
    """What the plain reader gives."""
    if store.dtype is not STORED:
        return torch.from_numpy(read_values(store.table, layer, ids)).to(store.dtype)
    records = np.empty((len(ids), store.table.record.record_bytes), np.uint8)
    with RecordReader(store.table) as reader:
        for place, row in enumerate(ids.tolist()):
            reader.read(layer, row, records[place : place + 1])
    return torch.from_numpy(records)


@pytest.mark.parametrize(("copied_from", "copies"), [(COPIED, 3), (IN_PLACE, 0), (40, 2)])
def test_the_way_is_taken_by_the_number_of_rows(
    folder: Path, monkeypatch: pytest.MonkeyPatch, copied_from: int | None, copies: int
) -> None:
    asked: list[int] = []
    gather_records = pinned_host.gather_records

    def noted(ids: Any, *words: Any) -> None:
        asked.append(len(ids))
        gather_records(ids, *words)

    with opened(folder, copied_from) as store:
        monkeypatch.setattr(pinned_host, "gather_records", noted)
        for count in (39, 40, 41):
            store.gather(1, np.zeros(count, np.int64))
    assert asked == [39, 40, 41][3 - copies :]


@pytest.mark.parametrize("copied_from", [COPIED, IN_PLACE])
def test_a_bad_id_on_the_cpu_is_refused_before_a_row_is_read(
    folder: Path, copied_from: int | None
) -> None:
    with opened(folder, copied_from) as store:
        for wrong in (-1, ROWS, 1 << 40):
            out = poisoned((3, ROW_DIM))
            with pytest.raises(ValueError, match=rf"row id {wrong} at position \(1,\)"):
                store.gather(1, np.array([0, wrong, 5]), out)
            assert bool((out == POISON).all())


def test_ids_on_the_device_stay_there_however_many(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gpu, "on_a_device", lambda ids: isinstance(ids, torch.Tensor))
    monkeypatch.setattr(pinned_host, "on_a_device", lambda ids: isinstance(ids, torch.Tensor))
    with opened(folder, COPIED) as store:
        monkeypatch.setattr(pinned_host, "gather_records", None)
        ids = torch.arange(ROWS).flip(0)
        rows = store.gather(1, ids)
        assert torch.equal(rows, right(store, 1, ids.numpy()))
        assert bool(store.gather(1, torch.tensor([ROWS, 0]))[0].isnan().all())
        with pytest.raises(ValueError, match="row id at position 0 of a request"):
            store.check_ids()


def test_eight_threads_get_their_rows_by_either_way(folder: Path) -> None:
    def one(store: PinnedHostStore, seed: int) -> bool:
        random = np.random.default_rng(seed)
        ids = random.integers(0, ROWS, int(random.integers(1, 200)))
        out = poisoned((len(ids), ROW_DIM))
        store.gather(1, ids, out)
        return torch.equal(out, right(store, 1, ids))

    with opened(folder, 60) as store, ThreadPoolExecutor(8) as pool:
        assert all(pool.map(lambda seed: one(store, seed), range(64)))


def test_what_was_measured_is_told(folder: Path) -> None:
    with PinnedHostStore(open_table(folder), torch.float32, CPU) as store:
        facts, times = store.facts, store.crossover.times
        assert facts["staged_from_rows"] == store.crossover.rows
        assert [one["rows"] for one in facts["crossover"]] == [one.rows for one in times]
        assert store.crossover.why in store.engine_chosen_because
        assert (store.tier, store.engine, store.mode) == ("host", "torch", "memory")
        resident, pages = store.resident(1, np.arange(3))
        assert resident == pages > 0
