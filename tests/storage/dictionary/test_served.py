"""Rows taken from a dictionary's records are the table's, in fewer reads."""

import gc
import os
import signal
import threading
import tracemalloc
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from engramctl.errors import FormatError, StorageError
from engramctl.storage.direct import recorded
from engramctl.storage.direct.direct_rows import DirectRows
from engramctl.storage.format.dictionary_entry import INDEX_FILE, RECORDS_FILE
from tests.storage.dictionaries import ORDERS, present
from tests.storage.dictionary.texts import POISON, ROWS, Text, opened, plainly, text_of, wrong

SHAPES = [
    ("planar", "f8_e4m3", 256), ("packed", "bf16", 33), ("paged", "f8_e4m3", 256),
    ("packed", "int4", 64), ("packed", "f32", 700),
]  # fmt: skip


@pytest.fixture(scope="module")
def texts(tmp_path_factory: pytest.TempPathFactory) -> dict[tuple[str, str, int], Text]:
    root = tmp_path_factory.mktemp("texts")
    return {shape: text_of(root / "-".join(map(str, shape)), *shape) for shape in SHAPES}


@given(
    st.sampled_from(SHAPES),
    st.sampled_from([0, 60_000, 1 << 20]),
    st.sampled_from(["io_uring", "pread"]),
    st.integers(0, 99),
    st.lists(st.sampled_from([1, 2, 5, 40, 300]), min_size=1, max_size=5),
)
@settings(deadline=None, max_examples=40)
def test_rows_are_the_same_with_and_without(
    texts: dict[tuple[str, str, int], Text],
    shape: tuple[str, str, int],
    cache_bytes: int,
    engine: str,
    seed: int,
    sizes: list[int],
) -> None:
    text = texts[shape]
    plain = plainly(text)
    rng = np.random.default_rng(seed)
    with opened(text, cache_bytes, engine=engine) as store:
        for positions in sizes:
            assert wrong(store, text, text.draw(rng, positions), plain) == 0
        stats = store.stats()
        assert stats.dictionary_lost is None
        assert stats.dictionary_hits > 0 or cache_bytes or max(sizes) < 40
        if cache_bytes:
            assert stats.cache_hits + stats.cache_misses == stats.rows_asked


def test_a_known_ngram_is_one_read_for_its_rows_of_all_layers(text: Text) -> None:
    plain = plainly(text)
    rng = np.random.default_rng(0)
    known = [int(np.count_nonzero(present()[0] == order)) for order in range(len(ORDERS))]
    trust = np.stack([rng.permutation(size)[:40] for size in known], axis=1)
    with opened(text) as store, opened(text) as bare:
        assert wrong(store, text, trust, plain) == 0
        before = store.stats()
        assert before.dictionary_compared >= 32
        places = np.array([[7, 9]])
        assert wrong(store, text, places, plain) == 0
        after = store.stats()
        assert after.dictionary_hits - before.dictionary_hits == 2
        assert after.device_reads - before.device_reads <= 2
        assert after.record_reads - before.record_reads == after.device_reads - before.device_reads
        ids, _keys = text.take(places)
        for layer in ROWS:  # no keys: as if there were no dictionary
            bare.gather(layer, ids[layer])
            store.gather(layer, ids[layer])
        store.prefetch(ids)
        assert store.stats().dictionary_hits == after.dictionary_hits
        assert bare.stats().device_reads >= 6
        assert bare.stats().record_reads == 0


def test_hits_of_the_row_cache_are_not_read_from_records(text: Text) -> None:
    plain = plainly(text)
    places = text.draw(np.random.default_rng(1), 20)
    with opened(text, 1 << 20) as store:
        assert wrong(store, text, places, plain) == 0
        reads = store.stats().device_reads
        assert wrong(store, text, places, plain) == 0
        assert store.stats().device_reads == reads
        assert store.stats().chance_hits < store.stats().cache_hits
        other = text.take(places[::-1])[1]
        ids = text.take(places)[0]
        before = store.stats()
        store.drop({1: ids[1].reshape(-1)[:1]})  # or nothing is parted
        store.prefetch(ids, keys=other)
        after = store.stats()
        assert after.chance_hits - before.chance_hits > 50


def test_two_missed_rows_are_worth_a_record_and_one_is_not(text: Text) -> None:
    plain = plainly(text)
    rng = np.random.default_rng(0)
    known = [int(np.count_nonzero(present()[0] == order)) for order in range(len(ORDERS))]
    with opened(text, 1 << 20) as store:
        for _ in range(3):
            trust = np.stack([rng.permutation(size)[:40] for size in known], axis=1)
            assert wrong(store, text, trust, plain) == 0
        places = np.array([[7, 9]])
        ids = {layer: some.reshape(-1) for layer, some in text.take(places)[0].items()}
        for dropped, used in (({1: ids[1][:1]}, 0), ({1: ids[1][:1], 4: ids[4][:1]}, 1)):
            assert wrong(store, text, places, plain) == 0
            store.drop(dropped)
            before = store.stats()
            assert wrong(store, text, places, plain) == 0
            assert store.stats().dictionary_hits - before.dictionary_hits == used
            assert store.stats().device_reads - before.device_reads == 1


def test_the_dictionary_of_another_table_is_refused(text: Text, tmp_path: Path) -> None:
    other = text_of(tmp_path / "other", "packed", "bf16", 256)
    for name in (RECORDS_FILE, INDEX_FILE):
        (text.path / name).write_bytes((other.path / name).read_bytes())
    with pytest.raises(FormatError):
        opened(text)


def test_keys_that_do_not_fit_the_rows_are_refused_before_any_read(text: Text) -> None:
    ids, keys = text.take(text.draw(np.random.default_rng(0), 5))
    with opened(text) as store:
        for some in (keys[:4], keys[:, :1], keys.astype(np.int64), keys[..., 0]):
            with pytest.raises(ValueError, match="n-gram keys of row ids"):
                store.prefetch(ids, keys=some)  # type: ignore[arg-type]
        with pytest.raises(ValueError, match="n-gram keys are of 4 rows"):
            store.prefetch({1: ids[1][:, :3]}, keys=keys)
        assert store.stats().device_reads == 0
        assert torch.equal(store.prefetch(ids, keys=keys).wait(1), store.gather(1, ids[1]))


def test_what_keys_take_beside_the_slab_is_bounded(text: Text) -> None:
    ids, keys = text.take(text.draw(np.random.default_rng(0), 60_000))
    with opened(text, budget=64 << 20) as store:
        for layer in ids:
            store.prefetch(ids, keys=keys).wait(layer)  # whoever runs first makes caches
        tracemalloc.start()
        tickets = [store.prefetch(ids, keys=keys) for _ in range(3)]
        grown = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert grown < 64 << 10
        assert np.array_equal(tickets[0].wait(4).float(), store.gather(4, ids[4]).float())


def test_kernels_of_records_are_compiled_when_a_store_is_opened(
    text: Text, monkeypatch: pytest.MonkeyPatch
) -> None:
    called = set()
    kernels = (
        "count_missed", "part_recorded", "settle_recorded", "first_other", "copy_to_records",
        "copy_together",
    )  # fmt: skip
    for name in kernels:
        monkeypatch.setattr(recorded, name, lambda *_, name=name: called.add(name))
    opened(text).close()
    assert called == set(kernels)


def test_eight_threads_and_a_child_get_their_rows(text: Text) -> None:
    plain = plainly(text)
    with opened(text, 100_000) as store:

        def ask(seed: int) -> int:
            rng = np.random.default_rng(seed)
            return sum(
                wrong(store, text, text.draw(rng, int(rng.integers(1, 150))), plain)
                for _ in range(25)
            )

        with ThreadPoolExecutor(8) as pool:
            assert sum(pool.map(ask, range(8))) == 0
        child = os.fork()
        if not child:
            signal.alarm(60)
            os._exit(1 if ask(99) else 0)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        assert ask(100) == 0
        assert store.stats().dictionary_lost is None


@pytest.mark.parametrize("known", [True, False])
def test_a_long_request_is_read_in_parts_and_still_by_records(
    texts: dict[tuple[str, str, int], Text], known: bool
) -> None:
    text = texts["paged", "f8_e4m3", 256]
    plain = plainly(text)
    rng = np.random.default_rng(0)
    with opened(text, 1 << 20, budget=40 << 20) as store:
        places = text.draw(rng, 2400)
        if known:
            places %= 100
        ids, keys = text.take(places)
        assert isinstance(store.read, DirectRows)
        ticket = store.prefetch(ids, keys=keys)
        outs = {}
        for layer in (4, 1):  # the second is handed over without a read
            before = store.stats()
            outs[layer] = ticket.wait(layer).numpy()
            assert np.array_equal(outs[layer], plain[layer][ids[layer]])
        assert store.stats().device_reads == before.device_reads
        stats = store.stats()
        assert stats.dictionary_hits > 50
        assert stats.cache_hits + stats.cache_misses == stats.rows_asked
        del ticket
        store.read.start({})
        assert store.read.slab.free_pages == store.read.pages_ahead


def test_a_part_that_failed_once_costs_its_layer_alone(
    texts: dict[tuple[str, str, int], Text], monkeypatch: pytest.MonkeyPatch
) -> None:
    text = texts["paged", "f8_e4m3", 256]
    plain = plainly(text)
    ids, keys = text.take(text.draw(np.random.default_rng(0), 2400))
    with opened(text, 1 << 20, budget=40 << 20) as store:
        assert isinstance(store.read, DirectRows)
        ticket = store.prefetch(ids, keys=keys)
        with monkeypatch.context() as broken:
            broken.setattr(store.read.chosen.files, "check", _failing)
            with pytest.raises(StorageError, match="EIO"):
                ticket.wait(1)
        out = torch.full((*ids[4].shape, store.row_dim), POISON)
        assert np.array_equal(ticket.wait(4, out).numpy(), plain[4][ids[4]])
        del ticket
        gc.collect()
        store.read.start({})
        assert store.read.slab.free_pages == store.read.pages_ahead


def _failing(_: object) -> None:
    raise StorageError("EIO")


def test_ids_of_a_long_request_may_not_change(texts: dict[tuple[str, str, int], Text]) -> None:
    text = texts["paged", "f8_e4m3", 256]
    ids, keys = text.take(text.draw(np.random.default_rng(0), 2400))
    with opened(text, 1 << 20, budget=40 << 20) as store:
        for changed in ids:
            ticket = store.prefetch(ids, keys=keys)
            ids[changed][2300] ^= 1
            for layer in ids:  # the records of the other one, too, are read by all ids
                with pytest.raises(StorageError, match="ids of an open ticket were changed"):
                    ticket.wait(layer)
            ids[changed][2300] ^= 1
            del ticket  # and the memory that it holds
            gc.collect()


def test_a_child_waits_for_no_lock_of_its_parents_records(text: Text) -> None:
    plain = plainly(text)
    places = text.draw(np.random.default_rng(0), 20)
    with opened(text) as store:
        assert store.served is not None
        assert store.served.mined is not None
        lock = store.served.mined.lock
        held = threading.Thread(target=lock.acquire)  # by a thread that dies
        held.start()
        held.join()
        child = os.fork()
        if not child:
            signal.alarm(30)
            os._exit(1 if wrong(store, text, places, plain) else 0)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        lock.release()
