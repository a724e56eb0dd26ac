"""A mixture against a plain model of its cache: the same rows of the same tiers, within bounds."""

import os
import pickle
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from engramctl.caches.reference import S3FifoReference
from engramctl.errors import ConfigError, StorageError, TierUnavailable
from engramctl.storage import Store, open_store
from engramctl.storage.reading.table import TableFiles, open_table
from engramctl.storage.tiers.door import shared_budget
from engramctl.storage.tiers.ssd import SsdStore
from engramctl.storage.tiers.tier_list import read_tiers
from tests.storage.tables import make_plan, write

ROWS = {1: 3000, 4: 900}
DIM = 64
HOST = 20 << 10  # bytes: a few hundred rows
POISON = 777.0
Asked = dict[int, np.ndarray]


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> TableFiles:
    folder = tmp_path_factory.mktemp("table") / "t"
    write(make_plan(form="paged", dtype="f8_e4m3", row_dim=DIM, rows=ROWS), folder)
    return open_table(folder)


def opened(table: TableFiles, host: int = HOST) -> SsdStore:
    store = open_store(table.path, f"host:{host},ssd", dtype=torch.float32)
    assert isinstance(store, SsdStore)
    return store


class Model:
    """What a mixture should do: a dictionary of the rows that the host tier keeps."""

    def __init__(self, capacity: int) -> None:
        self.cache = S3FifoReference(capacity)
        self.served = {"host": 0, "ssd": 0}

    def ask(self, asked: Asked) -> None:
        """Take a request: what is here is served by host, the rest is read once and kept."""
        keys = {layer: [int(row) + layer * 10**6 for row in ids] for layer, ids in asked.items()}
        missed = {layer: [key for key in some if key not in self.cache.hits]
                  for layer, some in keys.items()}  # fmt: skip
        for layer, some in keys.items():
            for key in some:
                if key not in missed[layer]:
                    self.cache.access(key)
            self.served["ssd"] += len(set(missed[layer]))
            self.served["host"] += len(set(some)) - len(set(missed[layer]))
        for some in missed.values():
            for key in some:
                self.cache.access(key)


def rows_of(store: Store, layer: int, ids: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(open_table(store.table.path).read_values(layer, ids))


def requests(data: st.DataObject, most: int) -> Asked:
    """Rows of one layer or both, many of them again and again."""
    asked = {}
    for layer in data.draw(st.sampled_from([(1,), (4,), (1, 4)])):
        last = ROWS[layer] - 1
        row = st.integers(0, 40) | st.sampled_from([0, last]) | st.integers(0, last)
        asked[layer] = np.array(data.draw(st.lists(row, min_size=1, max_size=most)))
    return asked


@settings(max_examples=25, deadline=None)
@given(data=st.data())
def test_who_serves_what_is_as_in_a_dictionary(table: TableFiles, data: st.DataObject) -> None:
    with opened(table) as store:
        read = store.read
        model = Model(read.cache.capacity)  # type: ignore[union-attr]
        for _ in range(data.draw(st.integers(1, 25))):
            asked = requests(data, 120)
            model.ask(asked)
            if len(asked) == 1 and data.draw(st.booleans()):
                layer, ids = next(iter(asked.items()))
                out = {layer: torch.full((len(ids), DIM), POISON)}
                store.gather(layer, ids, out[layer])
            else:
                ticket = store.prefetch(asked)
                out = {layer: torch.full((len(ids), DIM), POISON) for layer, ids in asked.items()}
                for layer in asked:
                    ticket.wait(layer, out[layer])
            for layer, ids in asked.items():
                assert torch.equal(out[layer], rows_of(store, layer, ids))
            stats = store.stats()
            assert stats.rows_by_tier == model.served
            assert stats.rows_unique == sum(model.served.values())
            assert stats.cache_rows == len(model.cache.hits)
            assert stats.cache_bytes <= HOST


def test_rows_that_many_ask_for_at_once_are_the_tables(table: TableFiles) -> None:
    random = np.random.default_rng(0)
    asked = [
        {layer: random.zipf(1.2, random.integers(1, 700)) % rows for layer, rows in ROWS.items()}
        for _ in range(120)
    ]

    def one(rows: Asked) -> bool:
        ticket = store.prefetch(rows)
        found = {layer: torch.full((len(ids), DIM), POISON) for layer, ids in rows.items()}
        same = [torch.equal(ticket.wait(layer, found[layer]), rows_of(store, layer, ids))
                for layer, ids in rows.items()]  # fmt: skip
        return all(same) and store.stats().cache_bytes <= HOST

    with opened(table) as store, ThreadPoolExecutor(8) as pool:
        assert all(pool.map(one, asked))
        stats = store.stats()
        assert sum(stats.rows_by_tier.values()) == stats.rows_unique
        assert min(stats.rows_by_tier.values()) > 0


def test_rows_brought_before_anybody_asked_are_served_by_host(table: TableFiles) -> None:
    with opened(table) as store:
        capacity = store.read.cache.capacity  # type: ignore[union-attr]
        store.warm({1: np.arange(capacity)})
        assert store.stats().rows_by_tier == {}
        store.gather(1, np.arange(capacity))
        store.gather(1, np.arange(capacity, capacity + 5))
        assert store.stats().rows_by_tier == {"host": capacity, "ssd": 5}


def test_a_long_request_is_split_as_well(table: TableFiles) -> None:
    """One that finds no room and is read piece by piece, rows repeated."""
    ids = np.random.default_rng(1).integers(0, ROWS[1], 40_000)
    with open_store(table.path, f"host:{HOST},ssd", HOST + (1 << 20), torch.float32) as store:
        assert torch.equal(store.gather(1, ids), rows_of(store, 1, ids))
        served = store.stats().rows_by_tier
        assert sum(served.values()) == store.stats().rows_unique
        assert served["ssd"] >= ROWS[1]


@pytest.mark.parametrize("ask", ["gather", "prefetch"])
@pytest.mark.parametrize("kind", [np.int32, np.int64])
def test_what_was_never_in_the_cache_is_no_hit_of_it(
    table: TableFiles, ask: str, kind: type
) -> None:
    """However long the request is: neither budget has room for a copy of its ids."""
    random = np.random.default_rng(2)
    asked: list[np.ndarray] = [
        random.permutation(np.repeat(np.arange(first, first + 900), 6)).astype(kind)
        for first in (0, 900)
    ]
    whole = 3 << 19  # room for all rows
    with (
        open_store(table.path, f"host:{whole},ssd", whole + (8 << 20), torch.float32) as store,
        open_store(table.path, "ssd", 8 << 20, torch.float32, cache_bytes=0) as plain,
    ):
        for ids in asked:
            for one in (store, plain):
                out = one.gather(1, ids) if ask == "gather" else one.prefetch({1: ids}).wait(1)
                assert torch.equal(out, rows_of(store, 1, ids))
        assert store.stats().rows_by_tier == {"host": 0, "ssd": 1800}
        assert store.stats().rows_unique == plain.stats().rows_unique == 1800
        store.gather(1, asked[0])
        assert store.stats().rows_by_tier == {"host": 900, "ssd": 1800}


def test_a_mixture_says_its_name_and_is_opened_again_by_it(table: TableFiles) -> None:
    with opened(table, 64 << 10) as store:
        assert store.tier == "host:64KiB,ssd"
        assert store.mode == "direct"
        again = pickle.loads(pickle.dumps(store))
        with again:
            assert again.tier == store.tier
            assert again.stats().cache_bytes == store.stats().cache_bytes == 64 << 10


def test_one_tier_alone_serves_all_it_is_asked_for(table: TableFiles) -> None:
    with open_store(table.path, "ssd", cache_bytes=HOST) as store:
        for _ in range(2):
            store.gather(1, np.arange(10))
        assert store.stats().rows_by_tier == {"ssd": 20}


def test_mixtures_that_cannot_be_say_why(table: TableFiles) -> None:
    with pytest.raises(ConfigError, match="the row cache is too small"):
        open_store(table.path, "host:64,ssd")
    with pytest.raises(ConfigError, match="says how large its row cache is"):
        open_store(table.path, "host:1MiB,ssd", cache_bytes=1 << 20)
    with pytest.raises(ConfigError, match="no memory for rows on their way"):
        open_store(table.path, "host:1MiB,ssd", 1 << 20)
    with pytest.raises(StorageError, match="too small to read rows in"):
        open_store(table.path, "host:1MiB,ssd", (1 << 20) + 1)
    with pytest.raises(ConfigError, match="the fastest first"):
        open_store(table.path, "ssd:1MiB,host")


def test_a_mixture_with_a_tier_that_is_missing_says_which(
    table: TableFiles, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    for tier in ("gpu:1GiB,ssd", "gpu:1GiB,host:1GiB,ssd", "gpu:1GiB,host"):
        with pytest.raises(TierUnavailable, match="there is no gpu tier here"):
            open_store(table.path, tier)


def test_a_mixture_keeps_what_its_name_says_and_no_more() -> None:
    gpu, both = read_tiers("gpu:1MiB,ssd"), read_tiers("gpu:1MiB,host:2MiB,ssd")
    for cache_bytes in (None, 0):
        assert shared_budget(gpu, 1 << 30, cache_bytes, 500) == (1 << 30, 0)
    assert shared_budget(gpu, None, None, 500) == (None, 0)
    assert shared_budget(both, 1 << 30, None, 500) == (1 << 30, 2 << 20)
    with pytest.raises(ConfigError, match="has no row cache in host memory"):
        shared_budget(gpu, 1 << 30, 1 << 20, 500)


def test_a_budget_that_the_system_does_not_give_leaves_no_file_open(table: TableFiles) -> None:
    before = len(os.listdir("/proc/self/fd"))
    with pytest.raises(StorageError, match="gives no memory for rows from disk"):
        open_store(table.path, "ssd", 1 << 60, cache_bytes=0)
    assert len(os.listdir("/proc/self/fd")) == before
