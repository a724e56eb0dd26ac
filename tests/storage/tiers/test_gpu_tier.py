"""The gpu tier without a GPU: its operations on the CPU, its devices on a fake machine."""

from pathlib import Path

import numpy as np
import pytest
import torch

from engramctl.errors import ConfigError, StorageError, TierUnavailable
from engramctl.storage import Store, open_store
from engramctl.storage.reading.source import read_values
from engramctl.storage.reading.table import open_table
from engramctl.storage.record.dtypes import DTYPES
from engramctl.storage.tiers.door import indexed
from engramctl.storage.tiers.gpu import GpuStore
from engramctl.storage.writing.seeded_values import RowInit
from tests.helpers.fake_cuda import DEVICES, fake_cuda
from tests.storage.tables import make_plan, write

ROWS, ROW_DIM = 300, 64
POISON = float("nan")


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A table of each dtype."""
    root = tmp_path_factory.mktemp("dtypes")
    init = RowInit(seed=3)
    for dtype in DTYPES:
        plan = make_plan(dtype=dtype, row_dim=ROW_DIM, form="packed", rows={1: ROWS})
        plan.table_scales[1] = init.table_scale(plan.layout.record)  # type: ignore[index]
        write(plan, root / dtype, init=init)
    return {dtype: root / dtype for dtype in DTYPES}


def on_cpu(folder: Path, dtype: torch.dtype = torch.float32) -> Store:
    return GpuStore(open_table(folder), dtype, torch.device("cpu"))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("out_dtype", [torch.float32, torch.bfloat16])
def test_rows_of_every_dtype_come_back_across_chunks(
    folders: dict[str, Path], dtype: str, out_dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("engramctl.storage.tiers.gpu._CHUNK_ROWS", 7)
    monkeypatch.setattr("engramctl.storage.device.torch_gather.CHUNK_ROWS", 7)
    ids = np.random.default_rng(0).integers(0, ROWS, (5, 9))
    with on_cpu(folders[dtype], out_dtype) as store:
        out = torch.full((5, 9, ROW_DIM), POISON, dtype=out_dtype)
        assert store.gather(1, ids, out) is out
        expected = torch.from_numpy(read_values(store.table, 1, ids.ravel())).to(out_dtype)
        assert torch.equal(out.view(-1, ROW_DIM), expected)


@pytest.mark.parametrize("dtype", ["f8_e4m3", "int8", "q4_0"])
def test_rows_as_they_are_stored_come_back_too(folders: dict[str, Path], dtype: str) -> None:
    ids = np.random.default_rng(0).integers(0, ROWS, (5, 9))
    with on_cpu(folders[dtype], torch.uint8) as store:
        width = store.table.record.record_bytes
        rows = store.gather(1, ids, torch.full((5, 9, width), 0xA5, dtype=torch.uint8))
        stored = np.concatenate(open_table(folders[dtype]).read_rows(1, ids.ravel()), axis=1)
        assert np.array_equal(rows.view(-1, width).numpy(), stored)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", [(0,), (0, 4), (1, 0), (3, 0, 2)])
def test_no_ids_give_no_rows(folders: dict[str, Path], dtype: str, shape: tuple[int, ...]) -> None:
    ids = np.empty(shape, np.int64)
    with on_cpu(folders[dtype]) as store:
        assert store.gather(1, ids).shape == (*shape, ROW_DIM)
        out = torch.empty((*shape, ROW_DIM))
        assert store.gather(1, torch.from_numpy(ids), out) is out


@pytest.mark.parametrize("engine", ["auto", "torch"])
@pytest.mark.parametrize("dtype", DTYPES)
def test_a_gather_stays_on_its_device_and_waits_for_nothing(
    folders: dict[str, Path], dtype: str, engine: str
) -> None:
    """The ids go to the device, and nothing else does once a gather of the dtype has been made."""
    with (
        fake_cuda() as machine,
        open_store(folders[dtype], "gpu", device="cuda:1", engine=engine) as store,
    ):
        assert store.device == torch.device("cuda:1")
        store.gather(1, np.arange(3))
        for shape in ((2, 3), (0, 4)):
            machine.uploads.clear()
            out = torch.empty((*shape, ROW_DIM), dtype=torch.bfloat16, device="cuda:1")
            assert store.gather(1, np.zeros(shape, np.int64), out) is out
            assert len(machine.uploads) == 1
        assert not machine.downloads + machine.waits
        assert store.gather(1, np.zeros((2, 3), np.int32)).device == store.device
    assert machine.waits == ["cuda:1"]  # before its memory is given back


@pytest.mark.parametrize("tier", ["gpu", "host", "ssd"])
@pytest.mark.parametrize("current", [0, 1])
def test_cuda_is_the_current_device_by_its_index(
    folders: dict[str, Path], tier: str, current: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    with fake_cuda(current):
        assert indexed("cuda") == torch.device("cuda", current)
        for name in ("cuda", f"cuda:{current}"):
            store = open_store(folders["bf16"], tier, device=name)
            # a fake tensor has no memory that a gather could write to
            monkeypatch.setattr(type(store), "finish", lambda *arguments: arguments[-1])
            getattr(store, "below", store).near.clear()
            shape = (2, 3, ROW_DIM)
            out = torch.empty(shape, dtype=torch.bfloat16, device=f"cuda:{current}")
            assert store.gather(1, np.zeros((2, 3), np.int64), out) is out
            other = torch.empty(shape, dtype=torch.bfloat16, device=f"cuda:{1 - current}")
            for wrong in (other, out.cpu()):
                with pytest.raises(ValueError, match=f"on cuda:{current}, not"):
                    store.gather(1, np.zeros((2, 3), np.int64), wrong)
            store.close()


def test_the_gpu_tier_takes_the_current_device_unless_one_is_named(
    folders: dict[str, Path],
) -> None:
    with fake_cuda(1):
        assert open_store(folders["bf16"], "gpu").device == torch.device("cuda:1")
        assert open_store(folders["bf16"], "gpu", device="cuda:0").device == torch.device("cuda:0")
        assert open_store(folders["bf16"], "host").device == torch.device("cpu")


@pytest.mark.parametrize("tier", ["gpu", "host", "ssd"])
def test_a_device_that_is_not_here_is_refused_when_the_store_is_opened(
    folders: dict[str, Path], tier: str
) -> None:
    with fake_cuda():
        with pytest.raises(TierUnavailable, match="no device cuda:2 here") as caught:
            open_store(folders["bf16"], tier, device="cuda:2")
        assert caught.value.facts == {"CUDA devices": DEVICES}
    with pytest.raises(ConfigError, match="unknown device 'gpu'"):
        indexed("gpu")


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has the device")
@pytest.mark.parametrize("tier", ["gpu", "host", "ssd"])
@pytest.mark.parametrize("device", ["cuda", "cuda:0", torch.device("cuda", 1)])
def test_without_cuda_no_store_is_opened_for_it(
    folders: dict[str, Path], tier: str, device: torch.device | str
) -> None:
    with pytest.raises(TierUnavailable, match=r"torch (finds no CUDA|was built without)"):
        open_store(folders["bf16"], tier, device=device)


def test_a_table_larger_than_the_device_is_refused(
    folders: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(store: GpuStore, layer: int) -> torch.Tensor:
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(GpuStore, "allocated", full)
    with fake_cuda():
        monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (1000, 80 << 30))
        with pytest.raises(StorageError, match="does not fit") as caught:
            open_store(folders["bf16"], "gpu")
    assert caught.value.facts == {
        "needed": f"{ROWS * ROW_DIM * 2:,} bytes", "limit": "1,000 bytes",
    }  # fmt: skip
    assert "--tier host" in str(caught.value.hint)
