"""Rows on a real GPU, from every tier, in every dtype."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from engramctl.errors import StorageError
from engramctl.storage import open_store
from engramctl.storage.device.torch_codecs import widen
from engramctl.storage.pinned.pinned import pinned_bytes
from engramctl.storage.reading.source import read_values
from engramctl.storage.record.dtypes import DTYPES
from engramctl.storage.record.record import RecordSpec
from engramctl.storage.tiers.pinned_host import PinnedHostStore
from engramctl.storage.writing.seeded_values import RowInit
from tests.storage.tables import make_plan, write

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device"),
]
ROWS, ROW_DIM = 3000, 64


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("dtypes")
    init = RowInit(seed=3)
    for dtype in DTYPES:
        plan = make_plan(dtype=dtype, row_dim=ROW_DIM, form="paged", rows={1: ROWS})
        plan.table_scales[1] = init.table_scale(plan.layout.record)  # type: ignore[index]
        write(plan, root / dtype, init=init)
    return {dtype: root / dtype for dtype in DTYPES}


# one kernel gives float32 whatever the tier; each form of it takes a fifth of a second to compile
WAYS = [(tier, torch.bfloat16) for tier in ("gpu", "host", "ssd")] + [("gpu", torch.float32)]


@pytest.mark.parametrize(("tier", "out_dtype"), WAYS)
@pytest.mark.parametrize("dtype", DTYPES)
def test_rows_reach_a_gpu_from_every_tier(
    folders: dict[str, Path], dtype: str, out_dtype: torch.dtype, tier: str
) -> None:
    ids = np.random.default_rng(0).integers(0, ROWS, (25, 40))
    with open_store(folders[dtype], tier, dtype=out_dtype, device="cuda") as store:
        expected = torch.from_numpy(read_values(store.table, 1, ids.ravel())).to(out_dtype)
        out = torch.full((*ids.shape, ROW_DIM), -3.0e38, dtype=out_dtype, device="cuda")
        assert store.gather(1, torch.from_numpy(ids).cuda(), out) is out
        assert torch.equal(out.cpu().view(-1, ROW_DIM), expected)
        assert torch.equal(store.gather(1, ids.astype(np.int32)), out)
        assert store.gather(1, np.empty((0, 4), np.int64)).shape == (0, 4, ROW_DIM)


@pytest.mark.parametrize("dtype", DTYPES)
def test_any_bytes_are_widened_on_a_gpu_as_on_a_cpu(dtype: str) -> None:
    """Subnormal, infinite and NaN scales too: a GPU must not flush or fuse what a CPU does not."""
    spec = RecordSpec(dtype, 128)
    random = np.random.default_rng(5)
    records = torch.from_numpy(random.integers(0, 256, (4096, spec.record_bytes), dtype=np.uint8))
    expected = widen(spec, records, 0.3)
    found = widen(spec, records.cuda(), 0.3).cpu()
    number = ~expected.isnan()
    assert torch.equal(found.isnan(), ~number)
    bits = torch.int16 if expected.element_size() == 2 else torch.int32
    assert torch.equal(found[number].view(bits), expected[number].view(bits))


@pytest.mark.parametrize("copied_from", [0, None])
@pytest.mark.parametrize("dtype", DTYPES)
def test_both_ways_out_of_pinned_memory_give_the_plain_rows(
    folders: dict[str, Path], dtype: str, copied_from: int | None
) -> None:
    before = pinned_bytes()
    ids = np.random.default_rng(2).integers(0, ROWS, 2000)
    with open_store(folders[dtype], "host", dtype=torch.float32, device="cuda") as store:
        assert isinstance(store, PinnedHostStore)
        if copied_from is None and not store.reads_in_place:
            pytest.skip(store.engine_chosen_because)
        assert store.memory.tensor.is_pinned()
        store.crossover = replace(store.crossover, rows=copied_from)
        expected = torch.from_numpy(read_values(store.table, 1, ids))
        for given in (ids, torch.from_numpy(ids).cuda()):
            out = torch.full((len(ids), ROW_DIM), -3.0e38, device="cuda")
            store.gather(1, given, out)
            assert torch.equal(out.cpu(), expected)
        store.check_ids()
        assert pinned_bytes() > before
    assert pinned_bytes() == before


def test_a_step_in_place_is_captured_and_replayed_with_other_ids(tmp_path: Path) -> None:
    write(make_plan(form="packed", rows={1: ROWS}), tmp_path / "table")
    ids = torch.arange(48, device="cuda")
    with open_store(tmp_path / "table", "host", device="cuda") as store:
        assert isinstance(store, PinnedHostStore)
        if not store.reads_in_place:
            pytest.skip(store.engine_chosen_because)
        out = store.gather(1, ids)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            store.gather(1, ids, out)
        other = torch.arange(ROWS - 48, ROWS, device="cuda")
        ids.copy_(other)
        graph.replay()
        expected = torch.from_numpy(read_values(store.table, 1, other.cpu().numpy()))
        assert torch.equal(out.cpu(), expected.to(store.dtype))


@pytest.mark.parametrize("tier", ["gpu", "host", "ssd"])
def test_one_prefetch_serves_layers_on_another_stream(tmp_path: Path, tier: str) -> None:
    plan = make_plan(form="paged", rows={1: ROWS, 2: ROWS})
    write(plan, tmp_path / "table")
    ids = np.random.default_rng(1).integers(0, ROWS, (512, 24))
    with open_store(tmp_path / "table", tier, device="cuda") as store:
        stream = torch.cuda.Stream()  # type: ignore[no-untyped-call]
        with torch.cuda.stream(stream):
            ticket = store.prefetch({1: ids, 2: ids})
            rows = {layer: ticket.wait(layer) for layer in (2, 1)}
        stream.synchronize()
        for layer, found in rows.items():
            expected = torch.from_numpy(read_values(store.table, layer, ids.ravel()))
            assert torch.equal(found.cpu().view(len(expected), -1), expected.to(store.dtype))


def test_records_beyond_two_gib_are_read_where_they_lie() -> None:
    spec = RecordSpec("f8_e4m3", 256)
    rows = 2**31 // spec.record_bytes + 1000
    if torch.cuda.mem_get_info()[0] < rows * spec.record_bytes * 1.2:
        pytest.skip("needs 2.4 GiB of device memory")
    records = torch.zeros((rows, spec.record_bytes), dtype=torch.uint8, device="cuda")
    last = torch.randint(0, 127, (1000, spec.record_bytes), dtype=torch.uint8)
    records[-1000:] = last.cuda()
    ids = torch.arange(rows - 1000, rows, device="cuda")
    found = widen(spec, records.index_select(0, ids), 1.0)
    assert torch.equal(found.cpu(), widen(spec, last, 1.0))


def test_a_table_larger_than_the_device_is_an_error_with_a_way_out(
    folders: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    def too_much(store: object, layer: int) -> torch.Tensor:
        return torch.empty(1 << 50, dtype=torch.uint8, device="cuda")

    monkeypatch.setattr("engramctl.storage.tiers.gpu.GpuStore.allocated", too_much)
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (1000, 1 << 40))
    with pytest.raises(StorageError, match="does not fit"):
        open_store(folders["bf16"], "gpu")
