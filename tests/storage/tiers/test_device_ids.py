"""Row ids on the device of a gpu tier: they stay there, and a bad one is told of later, once."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from engramctl.errors import StorageError
from engramctl.storage import Store, open_store
from engramctl.storage.reading.source import read_values
from engramctl.storage.reading.table import open_table
from engramctl.storage.tiers import gpu
from engramctl.storage.tiers.gpu import GpuStore
from tests.helpers.fake_cuda import fake_cuda
from tests.storage.tables import make_plan, write

ROWS, ROW_DIM = 300, 64
POISON = -3.0e38
SHAPES: dict[str, Callable[[torch.Tensor], torch.Tensor]] = {
    "flat": lambda ids: ids,
    "of two axes": lambda ids: ids.view(4, 6),
    "transposed": lambda ids: ids.view(4, 6).T,
    "strided": lambda ids: ids.view(4, 6)[:, ::2],
    "none": lambda ids: ids.view(4, 6)[:, :0],
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("ids") / "table"
    write(make_plan(row_dim=ROW_DIM, form="packed", rows={1: ROWS, 2: ROWS + 1}), path)
    return path


@pytest.fixture
def store(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A gpu tier on the CPU, for which tensors there are on its device, and arrays are not."""
    monkeypatch.setattr(gpu, "on_a_device", lambda ids: isinstance(ids, torch.Tensor))
    with GpuStore(open_table(folder), torch.float32, torch.device("cpu")) as opened:
        yield opened


@pytest.mark.parametrize("kind", [torch.int32, torch.int64])
@pytest.mark.parametrize("shape", SHAPES)
def test_ids_of_any_shape_give_the_plain_rows(store: Store, shape: str, kind: torch.dtype) -> None:
    random = np.random.default_rng(0).integers(0, ROWS, 24)
    ids = SHAPES[shape](torch.from_numpy(random).to(kind))
    flat = ids.reshape(-1).numpy()
    right = torch.from_numpy(read_values(store.table, 1, flat)) if len(flat) else torch.empty(0)
    out = torch.full((*ids.shape, ROW_DIM), POISON)
    assert store.gather(1, ids, out) is out
    assert torch.equal(out.view(-1, ROW_DIM), right.view(-1, ROW_DIM))
    assert torch.equal(store.prefetch({1: ids}).wait(1), out)
    assert store.stats().rows_asked == store.stats().rows_unique == 2 * len(flat)


def test_prefetch_copies_the_ids(store: Store) -> None:
    for ids in (torch.arange(6), torch.arange(12)[::2], torch.arange(6).view(2, 3).T):
        right = store.gather(2, ids)
        ticket = store.prefetch({2: ids})
        ids.fill_(-1)
        assert torch.equal(ticket.wait(2), right)
    store.check_ids()


BAD = {
    "gather": lambda store: store.gather(2, torch.tensor([0])),
    "gather of ids on the CPU": lambda store: store.gather(2, np.array([0])),
    "prefetch": lambda store: store.prefetch({1: torch.tensor([0])}),
    "stats": lambda store: store.stats(),
    "check_ids": lambda store: store.check_ids(),
}


@pytest.mark.parametrize("call", BAD)
@pytest.mark.parametrize("wrong", [-1, ROWS, 2**31 - 1, -(2**31)])
def test_a_bad_id_gives_nan_and_is_told_by_the_next_call_once(
    store: Store, wrong: int, call: str
) -> None:
    ids = torch.arange(24).view(4, 6)
    ids[2, 3] = ids[3, 1] = wrong
    rows = store.gather(1, ids).view(24, ROW_DIM)
    is_bad = (ids == wrong).flatten()
    assert bool(rows[is_bad].isnan().all())
    assert not bool(rows[~is_bad].isnan().any())
    said = rf"row id at position 15 of a request.* outside \[0, {ROWS}\) of layer 1"
    with pytest.raises(ValueError, match=said):
        BAD[call](store)
    BAD[call](store)


def test_a_wait_tells_too_and_the_layer_that_it_is(store: Store) -> None:
    ticket = store.prefetch({1: torch.tensor([0]), 2: torch.tensor([5, ROWS + 1])})
    ticket.wait(2)
    with pytest.raises(ValueError, match=rf"position 1 .* outside \[0, {ROWS + 1}\) of layer 2"):
        ticket.wait(1)


def test_nothing_is_told_when_the_store_is_closed(store: Store) -> None:
    store.gather(1, torch.tensor([-1]))
    store.close()
    store.stats()
    with pytest.raises(StorageError, match="closed"):
        store.check_ids()


def test_other_tiers_have_nothing_to_check(folder: Path) -> None:
    for tier in ("host", "ssd"):
        with open_store(folder, tier) as store:
            store.check_ids()
        with pytest.raises(StorageError, match="closed"):
            store.check_ids()


def test_ids_on_the_device_stay_there_and_nothing_waits(folder: Path) -> None:
    """What goes to the host is 8 bytes a gather, behind it, and is not waited for."""
    with fake_cuda() as machine, open_store(folder, "gpu", device="cuda:1") as store:
        for kind in (torch.int32, torch.int64):
            for shape in SHAPES:
                base = torch.zeros(24, dtype=kind, device="cuda:1")
                ids = SHAPES[shape](base)
                store.gather(1, ids)  # constants go there once, where torch gathers
                machine.uploads.clear()
                machine.queued.clear()
                machine.launches.clear()
                out = torch.empty((*ids.shape, ROW_DIM), dtype=torch.bfloat16, device="cuda:1")
                assert store.gather(1, ids, out) is out
                ticket = store.prefetch({1: ids, 2: ids})
                assert ticket.wait(2).device == store.device
                assert ticket.wait(1, out) is out
                assert machine.queued == [8] * 3
                wanted = 3 if ids.numel() and store.engine == "triton" else 0
                assert machine.launches == [("gather", 1)] * wanted
                assert not machine.uploads + machine.downloads + machine.waits
        store.stats()
        assert not machine.downloads + machine.waits
        for wrong in (base.float(), base[0], base.to("cuda:0")):
            with pytest.raises(ValueError, match="row ids must be"):
                store.gather(1, wrong)
        with pytest.raises(ValueError, match="layer 7"):
            store.gather(7, base)


def test_the_engine_of_the_gpu_tier_and_its_reason_are_told(folder: Path) -> None:
    with GpuStore(open_table(folder), torch.float32, torch.device("cpu")) as store:
        assert (store.engine, store.stats().engine) == ("torch", "torch")
        assert "need a CUDA device" in str(store.engine_chosen_because)
    with fake_cuda():
        for engine in ("torch", "auto"):
            with open_store(folder, "gpu", engine=engine) as store:
                if engine == "torch":
                    assert (store.engine, store.engine_chosen_because) == (
                        "torch", "it was asked for",
                    )  # fmt: skip
        pytest.importorskip("triton", reason="needs triton")
        with open_store(folder, "gpu") as store:
            assert store.engine == "triton"


def test_memory_of_the_device_is_that_of_the_rows_and_is_given_back(folder: Path) -> None:
    with fake_cuda() as machine:
        store = open_store(folder, "gpu")
        assert isinstance(store, GpuStore)
        held = [store.allocated(layer).untyped_storage().nbytes() for layer in store.layers]
        record = store.table.record.record_bytes
        assert held == [ROWS * record, (ROWS + 1) * record]
        store.gather(1, torch.zeros(3, dtype=torch.int64, device="cuda:0"))
        store.close()
        assert machine.waits == ["cuda:0"]


@pytest.mark.parametrize("kind", [torch.int32, torch.int64])
def test_a_captured_step_queues_the_gather_and_asks_nothing(
    folder: Path, kind: torch.dtype
) -> None:
    with fake_cuda() as machine, open_store(folder, "gpu", device="cuda:0") as store:
        ids = torch.zeros((4, 6), dtype=kind, device="cuda:0")
        machine.uploads.clear()
        machine.capturing = True
        ticket = store.prefetch({1: ids})
        store.stats()
        assert ticket.wait(1).shape == (4, 6, ROW_DIM)
        machine.capturing = False
        assert not machine.queued + machine.uploads + machine.downloads + machine.waits
