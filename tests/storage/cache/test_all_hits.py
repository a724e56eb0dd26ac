"""Many rows that the row cache has, served where they lie: right bytes, hits as S3-FIFO counts."""

import itertools
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from engramctl.caches.reference import S3FifoReference
from engramctl.storage import open_store
from engramctl.storage.cache.all_hits import AT_ONCE, gather_hits, has_all
from engramctl.storage.cache.gathering import TOGETHER
from engramctl.storage.cache.row_cache import RowCache
from engramctl.storage.direct.direct_rows import DirectRows
from engramctl.storage.io.gather_threads import set_gather_threads
from engramctl.storage.reading.table import TableFiles, open_table
from engramctl.storage.tiers.ssd import SsdStore
from tests.storage.tables import make_plan, write

ROWS, DIM, POISON = 5000, 64, 777.0


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> TableFiles:
    folder = tmp_path_factory.mktemp("table") / "t"
    write(make_plan(form="packed", dtype="f8_e4m3", row_dim=DIM, rows={3: ROWS}), folder)
    return open_table(folder)


@pytest.fixture(autouse=True)
def two_threads() -> Iterator[None]:
    set_gather_threads(2)
    yield
    set_gather_threads(None)


def opened(table: TableFiles, cache_bytes: int) -> tuple[SsdStore, RowCache]:
    store = open_store(table, "ssd", dtype=torch.float32, cache_bytes=cache_bytes)
    assert isinstance(store, SsdStore)
    assert isinstance(store.read, DirectRows)
    assert store.read.cache is not None
    return store, store.read.cache


@given(
    st.sets(st.integers(0, ROWS - 1), max_size=6),
    st.sampled_from([1, 63, 64, 65, TOGETHER, TOGETHER + 1, AT_ONCE, AT_ONCE + 1, 9999]),
    st.sampled_from([np.int32, np.int64]),
    st.integers(0, 99),
)
@settings(deadline=None, max_examples=40)
def test_rows_are_written_up_to_about_the_first_that_is_not_here(
    table: TableFiles, missing: set[int], size: int, kind: type, seed: int
) -> None:
    values = table.read_values(3, np.arange(ROWS))
    store, cache = opened(table, 4 << 20)
    with store:
        store.gather(3, np.arange(ROWS))
        store.drop({3: np.array(sorted(missing), np.int64)})
        ids: NDArray[Any] = np.random.default_rng(seed).integers(0, ROWS, size).astype(kind)
        misses = np.isin(ids, list(missing))
        assert has_all(cache, {3: ids}) == (not misses.any())
        out, before = torch.full((size, DIM), POISON), cache.hits
        assert isinstance(store.read, DirectRows)
        left = gather_hits(cache, store.read.maps[3], ids, out)
        unwritten = np.zeros(size, bool)
        for start, stop in left:
            unwritten[start:stop] = True
        assert not (misses & ~unwritten).any()
        assert (out.numpy()[unwritten] == POISON).all()
        assert np.array_equal(out.numpy()[~unwritten], values[ids[~unwritten]])
        assert cache.hits - before == size - unwritten.sum()
        for (_, stop), (start, _) in itertools.pairwise(left):
            assert stop < start
        if not misses.any():
            assert not left
        assert torch.equal(store.gather(3, ids), torch.from_numpy(values[ids]))
        assert store.stats().cache_hits + store.stats().cache_misses == store.stats().rows_asked + (
            size - unwritten.sum()
        )


def test_a_long_request_counts_its_hits_as_plain_s3fifo_does(table: TableFiles) -> None:
    """Each id of a request that is all here is one hit, no more: evictions afterwards show it."""
    set_gather_threads(1)
    store, cache = opened(table, 80_000)
    plain = S3FifoReference(cache.capacity)
    rng = np.random.default_rng(5)
    with store:
        for _ in range(25):
            new = rng.integers(0, ROWS, 40)
            for one in new:
                store.gather(3, np.array([one]))
                plain.access(int(one))
            held = np.array(sorted(plain.hits))
            for ask, size in ((store.gather, 700), (None, 700), (store.gather, 4200), (None, 4200)):
                ids = rng.choice(held, size)
                if ask is not None:
                    ask(3, ids)
                else:
                    store.prefetch({3: ids}).wait(3)
                assert all(plain.access(int(one)) for one in ids)
            assert has_all(cache, {3: held})
            assert cache.rows == len(held)


def test_long_requests_of_rows_that_are_here_read_nothing(table: TableFiles) -> None:
    store, _ = opened(table, 4 << 20)
    with store:
        store.gather(3, np.arange(ROWS))
        before = store.stats()
        for size in (700, 20_000):
            ids = np.random.default_rng(size).integers(0, ROWS, (size // 20, 20))
            out = torch.full((*ids.shape, DIM), POISON)
            wanted = torch.from_numpy(table.read_values(3, ids.reshape(-1))).view(out.shape)
            assert torch.equal(store.gather(3, ids, out), wanted)
            assert torch.equal(store.prefetch({3: ids}).wait(3, out.fill_(POISON)), wanted)
        after = store.stats()
        assert after.device_reads == before.device_reads
        assert after.cache_misses == before.cache_misses
        assert after.cache_hits - before.cache_hits == after.rows_asked - before.rows_asked


def test_rows_evicted_before_a_long_ticket_is_waited_for_are_read(table: TableFiles) -> None:
    store, _ = opened(table, 4 << 20)
    ids = np.random.default_rng(1).integers(0, ROWS, 10_000)
    wanted = torch.from_numpy(table.read_values(3, ids))
    with store:
        for gone in (np.array([ids[9_000]]), ids):
            store.gather(3, np.arange(ROWS))
            ticket = store.prefetch({3: ids})
            store.drop({3: gone})
            before = store.stats().device_reads
            assert torch.equal(ticket.wait(3, torch.full((10_000, DIM), POISON)), wanted)
            assert store.stats().device_reads > before


def test_threads_get_their_rows_while_others_admit_evict_and_drop(table: TableFiles) -> None:
    values = table.read_values(3, np.arange(ROWS))
    for cache_bytes in (250_000, 4 << 20):
        store, cache = opened(table, cache_bytes)
        over = threading.Event()

        def ask(
            seed: int, store: SsdStore = store, over: threading.Event = over
        ) -> int:  # fmt: skip
            rng, wrong = np.random.default_rng(seed), 0
            for turn in range(24):
                size = int(rng.choice([30, 600, 5000, 9000]))
                span = ROWS if turn % 3 else 500
                ids = rng.integers(0, span, size)
                out = torch.full((size, DIM), POISON)
                if turn % 2:
                    store.gather(3, ids, out)
                else:
                    store.prefetch({3: ids}).wait(3, out)
                wrong += not np.array_equal(out.numpy(), values[ids])
            return wrong

        def disturb(store: SsdStore = store, over: threading.Event = over) -> None:
            rng = np.random.default_rng(99)
            while not over.wait(0.005):
                store.drop({3: rng.integers(0, ROWS, 50)})
                if rng.random() < 0.05:
                    store.drop()

        with store, ThreadPoolExecutor(9) as pool:
            disturbed = pool.submit(disturb)
            try:
                assert sum(pool.map(ask, range(8))) == 0
            finally:
                over.set()
            disturbed.result()
            assert cache.rows <= cache.capacity
