"""Mixtures and slots on a real GPU: rows, order, graphs, and that nothing stays behind."""

import gc
import threading
import time
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch

from engramctl.errors import ConfigError, StorageError
from engramctl.storage import Store, open_store
from engramctl.storage.pinned.pinned import pinned_bytes
from engramctl.storage.reading.source import read_values
from engramctl.storage.reading.table import TableFiles, open_table
from engramctl.storage.tiers.staged import StagedStore
from tests.storage.tables import make_plan, write

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device"),
]
ROWS = {1: 3000, 4: 900}
SHAPE = (2, 24)
MIXTURES = (
    "ssd", "host:64KiB,ssd", "gpu:32KiB,ssd", "gpu:32KiB,host", "gpu:32KiB,host:64KiB,ssd",
)  # fmt: skip
POISON = -3.0e38


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> TableFiles:
    folder = tmp_path_factory.mktemp("table") / "t"
    write(make_plan(form="paged", dtype="f8_e4m3", row_dim=256, rows=ROWS), folder)
    return open_table(folder)


@pytest.fixture(autouse=True)
def nothing_stays(table: TableFiles) -> Iterator[None]:
    """Device and pinned memory are what they were."""
    gc.collect()
    torch.cuda.synchronize()
    before = pinned_bytes(), torch.cuda.memory_allocated()
    yield
    gc.collect()
    torch.cuda.synchronize()
    assert (pinned_bytes(), torch.cuda.memory_allocated()) == before


def opened(table: TableFiles, name: str, slots: int = 0) -> Store:
    return open_store(table.path, name, device="cuda", capture_slots=slots)


def values(store: Store, layer: int, ids: Any) -> torch.Tensor:
    found = torch.from_numpy(read_values(store.table, layer, np.asarray(ids).ravel()))
    return found.to(store.dtype).view(*np.shape(ids), store.row_dim)


def asked(seed: int) -> dict[int, np.ndarray]:
    random = np.random.default_rng(seed)
    return {layer: random.zipf(1.2, SHAPE) % rows for layer, rows in ROWS.items()}


@pytest.mark.parametrize("name", MIXTURES)
def test_every_mixture_gives_the_plain_rows_on_any_stream(table: TableFiles, name: str) -> None:
    with opened(table, name) as store:
        streams = [torch.cuda.Stream() for _ in range(2)]  # type: ignore[no-untyped-call]
        for seed in range(40):
            rows = asked(seed)
            with torch.cuda.stream(streams[seed % 2]):
                ticket = store.prefetch(rows)
                found = {k: ticket.wait(k) for k in sorted(rows, reverse=seed % 3 == 0)}
            streams[seed % 2].synchronize()
            for layer, ids in rows.items():
                assert torch.equal(found[layer].cpu(), values(store, layer, ids))
        assert sum(store.stats().rows_by_tier.values()) == store.stats().rows_unique
        del found, ticket


@pytest.mark.parametrize("name", ["gpu", "host", *MIXTURES])
def test_a_replayed_graph_reads_the_rows_that_were_asked_for(table: TableFiles, name: str) -> None:
    with opened(table, name, 2) as store:
        slots = [store.slot(dict.fromkeys(ROWS, SHAPE)) for _ in range(2)]
        graphs = []
        for slot in slots:
            slot.prefetch(asked(0))
            for layer in ROWS:  # compiles; what a capture may not do
                slot.wait(layer)
            torch.cuda.synchronize()
            graph = torch.cuda.CUDAGraph()
            with torch.cuda.graph(graph, capture_error_mode="thread_local"):
                for layer in ROWS:
                    slot.wait(layer)
            graphs.append(graph)
        for seed in range(20):
            slot, graph, rows = slots[seed % 2], graphs[seed % 2], asked(seed)
            for out in slot.out.values():
                out.fill_(POISON)
            slot.prefetch(rows)
            graph.replay()
            for layer, ids in rows.items():
                assert torch.equal(slot.out[layer].cpu(), values(store, layer, ids))
        del graph, graphs, out
        for slot in slots:
            slot.close()
        del slot, slots


def test_waiting_does_not_block_the_host(table: TableFiles) -> None:
    """The rows come only when the host, which has waited, says so."""
    with opened(table, "ssd") as store:
        assert isinstance(store, StagedStore)
        if not store.arrivals.queues:
            pytest.skip(store.gathers_because)
        waited, fast = threading.Event(), store.below.collect

        def late(*words: Any, **others: Any) -> torch.Tensor:
            assert waited.wait(30)
            return fast(*words, **others)

        store.gather(1, asked(0)[1])
        store.prefetch(asked(0)).wait(1)  # compiled
        store.below.collect = late  # type: ignore[method-assign]
        ids = asked(1)[1]
        found = store.prefetch({1: ids}).wait(1)
        waited.set()
        assert torch.equal(found.cpu(), values(store, 1, ids))
        del found


def test_what_cannot_be_captured_is_refused_with_its_reason(table: TableFiles) -> None:
    with opened(table, "ssd", 1) as store, store.slot({1: SHAPE}) as slot:
        ids = asked(0)[1]
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph, capture_error_mode="thread_local"):
            with pytest.raises(ConfigError, match="read by the host"):
                store.prefetch({1: ids})
            with pytest.raises(ConfigError, match="before its graph is replayed"):
                slot.prefetch({1: ids})
            torch.zeros(1, device="cuda")
        slot.prefetch({1: ids})
        assert torch.equal(slot.wait(1).cpu(), values(store, 1, ids))
        del graph


@pytest.mark.parametrize("name", MIXTURES)
def test_dropped_tickets_and_errors_leave_nothing(table: TableFiles, name: str) -> None:
    with opened(table, name) as store:
        assert isinstance(store, StagedStore)
        for seed in range(5):
            store.prefetch(asked(seed))
        for seed in range(5):
            store.prefetch(asked(seed)).wait(1)

        def fail(*_: Any, **__: Any) -> None:
            raise StorageError("the disk fails")

        store.below.collect = fail  # type: ignore[method-assign, assignment]
        ticket = store.prefetch({1: np.arange(2000, 2048).reshape(SHAPE)})
        try:
            ticket.wait(1)
            torch.cuda.synchronize()
            for _ in range(500):  # the stream is told a little before the host is
                store.prefetch({})
                time.sleep(0.01)
        except StorageError:
            pass
        else:
            raise AssertionError("nobody told of the failed read")
        del ticket
