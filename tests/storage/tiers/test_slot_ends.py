"""Slots that failed half-way, that are closed in a forked child, or used in another mode."""

import gc
import threading
import weakref
from typing import Any

import numpy as np
import pytest
import torch

from engramctl.errors import StorageError
from engramctl.storage.pinned.arrivals import WORDS
from engramctl.storage.reading.table import TableFiles, open_table
from engramctl.storage.tiers import staged_slot
from engramctl.storage.tiers.staged import StagedStore
from tests.helpers.forked import in_child
from tests.storage.tables import make_plan, write
from tests.storage.tiers.slot_stores import DIM, ROWS, SHAPE, STAGED, opened, values


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> TableFiles:
    folder = tmp_path_factory.mktemp("table") / "t"
    write(make_plan(form="paged", dtype="f8_e4m3", row_dim=DIM, rows=ROWS), folder)
    return open_table(folder)


@pytest.mark.parametrize("name", STAGED)
@pytest.mark.parametrize("fails", ["prefetch", "begin", "here", "copied"])
def test_a_step_that_could_not_be_asked_for_leaves_the_slot_as_it_was(
    table: TableFiles, name: str, fails: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(staged_slot, "NEVER_S", 0.2)
    shapes = {1: (1, 6), 4: (70, 7)}  # one may be brought at once, the other by the thread
    with opened(table, name) as store, store.slot(shapes) as slot:
        assert isinstance(store, StagedStore)
        random = np.random.default_rng(0)

        def asked() -> dict[int, np.ndarray]:
            return {k: random.integers(0, ROWS[k], shape) for k, shape in shapes.items()}

        def fail(*_: Any, **__: Any) -> None:
            raise KeyboardInterrupt

        for after in range(2):
            for _ in range(2):  # what host memory has comes at once
                ids = asked()
                slot.prefetch(ids)
                for layer in shapes:
                    assert torch.equal(slot.wait(layer), values(table, layer, ids[layer]))
            before = store.stats().rows_asked
            with monkeypatch.context() as broken:
                if fails == "prefetch":
                    broken.setattr(store.below, "prefetch", fail)
                elif fails == "copied":
                    broken.setattr(store, "count", fail)
                else:
                    real = getattr(store.arrivals, fails)

                    def late(*words: Any, _real: Any = real, _after: int = after) -> Any:
                        if _after:
                            _real(*words)
                        raise KeyboardInterrupt

                    broken.setattr(store.arrivals, fails, late)
                try:
                    slot.prefetch(asked())
                except KeyboardInterrupt:
                    assert store.stats().rows_asked == before
                else:
                    for layer in shapes:
                        slot.wait(layer)
            ids = asked()
            slot.prefetch(ids)
            for layer in shapes:
                assert torch.equal(slot.wait(layer), values(table, layer, ids[layer]))
        every = np.arange(ROWS[1])
        assert torch.equal(store.gather(1, every), values(table, 1, every))


def test_records_that_a_failed_step_wrote_over_are_not_kept(table: TableFiles) -> None:
    ids = np.arange(48).reshape(SHAPE)
    with opened(table, "gpu:10KiB,host") as store, store.slot({1: SHAPE}) as slot:
        assert isinstance(store, StagedStore)

        def half_way(layer: int, rows: Any, records: torch.Tensor) -> bool:
            records.fill_(0)
            return False

        slot.prefetch({1: ids})
        slot.wait(1)
        with pytest.MonkeyPatch.context() as broken:
            broken.setattr(store.below, "few_gathered", half_way)
            broken.setattr(store.below, "prefetch", _no_memory)
            with pytest.raises(MemoryError):
                slot.prefetch({1: ids + 1000})
        store.drop()
        slot.prefetch({1: ids + 2000})
        slot.wait(1)
        assert torch.equal(store.gather(1, ids), values(table, 1, ids))


def test_a_slot_that_cannot_be_made_takes_no_words(table: TableFiles) -> None:
    with opened(table, STAGED[2]) as store:
        assert isinstance(store, StagedStore)
        with pytest.MonkeyPatch.context() as broken:
            broken.setattr(staged_slot.StagedSlot, "_join", _no_memory)
            with pytest.raises(MemoryError):
                store.slot({1: SHAPE})
        for _ in range(WORDS // 2):
            store.arrivals.reserve()  # an error where some are taken


def _no_memory(*_: Any) -> None:
    raise MemoryError


def test_a_forked_child_closes_a_slot_whose_rows_its_parent_reads(
    table: TableFiles, monkeypatch: pytest.MonkeyPatch
) -> None:
    go = threading.Event()
    with opened(table, "ssd") as store:
        assert isinstance(store, StagedStore)
        slot = store.slot({1: SHAPE})
        read = store.below.collect

        def slow(*words: Any, **others: Any) -> torch.Tensor:
            go.wait(5)
            return read(*words, **others)

        monkeypatch.setattr(store.below, "collect", slow)
        slot.prefetch({1: np.zeros(SHAPE, np.int64)})

        def job() -> bool:
            slot.close()
            store.close()
            return True

        with monkeypatch.context() as gone:  # a GPU's words are not the child's to write to
            gone.setattr(store.arrivals, "write", _no_memory)
            assert in_child(job) == 0
        go.set()
        assert torch.equal(slot.wait(1), values(table, 1, np.zeros(SHAPE, np.int64)))
        slot.close()


@pytest.mark.parametrize("name", ["gpu", *STAGED])
def test_what_was_opened_in_inference_mode_is_used_in_any(table: TableFiles, name: str) -> None:
    ids = np.arange(48).reshape(SHAPE)
    with torch.inference_mode():
        store = opened(table, name)
        slot = store.slot({1: SHAPE})
    with store, slot:
        for mode in (False, True, False):
            with torch.inference_mode(mode):
                for _ in range(2):
                    slot.prefetch({1: ids})
                    assert torch.equal(slot.wait(1), values(table, 1, ids))
                    assert torch.equal(store.prefetch({1: ids}).wait(1), values(table, 1, ids))
                    ids = (ids + 31) % ROWS[1]


def test_a_join_that_fails_counts_as_read_where_streams_wait(
    table: TableFiles, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The wait before it is queued: a word that were not told of would hold the next step back."""
    with opened(table, "ssd") as store, store.slot({1: SHAPE}) as slot:
        assert isinstance(store, StagedStore)
        done: list[str] = []
        slot.prefetch({1: np.zeros(SHAPE, np.int64)})
        with monkeypatch.context() as streams:
            streams.setattr(store.arrivals, "queues", True)
            streams.setattr(store.arrivals, "wait_next", lambda word, seen: done.append("wait"))
            streams.setattr(store.arrivals, "tell", lambda seen, word: done.append("tell"))
            streams.setattr(store, "dequantise", _no_memory)
            with pytest.raises(MemoryError):
                slot.wait(1)
        assert done == ["wait", "tell"]


@pytest.mark.parametrize("name", STAGED)
def test_rows_of_a_slot_are_waited_for_once_after_they_were_asked_for(
    table: TableFiles, name: str
) -> None:
    """A GPU would wait for rows that nobody brings; here it is known before that is queued."""
    ids = np.arange(48).reshape(SHAPE)
    with opened(table, name) as store, store.slot({1: SHAPE, 4: SHAPE}) as slot:
        for _ in range(2):
            for _ in range(2):
                with pytest.raises(ValueError, match=r"no rows of layer 1 .* call prefetch"):
                    slot.wait(1)
            with pytest.raises(ValueError, match="outside"):
                slot.prefetch({1: ids, 4: ids + ROWS[4]})
            with pytest.raises(ValueError, match="no rows of layer 1 "):
                slot.wait(1)
            slot.prefetch({1: ids, 4: ids})
            assert torch.equal(slot.wait(1), values(table, 1, ids))
            with pytest.raises(ValueError, match="no rows of layer 1 "):
                slot.wait(1)
            assert torch.equal(slot.wait(4), values(table, 4, ids))


@pytest.mark.parametrize("name", ["on the CPU", "gpu", *STAGED])
def test_closing_a_store_closes_its_slots_and_drops_none_before(
    table: TableFiles, name: str
) -> None:
    with opened(table, name) as store:
        slot, dropped = store.slot({1: SHAPE}), weakref.ref(store.slot({1: SHAPE}))
        gc.collect()
        assert dropped() is not None, "a device might still have read its memory"
    gc.collect()
    assert not slot.out
    with pytest.raises(StorageError, match="closed"):
        slot.wait(1)
    slot.close()
    assert dropped() is None


@pytest.mark.parametrize("name", ["gpu", STAGED[0]])
def test_a_slot_is_freed_once_by_whoever_closes_it(table: TableFiles, name: str) -> None:
    """And a store that is closed meanwhile waits until that is done."""
    store = opened(table, name)
    slot = store.slot({1: SHAPE})
    go, began, ends = threading.Event(), threading.Event(), list[str]()
    free, release = slot.let_go, store.release

    def slowly() -> None:
        began.set()
        go.wait(30)
        free()
        ends.append("slot")

    def at_last() -> None:
        release()
        ends.append("store")

    with pytest.MonkeyPatch.context() as watched:
        watched.setattr(slot, "let_go", slowly)
        watched.setattr(store, "release", at_last)
        first, second = (threading.Thread(target=one.close) for one in (slot, store))
        first.start()
        assert began.wait(30)
        second.start()
        second.join(0.2)
        assert second.is_alive()
        go.set()
        first.join()
        second.join()
    assert ends == ["slot", "store"]


def test_a_slot_that_cannot_be_closed_keeps_no_store_open(
    table: TableFiles, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = opened(table, STAGED[0])
    assert isinstance(store, StagedStore)
    broken, other = store.slot({1: SHAPE}), store.slot({1: SHAPE})
    monkeypatch.setattr(broken, "let_go", _no_memory)
    with pytest.raises(MemoryError):
        store.close()
    assert not other.out
    with pytest.raises(StorageError, match="closed"):
        store.below.gather(1, np.zeros(1, np.int64))


def test_a_forked_child_closes_a_store_without_its_stream(
    table: TableFiles, monkeypatch: pytest.MonkeyPatch
) -> None:
    with opened(table, STAGED[0]) as store:
        assert isinstance(store, StagedStore)
        assert store.cache is not None
        with monkeypatch.context() as forked:
            forked.setattr(store.cache.stream, "finish", _no_memory)

            def job() -> bool:
                store.close()
                return True

            assert in_child(job) == 0


def test_a_slot_keeps_rows_before_it_reads_over_them_and_leads_the_step(
    table: TableFiles, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids, done = np.arange(48).reshape(SHAPE), list[str]()
    with opened(table, STAGED[0]) as store, store.slot({1: SHAPE}) as slot:
        assert isinstance(store, StagedStore)
        assert store.cache is not None
        slot.prefetch({1: ids})
        slot.wait(1)
        put, read = store.cache.put, store.below.prefetch

        def kept(*words: Any) -> None:
            done.append("keep")
            put(*words)

        def reading(*words: Any) -> Any:
            done.append("read")
            return read(*words)

        with monkeypatch.context() as watched:
            watched.setattr(store.cache, "put", kept)
            watched.setattr(store.below, "prefetch", reading)
            watched.setattr(store.cache.stream, "finish", lambda: done.append("finish"))
            watched.setattr(store.cache.stream, "lead", lambda: done.append("lead"))
            slot.prefetch({1: ids + 1000})
            slot.wait(1)
        assert done == ["keep", "finish", "read", "lead"]
