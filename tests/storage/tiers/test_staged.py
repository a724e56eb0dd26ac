"""Rows staged on a device, which here is the CPU: the rows and the tiers of a plain model."""

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from engramctl.caches.reference import S3FifoReference
from engramctl.errors import ConfigError, StorageError
from engramctl.storage.reading.table import TableFiles, open_table
from engramctl.storage.record.dtypes import DTYPES
from engramctl.storage.tiers.staged import StagedStore
from engramctl.storage.tiers.tier_list import read_tiers
from engramctl.storage.writing.seeded_values import RowInit
from tests.storage.tables import make_plan, write

ROWS = {1: 3000, 4: 900}
DIM = 64
GPU, HOST = 10 << 10, 20 << 10
POISON = 777.0
MIXTURES = (
    "ssd", "host", f"host:{HOST},ssd", f"gpu:{GPU},ssd", f"gpu:{GPU},host",
    f"gpu:{GPU},host:{HOST},ssd",
)  # fmt: skip
Asked = dict[int, np.ndarray]


@pytest.fixture(scope="module")
def tables(tmp_path_factory: pytest.TempPathFactory) -> dict[str, TableFiles]:
    """A table of each dtype."""
    root = tmp_path_factory.mktemp("dtypes")
    init = RowInit(seed=3)
    found = {}
    for dtype in DTYPES:
        rows = ROWS if dtype == "f8_e4m3" else {1: 300}
        plan = make_plan(dtype=dtype, row_dim=DIM, form="paged", rows=rows)
        for layer in rows:
            plan.table_scales[layer] = init.table_scale(plan.layout.record)  # type: ignore[index]
        write(plan, root / dtype, init=init)
        found[dtype] = open_table(root / dtype)
    return found


def opened(table: TableFiles, name: str, dtype: torch.dtype = torch.float32) -> StagedStore:
    """Open a mixture with the CPU as its device."""
    tiers = read_tiers(name)
    host = tiers.cache_bytes("host")
    budget = host + (1 << 20) if tiers.whole == "ssd" else None
    return StagedStore(table, dtype, torch.device("cpu"), budget, "auto", None, host, None, tiers)


def values(table: TableFiles, layer: int, ids: Any, dtype: torch.dtype) -> torch.Tensor:
    flat = np.asarray(ids).ravel()
    return torch.from_numpy(table.read_values(layer, flat)).to(dtype).view(*np.shape(ids), DIM)


@pytest.mark.parametrize(
    ("dtype", "name"),
    [("f8_e4m3", name) for name in MIXTURES] + [(dtype, MIXTURES[-1]) for dtype in DTYPES],
)
def test_every_mixture_gives_the_rows_of_the_plain_reader(
    tables: dict[str, TableFiles], dtype: str, name: str
) -> None:
    table, random = tables[dtype], np.random.default_rng(0)
    for out_dtype in (torch.bfloat16, torch.float32):
        with opened(table, name, out_dtype) as store:
            assert store.tier == read_tiers(name).name
            for shape in ((0, 4), (7, 3), (3, 50, 8)):
                ids = random.integers(0, 300, shape)
                ids.flat[:2] = 0, 299
                for _ in range(2):
                    out = torch.full((*shape, DIM), POISON, dtype=out_dtype)
                    assert store.gather(1, ids, out) is out
                    assert torch.equal(out, values(table, 1, ids, out_dtype))
                    ticket = store.prefetch({1: ids.astype(np.int32)})
                    assert torch.equal(ticket.wait(1, out.fill_(POISON)), store.gather(1, ids))
                    assert torch.equal(out, values(table, 1, ids, out_dtype))


class Level:
    """A tier that keeps rows, in a plain model."""

    def __init__(self, name: str, capacity: int) -> None:
        self.name, self.cache, self.served = name, S3FifoReference(capacity), 0

    def part(self, keys: dict[int, list[int]]) -> dict[int, list[int]]:
        """Serve what is here; returns the rest."""
        rest = {}
        for layer, some in keys.items():
            rest[layer] = [key for key in some if key not in self.cache.hits]
            self.served += len(set(some)) - len(set(rest[layer]))
            for key in some:
                if key in self.cache.hits:
                    self.cache.access(key)
        return {layer: some for layer, some in rest.items() if some}


def requests(data: st.DataObject) -> Asked:
    asked = {}
    for layer in data.draw(st.sampled_from([(1,), (4,), (1, 4)])):
        last = ROWS[layer] - 1
        row = st.integers(0, 40) | st.sampled_from([0, last]) | st.integers(0, last)
        asked[layer] = np.array(data.draw(st.lists(row, min_size=1, max_size=80)))
    return asked


@settings(max_examples=25, deadline=None)
@given(data=st.data())
def test_three_tiers_serve_what_dictionaries_of_them_say(
    tables: dict[str, TableFiles], data: st.DataObject
) -> None:
    """A row goes up a tier when it is asked for and was not there; bounds hold all the time."""
    table = tables["f8_e4m3"]
    with opened(table, f"gpu:{GPU},host:{HOST},ssd") as store:
        assert store.cache is not None
        host = store.below.read.cache  # type: ignore[union-attr]
        levels = [Level("gpu", store.cache.capacity), Level("host", host.capacity)]  # type: ignore[union-attr]
        read = 0
        for _ in range(data.draw(st.integers(1, 20))):
            asked = requests(data)
            ticket = store.prefetch(asked)
            out = {layer: torch.full((len(ids), DIM), POISON) for layer, ids in asked.items()}
            for layer in asked:
                ticket.wait(layer, out[layer])
            store.settle()
            for layer, ids in asked.items():
                assert torch.equal(out[layer], values(table, layer, ids, torch.float32))
            keys = {k: [int(row) + k * 10**6 for row in ids] for k, ids in asked.items()}
            to_host = levels[0].part(keys)
            to_ssd = levels[1].part(to_host)
            read += sum(len(set(some)) for some in to_ssd.values())
            for level, came in zip(levels, (to_host, to_ssd), strict=True):
                for some in came.values():
                    for key in some:
                        level.cache.access(key)
            served = {level.name: level.served for level in levels} | {"ssd": read}
            assert store.stats().rows_by_tier == served
            assert store.cache.rows == len(levels[0].cache.hits)
            assert store.cache.num_bytes <= GPU
            assert store.stats().cache_bytes <= HOST


def test_eight_threads_get_their_own_rows(tables: dict[str, TableFiles]) -> None:
    table, random = tables["f8_e4m3"], np.random.default_rng(0)
    asked = [
        {layer: random.zipf(1.2, random.integers(1, 300)) % rows for layer, rows in ROWS.items()}
        for _ in range(160)
    ]

    def one(rows: Asked) -> bool:
        ticket = store.prefetch(rows)
        found = {k: torch.full((len(ids), DIM), POISON) for k, ids in rows.items()}
        return all(
            torch.equal(ticket.wait(k, found[k]), values(table, k, ids, torch.float32))
            for k, ids in rows.items()
        )

    with opened(table, f"gpu:{GPU},host:{HOST},ssd") as store, ThreadPoolExecutor(8) as pool:
        assert all(pool.map(one, asked))
        stats = store.stats()
        assert sum(stats.rows_by_tier.values()) == stats.rows_unique
        assert min(stats.rows_by_tier.values()) > 0


def test_the_most_wanted_rows_are_brought_to_the_fastest_tier(
    tables: dict[str, TableFiles],
) -> None:
    with opened(tables["f8_e4m3"], f"gpu:{GPU},host:{HOST},ssd") as store:
        assert store.cache is not None
        fast = store.cache.capacity
        kept = store.below.read.cache.capacity  # type: ignore[union-attr]
        ids = np.random.default_rng(0).permutation(ROWS[1])
        store.warm({1: ids})
        assert store.stats().rows_by_tier == {}
        store.gather(1, ids[:fast])
        assert store.stats().rows_by_tier == {"gpu": fast, "host": 0, "ssd": 0}
        store.gather(1, ids[fast : fast + kept])
        assert store.stats().rows_by_tier == {"gpu": fast, "host": kept, "ssd": 0}
        store.drop()
        store.gather(1, ids[:5])
        assert store.stats().rows_by_tier == {"gpu": fast, "host": kept, "ssd": 5}


def test_rows_that_never_came_are_no_rows_and_the_reason_is_told(
    tables: dict[str, TableFiles], monkeypatch: pytest.MonkeyPatch
) -> None:
    with opened(tables["f8_e4m3"], f"gpu:{GPU},ssd") as store:
        wanted = StorageError("the disk fails")

        def fail(*_: Any) -> None:
            raise wanted

        ids = np.arange(20)
        monkeypatch.setattr(store.below, "collect", fail)
        ticket = store.prefetch({1: ids})
        with pytest.raises(StorageError, match="the disk fails"):
            ticket.wait(1)
        monkeypatch.undo()
        out = store.gather(1, ids)
        assert torch.equal(out, values(tables["f8_e4m3"], 1, ids, torch.float32))
        assert store.stats().rows_by_tier["gpu"] == 0, "rows that failed were kept"


def test_closing_waits_for_what_is_read_and_ends_the_thread(tables: dict[str, TableFiles]) -> None:
    before = {thread.name for thread in threading.enumerate()}
    store = opened(tables["f8_e4m3"], f"gpu:{GPU},ssd")
    tickets = [store.prefetch({1: np.arange(k, k + 50)}) for k in range(20)]
    store.close()
    store.close()
    assert {thread.name for thread in threading.enumerate()} <= before
    with pytest.raises(StorageError, match="closed"):
        tickets[0].wait(1)
    with pytest.raises(StorageError, match="closed"):
        store.gather(1, np.arange(3))


def test_stored_rows_are_not_staged(tables: dict[str, TableFiles]) -> None:
    with pytest.raises(ConfigError, match="dequantised"):
        opened(tables["bf16"], "ssd", torch.uint8)


def test_positions_of_kept_rows_are_there_for_whatever_stream_waits(
    tables: dict[str, TableFiles], monkeypatch: pytest.MonkeyPatch
) -> None:
    with opened(tables["f8_e4m3"], f"gpu:{GPU},ssd") as store:
        assert store.cache is not None
        store.gather(1, np.arange(8))
        queued, made, led = [False], list[bool](), list[torch.Tensor]()

        class Queue:
            def __enter__(self) -> None:
                queued[0] = True

            def __exit__(self, *_: object) -> None:
                queued[0] = False

        from_numpy = torch.from_numpy

        def noted(numbers: Any) -> torch.Tensor:
            made.append(queued[0])
            return from_numpy(numbers)

        monkeypatch.setattr(store.cache.stream, "queue", Queue)
        monkeypatch.setattr(store.cache.stream, "lead", lambda *used: led.extend(used))
        with monkeypatch.context() as watched:
            watched.setattr(torch, "from_numpy", noted)
            assert store.cache.there(np.arange(3)).tolist() == [0, 1, 2]
        assert made == [True]
        store.prefetch({1: np.arange(4, 12)}).wait(1)
        assert [one.tolist() for one in led[1:]] == [[0, 1, 2, 3], [4, 5, 6, 7]]


def test_a_device_cache_without_room_for_a_row_is_refused(tables: dict[str, TableFiles]) -> None:
    for name in ("gpu:10,ssd", "gpu:10,host"):
        with pytest.raises(ConfigError, match="too small"):
            opened(tables["f8_e4m3"], name)


def test_an_error_of_the_device_leaves_no_thread_and_closes_what_is_below(
    tables: dict[str, TableFiles], monkeypatch: pytest.MonkeyPatch
) -> None:
    before = threading.active_count()
    store = opened(tables["f8_e4m3"], f"gpu:{GPU},ssd")
    store.prefetch({1: np.arange(50)}).wait(1)
    assert store.cache is not None

    def fail() -> None:
        raise RuntimeError("an illegal memory access")

    monkeypatch.setattr(store.cache.stream, "finish", fail)
    with pytest.raises(RuntimeError, match="illegal"):
        store.close()
    assert store.below.usage.over
    assert threading.active_count() <= before
