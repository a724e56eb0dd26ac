"""Records gathered and dequantised on a real GPU, by Triton and by torch."""

import numpy as np
import pytest
import torch

from engramctl.storage.device import triton_gather
from engramctl.storage.device.bad_ids import BadIds
from engramctl.storage.device.gathering import Gathering
from engramctl.storage.record.codecs import decode
from engramctl.storage.record.record import RecordSpec
from tests.storage.device import gathers

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device"),
]
FAR_BYTES = 5 << 30


def here() -> torch.device:
    return torch.device("cuda", torch.cuda.current_device())


@pytest.mark.parametrize("kernel", ["triton", "torch"])
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32])
def test_a_gpu_gives_the_plain_rows(
    dtype: torch.dtype, kernel: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In the form for many rows: that for few is what `tests/storage/tiers` runs."""
    monkeypatch.setattr(triton_gather, "FEW_PROGRAMS", 0)
    wrong = []
    for seed, spec in enumerate(gathers.specs((33, 96))):
        if spec.facts.block_values == 1 and spec.row_dim == 96:
            continue  # a form takes a third of a second to compile
        case = gathers.made(spec, seed, 65, bad=seed % 3 != 0)
        said = gathers.compared(Gathering(spec, here(), dtype, kernel), case)
        wrong += [f"{spec}: {said}"] if said != "same" else []
    assert wrong == []


@pytest.mark.parametrize("kernel", ["triton", "torch"])
def test_a_gpu_copies_records_as_they_are(kernel: str) -> None:
    for seed, name in enumerate(("f8_e4m3", "int8", "int8_f16", "q4_0", "bf16")):
        spec = RecordSpec(name, 96)
        gathering = Gathering(spec, here(), torch.uint8, kernel)
        for count in (0, 1, 65, 5000):
            case = gathers.made(spec, seed, count, bad=True)
            assert gathers.compared(gathering, case) == "same"
            assert gathers.copied(gathering, case) == "same"


def test_triton_is_what_a_gpu_gets() -> None:
    gathering = Gathering(RecordSpec("f8_e4m3", 256), here(), torch.bfloat16)
    assert gathering.kernel == "triton", gathering.why


def test_pinned_rows_are_read_over_the_bus() -> None:
    spec = RecordSpec("f8_e4m3", 256)
    random = np.random.default_rng(0)
    records = torch.from_numpy(random.integers(0, 127, (999, 264), dtype=np.uint8)).pin_memory()
    ids = torch.from_numpy(random.integers(0, 999, 48))
    out = torch.full((48, 256), gathers.POISON, device=here())
    Gathering(spec, here(), torch.float32, "triton").gather(records, ids.to(here()), 1.0, out)
    assert torch.equal(out.cpu(), torch.from_numpy(decode(spec, records[ids].numpy())))


@pytest.mark.parametrize("kernel", ["triton", "torch"])
def test_rows_beyond_32_bit_addresses_are_found(kernel: str) -> None:
    if torch.cuda.mem_get_info()[0] < FAR_BYTES + (1 << 30):
        pytest.skip("needs 6 GiB of device memory")
    spec = RecordSpec("f8_e4m3", 256)
    table = torch.zeros((FAR_BYTES // 264, 264), dtype=torch.uint8, device=here())
    ids = torch.tensor([0, (1 << 31) // 264 + 1, (1 << 32) // 264 + 1, len(table) - 1])
    random = np.random.default_rng(0).integers(0, 127, (len(ids), 264), dtype=np.uint8)
    table[ids.to(here())] = torch.from_numpy(random).to(here())
    out = torch.full((len(ids), 256), gathers.POISON, device=here())
    Gathering(spec, here(), torch.float32, kernel).gather(table, ids.to(here()), 1.0, out)
    assert torch.equal(out.cpu(), torch.from_numpy(decode(spec, random)))


def test_a_flag_tells_of_bad_ids_behind_the_gather_and_once() -> None:
    told = BadIds(here())
    told.note()
    assert told.check() is None
    told.tensor.fill_(5)
    for _ in range(9):
        told.note()
    torch.cuda.synchronize()
    assert (told.found(), told.check()) == (5, 5)
    told.clear()
    assert told.found() is None
    told.note()
    torch.cuda.synchronize()
    assert (told.found(), told.check()) == (None, None)
