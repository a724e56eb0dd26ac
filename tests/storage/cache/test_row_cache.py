"""The row cache holds what plain S3-FIFO holds, byte for byte, and never more than its bound."""

import contextlib
import os
import signal
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from types import FrameType
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from engramctl.caches.reference import S3FifoReference
from engramctl.errors import ConfigError
from engramctl.storage import open_store
from engramctl.storage.cache.parted import Parted
from engramctl.storage.cache.row_cache import NO_TAGS, RowCache, cache_capacity
from engramctl.storage.cache.slots import Slots, key_words, slots_bytes
from engramctl.storage.direct.direct_rows import DirectRows
from engramctl.storage.io.pages import PAGE
from engramctl.storage.reading.table import TableFiles, open_table
from engramctl.storage.tiers.door import shared_budget
from engramctl.storage.tiers.ssd import SsdStore
from engramctl.storage.tiers.tier_list import read_tiers
from tests.storage.tables import make_plan, write

ROWS = {1: 3000, 4: 900}
DIM = 64
POISON = 777.0


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> TableFiles:
    folder = tmp_path_factory.mktemp("table") / "t"
    write(make_plan(form="packed", dtype="f8_e4m3", row_dim=DIM, rows=ROWS), folder)
    return open_table(folder)


def opened(table: TableFiles, cache_bytes: int, budget: int = 64 << 20) -> SsdStore:
    store = open_store(table, "ssd", budget + cache_bytes, torch.float32, cache_bytes=cache_bytes)
    assert isinstance(store, SsdStore)
    return store


def cache_of(store: SsdStore) -> RowCache:
    assert isinstance(store.read, DirectRows)
    assert store.read.cache is not None
    return store.read.cache


def records(table: TableFiles, layer: int, ids: np.ndarray) -> np.ndarray:
    return np.concatenate(table.read_rows(layer, ids), axis=1)


def taken(cache: RowCache, layer: int, ids: np.ndarray, tags: np.ndarray = NO_TAGS) -> Parted:
    """Part rows, in memory of their own."""
    room = Parted.of(
        len(ids), np.empty(Parted.words(len(ids)), np.int64),
        np.full(len(ids) * cache.record_bytes, 0xA5, np.uint8),
    )  # fmt: skip
    cache.part(layer, ids, np.arange(len(ids)), room, tags)
    return room


def given_to(
    cache: RowCache, table: TableFiles, layer: int, ids: np.ndarray, tags: np.ndarray = NO_TAGS
) -> None:
    """Have a cache take in rows, from a buffer that holds their records."""
    buffer = records(table, layer, ids).reshape(-1)
    at = buffer.ctypes.data + np.arange(len(ids)) * cache.record_bytes
    where_N2 = np.stack([at, at + table.record.weight_bytes], axis=1)
    cache.admit(layer, ids, where_N2, buffer, tags)


@given(st.integers(1, 40), st.lists(st.lists(st.integers(0, 60), max_size=12), max_size=30))
@settings(deadline=None, max_examples=30)
def test_hits_and_bytes_are_those_of_plain_s3fifo(
    table: TableFiles, rows: int, batches: list[list[int]]
) -> None:
    cache = RowCache(table, 4 * PAGE)
    size = cache_capacity(4 * PAGE, cache.record_bytes, sum(ROWS.values()))
    assert cache.capacity == size > 40
    plain = S3FifoReference(size)
    for batch in batches:
        for row in batch * (1 + rows // 20):
            ids = np.array([row * rows % ROWS[4]])
            room = taken(cache, 4, ids)
            hit = plain.access(int(ids[0]))
            assert bool(room.counts[1]) == hit
            if hit:
                assert np.array_equal(room.hold, records(table, 4, ids)[0])
            else:
                given_to(cache, table, 4, ids)
            assert cache.rows == len(plain.hits) <= size


def test_layers_do_not_share_rows(table: TableFiles) -> None:
    cache = RowCache(table, 1 << 20)
    ids = np.arange(200)
    given_to(cache, table, 1, ids)
    assert taken(cache, 4, ids).counts.tolist() == [200, 0, 0, 0]
    room = taken(cache, 1, ids)
    assert room.counts.tolist() == [0, 200, 0, 0]
    found = room.hold.reshape(200, -1)[room.targets]  # hits stand from the end on backwards
    assert np.array_equal(found[::-1], records(table, 1, room.targets[::-1]))


def test_a_hit_of_another_ngram_is_told_where_ngrams_are_known(table: TableFiles) -> None:
    cache = RowCache(table, 1 << 20)
    ids = np.arange(4)
    given_to(cache, table, 1, ids, np.array([7, 7, 0, 9], np.uint16))
    assert taken(cache, 1, ids, np.array([7, 8, 8, 0], np.uint16)).counts.tolist() == [0, 4, 1, 0]


@pytest.mark.parametrize("num_bytes", [4 * PAGE, 100_000, 5 << 20])
@pytest.mark.parametrize("record_bytes", [66, 264, 1027])
def test_everything_the_cache_needs_is_in_its_bound(num_bytes: int, record_bytes: int) -> None:
    for num_rows, words in ((1 << 30, 1), (1 << 40, 2)):
        rows = cache_capacity(num_bytes, record_bytes, num_rows)
        assert key_words(num_rows) == words
        used = Slots.empty(rows, words, record_bytes).words.nbytes
        assert rows * (record_bytes + 30) < used == slots_bytes(rows, words, record_bytes)
        assert used <= num_bytes
        assert used + 3 * (record_bytes + 45) + PAGE > num_bytes  # and no room is left unused


def test_the_bound_is_kept_at_every_moment(table: TableFiles) -> None:
    cache = RowCache(table, 9 * PAGE + 17)
    assert cache.num_bytes == 9 * PAGE
    rng = np.random.default_rng(0)
    for _ in range(300):
        ids = rng.integers(0, ROWS[1], 40)
        given_to(cache, table, 1, ids)
        assert cache.rows <= cache.capacity
        for one in (*cache.arrays, cache.memory):
            assert one.base is not None or one.nbytes < 200  # state apart, all is in the slab
    assert cache.rows == cache.capacity


def pages_of_all(table: TableFiles) -> int:
    """Return the bytes of pages in which all rows are kept."""
    return -(-slots_bytes(sum(ROWS.values()), 1, table.record.record_bytes) // PAGE) * PAGE


@pytest.mark.parametrize("cache_bytes", [3 * PAGE, 60_000, 1 << 20])
def test_rows_are_the_same_with_and_without(table: TableFiles, cache_bytes: int) -> None:
    rng = np.random.default_rng(1)
    with opened(table, cache_bytes) as store, opened(table, 0) as bare:
        for size in (1, 7, 48, 300, 2000, 5000) * 3:
            ids = {layer: rng.zipf(1.2, size) % rows for layer, rows in ROWS.items()}
            ticket, plain = store.prefetch(ids), bare.prefetch(ids)
            for layer, some in ids.items():
                out = torch.full((size, DIM), POISON)
                wanted = plain.wait(layer)
                assert torch.equal(ticket.wait(layer, out), wanted)
                assert torch.equal(store.gather(layer, some, out.fill_(POISON)), wanted)
                bare.gather(layer, some)
        stats, before = store.stats(), bare.stats()
        assert stats.cache_hits + stats.cache_misses == stats.rows_asked == before.rows_asked
        assert 0 < stats.cache_rows == cache_of(store).rows
        assert stats.cache_bytes == min(cache_bytes // PAGE * PAGE, pages_of_all(table))
        assert stats.device_reads < before.device_reads
        assert (before.cache_hits, before.cache_misses, before.cache_bytes) == (0, 0, 0)


def test_rows_in_the_cache_are_not_read_again_until_they_are_dropped(table: TableFiles) -> None:
    ids = {1: np.arange(0, 3000, 30), 4: np.arange(0, 900, 30)}
    with opened(table, 1 << 20) as store:

        def reads() -> int:
            before = store.stats().device_bytes
            ticket = store.prefetch(ids)
            for layer, some in ids.items():
                assert torch.equal(
                    ticket.wait(layer), torch.from_numpy(table.read_values(layer, some))
                )
            return store.stats().device_bytes - before

        whole = reads()
        assert whole > 30 * PAGE
        assert reads() == 0
        store.drop({1: ids[1]})
        assert 0 < reads() < whole
        assert reads() == 0
        store.drop()
        assert store.stats().cache_rows == 0
        assert reads() == whole


def test_rows_evicted_before_they_are_waited_for_are_read(table: TableFiles) -> None:
    """A ticket whose rows were all in the cache holds no memory: they may be gone by then."""
    ids = np.arange(20)
    with opened(table, 3 * PAGE) as store:
        store.gather(1, ids)
        ticket = store.prefetch({1: ids})
        before = store.stats().device_reads
        store.drop()
        out = torch.full((20, DIM), POISON)
        assert torch.equal(ticket.wait(1, out), torch.from_numpy(table.read_values(1, ids)))
        assert store.stats().device_reads > before


def test_a_cache_is_warmed_with_the_most_wanted_rows(table: TableFiles) -> None:
    wanted = {layer: np.random.default_rng(layer).permutation(rows) for layer, rows in ROWS.items()}
    with opened(table, 120_000) as store:
        store.warm(wanted)
        cache = cache_of(store)
        assert 0.98 * cache.capacity <= cache.rows <= cache.capacity
        share = cache.capacity / sum(ROWS.values())
        for layer, ids in wanted.items():
            first = ids[: int(0.9 * share * len(ids))]
            assert taken(cache, layer, first).counts[0] == 0
            assert taken(cache, layer, ids[-100:]).counts[1] == 0
        before = store.stats().device_reads
        first = wanted[1][:40]
        assert np.array_equal(store.gather(1, first).numpy(), table.read_values(1, first))
        assert store.stats().device_reads == before
        for one in (np.array([ROWS[1]]), np.array([-1])):
            with pytest.raises(ValueError, match="is outside"):
                store.warm({1: one})


def test_warmed_rows_stay_while_others_come_once(table: TableFiles) -> None:
    with opened(table, 40_000) as store:
        cache = cache_of(store)
        wanted = np.arange(cache.capacity)
        store.warm({1: wanted})
        for start in range(1000, 3000, 40):
            store.gather(1, np.arange(start, start + 40))
        found = taken(cache, 1, wanted).counts[1]
        assert 0.85 * cache.capacity < found <= 0.9 * cache.capacity + 1
        assert taken(cache, 1, wanted[: cache.capacity // 2]).counts[0] == 0  # the most wanted


def test_a_clearing_that_is_interrupted_is_done_or_was_not_begun(table: TableFiles) -> None:
    """A signal's handler has its turn between two lines of Python, here of `Slots.empty`."""
    ids = np.arange(200)
    for steps in range(60):
        cache = RowCache(table, 1 << 20)
        given_to(cache, table, 1, ids)

        def interrupt(frame: FrameType, event: str, _: object, left: list[int]) -> Any:
            if event == "line" and frame.f_code.co_filename.endswith("s3fifo.py"):
                left[0] -= 1
                if left[0] < 0:
                    raise KeyboardInterrupt
            return partial(interrupt, left=left)

        before = sys.gettrace()
        sys.settrace(partial(interrupt, left=[steps]))
        try:
            with contextlib.suppress(KeyboardInterrupt):
                cache.clear()
        finally:
            sys.settrace(before)
        kept = cache.rows
        assert taken(cache, 1, ids).counts.tolist() == [200 - kept, kept, 0, 0]
        given_to(cache, table, 1, np.arange(2500))
        assert cache.rows == min(cache.capacity, 2500)


def test_eight_threads_get_their_rows(table: TableFiles) -> None:
    values = {layer: table.read_values(layer, np.arange(rows)) for layer, rows in ROWS.items()}
    with opened(table, 60_000) as store:

        def ask(seed: int) -> int:
            rng, wrong = np.random.default_rng(seed), 0
            for _ in range(60):
                size = int(rng.integers(1, 700))
                ids = {layer: rng.zipf(1.3, size) % rows for layer, rows in ROWS.items()}
                ticket = store.prefetch(ids)
                for layer, some in ids.items():
                    out = torch.full((size, DIM), POISON)
                    ticket.wait(layer, out)
                    wrong += not np.array_equal(out.numpy(), values[layer][some])
                    store.gather(layer, some, out.fill_(POISON))
                    wrong += not np.array_equal(out.numpy(), values[layer][some])
            return wrong

        with ThreadPoolExecutor(8) as pool:
            assert sum(pool.map(ask, range(8))) == 0
        assert cache_of(store).rows <= cache_of(store).capacity


def test_a_child_begins_with_a_cache_of_its_own(table: TableFiles) -> None:
    ids = np.arange(50)
    with opened(table, 1 << 20) as store:
        store.gather(1, ids)
        held = threading.Thread(target=cache_of(store).lock.acquire)  # by a thread that dies
        held.start()
        held.join()
        child = os.fork()
        if not child:
            signal.alarm(60)
            empty = store.stats().cache_rows == 0
            right = np.array_equal(store.gather(1, ids).numpy(), table.read_values(1, ids))
            os._exit(0 if empty and right and store.stats().cache_rows == 50 else 1)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        cache_of(store).lock.release()
        assert store.stats().cache_rows == 50


def test_what_of_a_budget_is_the_caches(table: TableFiles, tmp_path: Path) -> None:
    for budget, cache in ((1 << 20, 0), (64 << 20, 0), (80 << 20, 16 << 20), (1 << 30, 3 << 28)):
        assert shared_budget(read_tiers("ssd"), budget, None, 500) == (budget, cache)
    with open_store(table, "ssd", cache_bytes=1 << 17) as store:
        assert (store.mode, store.stats().cache_bytes) == ("direct", 1 << 17)
    with pytest.raises(ConfigError, match="the row cache is too small"):
        open_store(table, "ssd", 1 << 20, cache_bytes=100)
    with pytest.raises(ConfigError, match="the host tier has no row cache"):
        open_store(table, "host", cache_bytes=1 << 20)


def test_no_more_is_reserved_than_all_rows_need(table: TableFiles) -> None:
    """However much is asked for: more than any system gives."""
    needed = pages_of_all(table)
    for size in (needed + PAGE, 1 << 55):
        with open_store(table, "ssd", cache_bytes=size) as store:
            assert store.stats().cache_bytes == needed
            for _ in range(2):
                store.gather(1, np.arange(ROWS[1]))
            assert (store.stats().cache_hits, store.stats().cache_rows) == (ROWS[1], ROWS[1])
