"""What a host store pins for a GPU: the table, no more, and nothing once it is over.

Registrations and devices are those of a fake machine.
"""

import gc
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from engramctl.errors import ConfigError, FormatError, StorageError
from engramctl.storage import open_store
from engramctl.storage.memory.host_memory import PAGE
from engramctl.storage.pinned import crossover, driver, staging
from engramctl.storage.pinned.crossover import Crossover, Times
from engramctl.storage.pinned.pinned import pinned_bytes
from engramctl.storage.tiers.host import HostStore
from engramctl.storage.tiers.pinned_host import PinnedHostStore
from tests.helpers.fake_cuda import fake_cuda
from tests.helpers.forked import in_child
from tests.helpers.mapped import is_mapped
from tests.storage.tables import make_plan, write

COPIED, IN_PLACE = 0, None  # from how many rows on they are copied
TIMES = (Times(48, 1, 2),)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("ends") / "t"
    write(make_plan(form="paged", row_dim=64, rows={1: 300, 2: 77}), path)
    return path


@pytest.fixture(autouse=True)
def _measured_shortly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(crossover, "REPEATS", 1)


@pytest.fixture
def pinned() -> Iterator[None]:
    """Nothing is pinned before, and nothing after."""
    gc.collect()
    assert pinned_bytes() == 0
    yield
    gc.collect()
    assert pinned_bytes() == 0


def on_gpu(path: Path, **words: Any) -> PinnedHostStore:
    store = open_store(path, "host", device="cuda", **words)
    assert isinstance(store, PinnedHostStore)
    return store


@pytest.mark.usefixtures("pinned")
def test_a_host_store_for_a_gpu_pins_the_table_and_not_one_per_cent_more(tmp_path: Path) -> None:
    rows = {1: 40_000, 3: 9_000}
    write(make_plan(form="packed", rows=rows, row_dim=256), tmp_path / "t")
    with fake_cuda() as machine:
        with on_gpu(tmp_path / "t") as store:
            table = sum(rows.values()) * 264
            found = store.facts["pinned_bytes"]
            assert table <= found <= 1.01 * table
            assert pinned_bytes() == sum(machine.cudart.spans.values())
            assert pinned_bytes() == found + store.facts["staging_bytes"] // PAGE * PAGE
            assert store.engine == "triton"
        assert machine.cudart.spans == {}
    with open_store(tmp_path / "t", "host") as store_on_cpu:
        assert isinstance(store_on_cpu, HostStore)


@pytest.mark.usefixtures("pinned")
def test_a_device_that_fails_at_the_end_keeps_no_memory(folder: Path) -> None:
    with fake_cuda() as machine, pytest.MonkeyPatch.context() as broken:
        store = on_gpu(folder)
        broken.setattr(torch.cuda, "synchronize", _illegal_access)
        with pytest.raises(RuntimeError, match="illegal memory access"):
            store.close()
        assert machine.cudart.spans == {}


def _illegal_access(*_: Any) -> None:
    raise RuntimeError("CUDA error: an illegal memory access was encountered")


@pytest.mark.usefixtures("pinned")
def test_a_step_waits_for_nothing_and_moves_no_more_than_it_must(folder: Path) -> None:
    with fake_cuda() as machine, on_gpu(folder) as store:
        for copied_from, host_ids, uploads, launches in (
            (IN_PLACE, True, 1, 1),  # the ids
            (COPIED, True, 1, 1),  # the records
            (COPIED, False, 0, 1),
            (IN_PLACE, False, 0, 1),
        ):
            store.crossover = Crossover(copied_from, TIMES, "")
            ids: Any = np.arange(48) if host_ids else torch.arange(48, device="cuda")
            machine.uploads.clear()
            machine.launches.clear()
            before = list(machine.waits)
            store.staging.read[:] = [None] * staging.BUFFERS  # the device is done with them
            assert store.gather(1, ids).device == torch.device("cuda", 0)
            assert (len(machine.uploads), len(machine.launches)) == (uploads, launches)
            assert machine.waits == before
            assert not machine.downloads


@pytest.mark.usefixtures("pinned")
@pytest.mark.parametrize("copied_from", [COPIED, IN_PLACE])
def test_row_ids_on_the_host_are_not_captured(folder: Path, copied_from: int | None) -> None:
    """A replay would find what the buffers hold by then, and give other rows without a word."""
    with fake_cuda() as machine, on_gpu(folder) as store:
        store.crossover = Crossover(copied_from, TIMES, "")
        ids = torch.arange(48, device="cuda")
        ticket = store.prefetch({1: np.arange(48)})
        machine.uploads.clear()
        machine.launches.clear()
        machine.capturing = True
        with pytest.raises(ConfigError, match="row ids on the host cannot be captured"):
            ticket.wait(1)
        with pytest.raises(ConfigError, match="row ids on the host cannot be captured"):
            store.gather(1, np.arange(48))
        assert (machine.uploads, machine.launches) == ([], [])
        store.gather(1, ids)
        assert [name for name, _ in machine.launches] == ["gather"]
        machine.capturing = False


@pytest.mark.usefixtures("pinned")
@pytest.mark.parametrize("why", ["torch", "driver"])
def test_where_no_kernel_reads_host_memory_all_is_copied_and_told(folder: Path, why: str) -> None:
    with fake_cuda() as machine, pytest.MonkeyPatch.context() as patch:  # undone before it ends
        patch.setattr(driver, "reads_registered", lambda index: why == "torch")
        with on_gpu(folder, engine="torch" if why == "torch" else "auto") as store:
            said = {"torch": "torch reads no host memory", "driver": "does not read registered"}
            assert said[why] in store.engine_chosen_because
            assert (store.crossover.rows, store.facts["crossover"]) == (0, [])
            assert not store.reads_in_place
            machine.uploads.clear()
            store.gather(1, np.arange(5))
            assert len(machine.uploads) == 1
            with pytest.raises(Exception, match=r"."):  # ids there must come here: fake ones cannot
                store.gather(1, torch.arange(5, device="cuda"))


@pytest.mark.usefixtures("pinned")
@pytest.mark.parametrize("fails", [0, 1])
def test_a_table_or_buffers_that_cannot_be_pinned_leave_nothing_behind(
    folder: Path, fails: int
) -> None:
    with fake_cuda() as machine:
        machine.cudart.fails = fails
        with pytest.raises(StorageError, match="does not register host memory") as caught:
            on_gpu(folder)
        assert "--tier ssd" in str(caught.value.hint)
        assert machine.cudart.spans == {}


STEPS: dict[str, str] = {
    "reading": "_fill",
    "bad ids": "BadIds",
    "staging": "Staging",
    "crossover": "crossover.measured",
}


@pytest.mark.usefixtures("pinned")
@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("error", [FormatError("no"), KeyboardInterrupt()])
def test_an_error_while_a_store_is_opened_unpins_all(
    folder: Path, monkeypatch: pytest.MonkeyPatch, step: str, error: BaseException
) -> None:
    def failing(*words: Any, **more: Any) -> None:
        raise error

    monkeypatch.setattr(f"engramctl.storage.tiers.pinned_host.{STEPS[step]}", failing)
    with fake_cuda() as machine:
        with pytest.raises(type(error)):
            on_gpu(folder)
        assert machine.cudart.calls > 0
        assert machine.cudart.spans == {}


@pytest.mark.usefixtures("pinned")
@pytest.mark.parametrize("way", [COPIED, IN_PLACE])
def test_dropped_tickets_and_failed_gathers_keep_nothing_pinned(
    folder: Path, monkeypatch: pytest.MonkeyPatch, way: int | None
) -> None:
    with fake_cuda() as machine:
        store = on_gpu(folder)
        store.crossover = Crossover(way, TIMES, "")
        kept = [store.prefetch({1: np.arange(48)}) for _ in range(3)]
        held = pinned_bytes()
        kept.pop()
        with monkeypatch.context() as broken:
            for name in ("gather", "queue"):
                broken.setattr(f"engramctl.storage.device.gathering.Gathering.{name}", _failing)
            with pytest.raises(RuntimeError, match="no"):
                store.gather(1, np.arange(48))
        store.gather(1, np.arange(48))
        assert pinned_bytes() == held
        address = store.memory.address
        store.close()
        assert machine.cudart.spans == {}
        assert not is_mapped(address)
        with pytest.raises(StorageError, match="closed"):
            kept[0].wait(1)


def _failing(*words: Any, **more: Any) -> None:
    raise RuntimeError("no")


@pytest.mark.usefixtures("pinned")
def test_close_waits_for_the_device_before_it_unpins(folder: Path) -> None:
    with fake_cuda() as machine:
        store = on_gpu(folder)
        waits = len(machine.waits)
        spans: list[int] = []
        unregister: Callable[[int], int] = machine.cudart.cudaHostUnregister

        def noted(start: int) -> int:
            spans.append(len(machine.waits))
            return unregister(start)

        machine.cudart.cudaHostUnregister = noted  # type: ignore[method-assign]
        store.close()
        assert machine.waits[waits] == "cuda:0"
        assert min(spans) > waits


@pytest.mark.usefixtures("pinned")
def test_a_store_nobody_closed_is_unpinned_by_the_collector(folder: Path) -> None:
    with fake_cuda() as machine:
        store = on_gpu(folder)
        assert pinned_bytes() > 0
        del store
        gc.collect()
        assert machine.cudart.spans == {}


@pytest.mark.usefixtures("pinned")
def test_a_forked_child_cannot_use_the_store_and_unpins_nothing(folder: Path) -> None:
    with fake_cuda() as machine:
        store = on_gpu(folder)
        held = pinned_bytes()
        spans = dict(machine.cudart.spans)

        def job() -> bool:
            with pytest.raises(StorageError, match="cannot be used after fork"):
                store.gather(1, np.arange(3))
            store.close()
            return machine.cudart.spans == spans

        assert in_child(job) == 0
        assert pinned_bytes() == held
        store.close()
