"""Stores end well: closed while used, forked, interrupted, with tickets open."""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numba.core.compiler_lock import global_compiler_lock

from engramctl.errors import StorageError
from engramctl.hashing import make_scheme
from engramctl.storage import Store, open_store
from engramctl.storage.io.gather_threads import set_gather_threads
from engramctl.storage.io.mapped_rows import MappedRows
from engramctl.storage.io.take_rows import take_rows
from engramctl.storage.reading.table import open_table
from engramctl.storage.requests.usage import MAX_OPEN_TICKETS
from engramctl.storage.tiers.gpu import GpuStore
from engramctl.storage.tiers.host import HostStore
from engramctl.storage.tiers.ssd import SsdStore
from tests.helpers.forked import in_child
from tests.storage.tables import make_plan, write

ROWS = 20_011  # more than one thread gathers
IDS = np.arange(ROWS)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("lifecycle") / "t"
    write(make_plan(form="paged", rows={1: ROWS, 4: 500}, extent_bytes=1 << 20), path)
    return path


@pytest.fixture(params=["host", "ssd", "gpu"])
def store(folder: Path, request: pytest.FixtureRequest) -> Iterator[Store]:
    if request.param == "gpu":  # its torch operations, on the CPU
        opened: Store = GpuStore(open_table(folder), torch.bfloat16, torch.device("cpu"), None)
    else:
        opened = open_store(folder, request.param)
    with opened:
        yield opened


def held_up(store: Store, monkeypatch: pytest.MonkeyPatch) -> tuple[threading.Event, ...]:
    """Hold every gather of the store up once it has begun."""
    begun, go_on = threading.Event(), threading.Event()
    finish = store.finish

    def slow(*words: Any) -> torch.Tensor:
        begun.set()
        assert go_on.wait(30)
        return finish(*words)

    monkeypatch.setattr(store, "finish", slow)
    return begun, go_on


def test_close_waits_for_a_running_gather_which_returns_its_rows(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    want = store.gather(1, IDS)
    begun, go_on = held_up(store, monkeypatch)
    released = threading.Event()
    release = store.release

    def noted_release() -> None:
        released.set()
        release()

    monkeypatch.setattr(store, "release", noted_release)
    with ThreadPoolExecutor(3) as pool:
        rows = pool.submit(store.gather, 1, IDS)
        assert begun.wait(30)
        closing = [pool.submit(store.close) for _ in range(2)]
        while store.usage.over is None:  # until close has begun
            assert not any(one.done() for one in closing)
        with pytest.raises(StorageError, match="closed"):
            store.prefetch({4: IDS[:3]})
        assert not released.is_set()
        assert not any(one.done() for one in closing)
        go_on.set()
        assert torch.equal(rows.result(30), want)
        for one in closing:
            one.result(30)
        assert released.is_set()


def test_a_prefetch_that_waits_for_a_place_hears_of_close(store: Store) -> None:
    held = [store.prefetch({1: IDS[:3]}) for _ in range(MAX_OPEN_TICKETS)]
    told: list[Exception] = []

    def one_more() -> None:
        try:
            store.prefetch({1: IDS[:3]})
        except StorageError as error:
            told.append(error)

    thread = threading.Thread(target=one_more, daemon=True)
    thread.start()
    while not store.usage.changed._waiters:  # type: ignore[attr-defined]
        assert thread.is_alive()
    closer = threading.Thread(target=store.close, daemon=True)
    closer.start()
    thread.join(10)
    heard = [str(error) for error in told]
    held.pop()  # lets both go, were they still waiting
    closer.join(10)
    assert heard == ["the store is closed"]
    with pytest.raises(StorageError, match="closed"):
        held[0].wait(1)


def test_every_call_on_a_closed_store_is_an_error(store: Store) -> None:
    store.close()
    layer = store.layers[0]
    calls: list[Callable[[], object]] = [
        lambda: store.gather(layer, IDS[:3]),
        lambda: store.prefetch({}),
        lambda: store.resident(layer, IDS[:3]),
    ]
    if isinstance(store, SsdStore):
        calls += [store.populate, store.drop]
    for call in calls:
        with pytest.raises(StorageError, match="closed"):
            call()


def test_kernels_are_compiled_when_a_store_is_opened(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken: list[str] = []
    gathered: list[int] = []

    def noted(ids: Any, rows: Any, num_rows: int) -> Any:
        taken.append(str(ids.dtype))
        return take_rows(ids, rows, num_rows)

    monkeypatch.setattr("engramctl.storage.requests.distinct_ids.take_rows", noted)
    monkeypatch.setattr(
        "engramctl.storage.io.gather.gather_rows", lambda ids, *_: gathered.append(len(ids))
    )
    with open_store(folder, "ssd") as store:
        assert taken == ["int32", "int64"]
        assert gathered == [0]
        assert store.stats().rows_by_tier == {}


def test_a_fork_waits_for_a_compilation_of_another_thread() -> None:
    begun = threading.Event()

    def compile_long() -> None:
        with global_compiler_lock:
            begun.set()
            threading.Event().wait(0.5)

    thread = threading.Thread(target=compile_long)
    thread.start()
    assert begun.wait(30)
    assert in_child(lambda: global_compiler_lock._lock.acquire(timeout=5)) == 0
    thread.join(30)


def test_rows_of_a_mapping_outlive_its_store_while_a_gather_holds_them(folder: Path) -> None:
    """What no call counts, an interrupted one's threads, must not read unmapped memory."""
    held, mapped = open_store(folder, "host"), open_store(folder, "ssd")
    assert isinstance(held, HostStore)
    assert isinstance(mapped, SsdStore)
    assert isinstance(mapped.read, MappedRows)
    maps = [held.row_maps[1], mapped.read.layers[1].rows]
    for store in (held, mapped):
        store.close()
    one, other = (np.concatenate(rows.views) for rows in maps)
    assert np.array_equal(one, other)


def test_an_interrupt_in_a_gather_does_not_keep_close_from_ending(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*words: Any) -> torch.Tensor:
        store.close()  # as __exit__ of the same thread would, were the call never counted off
        raise KeyboardInterrupt

    for way in ("at_once", "finish"):
        monkeypatch.setattr(store, way, interrupted)
    with pytest.raises(KeyboardInterrupt):
        store.gather(1, IDS[:5])
    with pytest.raises(StorageError, match="closed"):
        store.gather(1, IDS[:5])


def test_a_start_that_fails_gives_its_place_back(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    def failing(requests: Any, keys: Any = None, *, ahead: bool = True) -> None:
        raise StorageError("no")

    with monkeypatch.context() as broken:
        broken.setattr(store, "start", failing)
        for _ in range(2):
            with pytest.raises(StorageError, match="no"):
                store.prefetch({1: IDS[:3]})
            assert not store.usage.tickets
    assert store.gather(1, IDS[:3]).shape == (3, store.row_dim)


def test_two_threads_waiting_for_one_layer_get_it_once(store: Store) -> None:
    def one(ticket: Any) -> bool:
        try:
            ticket.wait(4)
        except ValueError:
            return False
        return True

    with ThreadPoolExecutor(2) as pool:
        for _ in range(50):
            ticket = store.prefetch({4: IDS[:3], 1: IDS[:3]})
            assert sorted(pool.map(one, [ticket, ticket])) == [False, True]
            ticket.wait(1)
    assert not store.usage.tickets


@pytest.mark.usefixtures("_two_threads")
def test_a_forked_child_gathers_with_a_store_of_its_parent(store: Store) -> None:
    ids = np.random.default_rng(0).permutation(ROWS)
    want = store.gather(1, ids)
    assert in_child(lambda: torch.equal(store.gather(1, ids), want)) == 0
    assert torch.equal(store.gather(1, ids), want)


@pytest.fixture
def _two_threads() -> Iterator[None]:
    """Whatever torch has: in a forked child it has one, and no pool of ours would be used."""
    set_gather_threads(2)
    yield
    set_gather_threads(None)


@pytest.mark.usefixtures("_two_threads")
def test_a_child_forked_while_another_thread_gathers_does_not_hang(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    want = store.gather(1, IDS)
    finish = store.finish
    begun, go_on = held_up(store, monkeypatch)

    def job() -> bool:
        store.finish = finish  # type: ignore[method-assign]
        right = torch.equal(store.gather(1, IDS), want)
        store.close()
        return right

    with ThreadPoolExecutor(1) as pool:
        rows = pool.submit(store.gather, 1, IDS)
        assert begun.wait(30)
        with store.lock, store.usage.lock:  # locks that the child gets locked
            code = in_child(job)
        go_on.set()
        assert code == 0
        assert torch.equal(rows.result(30), want)


def test_a_ticket_of_the_parent_is_an_error_in_the_child(store: Store) -> None:
    ticket = store.prefetch({1: IDS[:3]})

    def job() -> bool:
        with pytest.raises(StorageError, match="before this process was forked"):
            ticket.wait(1)
        return store.prefetch({1: IDS[:3]}).wait(1).shape == (3, store.row_dim)

    assert in_child(job) == 0
    assert ticket.wait(1).shape == (3, store.row_dim)


def test_a_store_on_a_gpu_refuses_to_work_in_a_forked_child(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store, "device", torch.device("cuda", 0))

    def job() -> bool:
        with pytest.raises(StorageError, match="cannot be used after fork"):
            store.prefetch({1: IDS[:3]})
        store.close()
        return True

    assert in_child(job) == 0


def test_row_ids_are_hashed_in_a_forked_child() -> None:
    scheme = make_scheme("engram", slots=97)
    tokens = np.random.default_rng(0).integers(0, 1000, (4, 20_000))
    want = scheme.row_ids(tokens, 1)
    assert in_child(lambda: bool(np.array_equal(scheme.row_ids(tokens, 1), want))) == 0


class Rows(torch.utils.data.Dataset[bool]):
    def __init__(self, store: Store, want: torch.Tensor) -> None:
        self.store, self.want = store, want

    def __len__(self) -> int:
        return 4

    def __getitem__(self, index: int) -> bool:
        return torch.equal(self.store.gather(1, IDS), self.want)


@pytest.mark.filterwarnings("ignore:This process")
def test_workers_of_a_data_loader_gather(store: Store) -> None:
    data = Rows(store, store.gather(1, IDS))
    loader = torch.utils.data.DataLoader(
        data, num_workers=2, multiprocessing_context="fork", timeout=60
    )
    assert all(bool(right) for right in loader)
