"""Records gathered and dequantised on a device: any dtype, shape and ids, by either kernel."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from engramctl.errors import ConfigError
from engramctl.storage.device import torch_gather, triton_gather
from engramctl.storage.device.gathering import Gathering
from engramctl.storage.record.dtypes import DTYPES
from engramctl.storage.record.record import RecordSpec
from tests.conftest import ROOT
from tests.helpers.fake_cuda import fake_cuda
from tests.storage.device import gathers

CPU = torch.device("cpu")
V41 = RecordSpec("f8_e4m3", 256)


@pytest.mark.parametrize("section", ["rows", "presets", "records", "addresses"])
def test_triton_gives_the_plain_rows_where_it_is_interpreted(section: str) -> None:
    pytest.importorskip("triton", reason="needs triton, which CPU builds of torch do not bring")
    ended = subprocess.run(
        [sys.executable, "-m", "tests.storage.device.triton_interpreted", section], cwd=ROOT,
        env={**os.environ, "TRITON_INTERPRET": "1"}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert ended.returncode == 0, ended.stderr
    lines = ended.stdout.splitlines()
    assert len(lines) >= 4
    assert [line for line in lines if not line.endswith(": same")] == []


@settings(deadline=None, max_examples=150)
@given(
    spec=st.sampled_from(gathers.specs()), seed=st.integers(0, 2**31),
    count=st.sampled_from(gathers.COUNTS), bad=st.booleans(), chunk=st.sampled_from([1, 7, 4096]),
    dtype=st.sampled_from([torch.bfloat16, torch.float32, torch.uint8]),
)  # fmt: skip
def test_torch_gives_the_plain_rows(
    spec: RecordSpec, seed: int, count: int, bad: bool, chunk: int, dtype: torch.dtype
) -> None:
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(torch_gather, "CHUNK_ROWS", chunk)
        case = gathers.made(spec, seed, count, bad=bad)
        assert gathers.compared(Gathering(spec, CPU, dtype), case) == "same"
        assert gathers.copied(Gathering(spec, CPU, dtype), case) == "same"


def test_a_flag_keeps_the_least_position_of_several_gathers() -> None:
    gathering = Gathering(V41, CPU, torch.float32)
    records, out = torch.zeros((3, 264), dtype=torch.uint8), torch.empty((4, 256))
    flag = torch.full((1,), 2**62)
    for ids, least in (([0, 1, 2, 3], 3), ([0, -1, 2, 9], 1), ([0, 1, -7, 2], 1), ([0], 1)):
        gathering.gather(records, torch.tensor(ids), 1.0, out[: len(ids)], bad=flag)
        assert int(flag) == least


def test_of_no_records_every_id_is_bad() -> None:
    for dtype, width in ((torch.float32, 256), (torch.uint8, 264)):
        out = torch.ones((2, width), dtype=dtype)
        empty = torch.empty((0, 264), dtype=torch.uint8)
        Gathering(V41, CPU, dtype).gather(empty, torch.tensor([0, 1]), 1.0, out)
        assert bool(out.isnan().all() if dtype is torch.float32 else (out == 0).all())


def test_the_kernel_is_chosen_and_the_choice_told(monkeypatch: pytest.MonkeyPatch) -> None:
    chosen = Gathering(V41, CPU, torch.float32)
    assert (chosen.kernel, chosen.why) == (
        "torch", "Triton has no kernels for cpu: they need a CUDA device",
    )  # fmt: skip
    assert Gathering(V41, CPU, torch.float32, "torch").why == "it was asked for"
    with pytest.raises(ConfigError, match="cannot gather rows on cpu: Triton has no kernels"):
        Gathering(V41, CPU, torch.float32, "triton")
    with pytest.raises(ConfigError, match="gather kernel"):
        Gathering(V41, CPU, torch.float32, "cuda")
    monkeypatch.setattr(triton_gather, "triton", None)
    with fake_cuda():
        chosen = Gathering(V41, torch.device("cuda", 0), torch.float32)
        assert (chosen.kernel, chosen.why) == ("torch", "triton cannot be imported")


@pytest.fixture
def _triton() -> None:
    pytest.importorskip("triton", reason="needs triton, which CPU builds of torch do not bring")


@pytest.mark.usefixtures("_triton")
def test_where_the_kernel_does_not_start_torch_gathers() -> None:
    class Broken:
        def __getitem__(self, programs: tuple[int, ...]) -> Any:
            raise RuntimeError("no C compiler\nmore of it")

    with fake_cuda(), pytest.MonkeyPatch.context() as patched:
        patched.setattr(triton_gather, "gather_kernel", Broken())
        chosen = Gathering(V41, torch.device("cuda", 0), torch.float32)
        assert chosen.kernel == "torch"
        assert chosen.why.endswith("does not start here: RuntimeError: no C compiler")
        with pytest.raises(ConfigError, match="no C compiler"):
            Gathering(V41, torch.device("cuda", 0), torch.float32, "triton")


@pytest.mark.usefixtures("_triton")
def test_kernels_start_on_the_device_of_their_tensors() -> None:
    """Triton starts them on the current one. Nothing is copied there, and nothing waits."""
    with fake_cuda(current=0) as machine:
        device = torch.device("cuda", 1)
        gathering = Gathering(V41, device, torch.bfloat16)
        assert (gathering.kernel, gathering.why) == ("triton", "Triton works on this device")
        records = torch.zeros((5, 264), dtype=torch.uint8, device=device)
        ids = torch.zeros(3, dtype=torch.int64, device=device)
        out = torch.empty((3, 256), dtype=torch.bfloat16, device=device)
        machine.launches.clear()
        machine.uploads.clear()
        gathering.gather(records, ids, 1.0, out)
        gathering.copy(records, ids, records[:3])
        gathering.put(records, ids, records[:3])
        gathering.gather(records, ids[:0], 1.0, out)
        assert machine.launches == [("gather", 1), ("copy", 1), ("copy", 1)]
        assert machine.current == 0
        assert not machine.uploads + machine.downloads + machine.waits


def test_tensors_that_a_kernel_would_read_or_write_wrongly_are_refused() -> None:
    gathering = Gathering(V41, CPU, torch.float32)
    records, ids = torch.zeros((5, 264), dtype=torch.uint8), torch.zeros(3, dtype=torch.int64)
    out, flag = torch.empty((3, 256)), torch.zeros(1, dtype=torch.int64)
    good: dict[str, Any] = {"records": records, "row_ids": ids, "table_scale": 1.0, "out": out}
    gathering.gather(**good)
    for wrong in (
        {"records": records[:, :256]}, {"records": records.float()}, {"records": records[::2]},
        {"records": records.to("meta")}, {"row_ids": ids.short()}, {"row_ids": ids[:, None]},
        {"row_ids": torch.zeros(6, dtype=torch.int64)[::2]}, {"row_ids": ids.to("meta")},
        {"out": out[:2]}, {"out": out.bfloat16()}, {"out": out[:, :128]}, {"out": out[0]},
        {"out": torch.empty((256, 3)).T}, {"out": out.to("meta")}, {"bad": flag.int()},
        {"bad": flag.to("meta")}, {"targets": ids[:2]}, {"targets": ids.float()},
        {"num_rows": 6}, {"num_rows": -1},
    ):  # fmt: skip
        with pytest.raises(ValueError, match=r"must be|must begin|rows of|has room"):
            gathering.gather(**(good | wrong))
    calls: tuple[Callable[[], None], ...] = (
        lambda: gathering.copy(records, ids, records[:2]),
        lambda: gathering.copy(records, ids, out),
        lambda: gathering.put(records, ids, records[:2]),
        lambda: gathering.put(records, ids.float(), records[:3]),
        lambda: gathering.put(out, ids, records[:3]),
    )
    for call in calls:
        with pytest.raises(ValueError, match=r"must be|has room"):
            call()


@pytest.mark.usefixtures("_triton")
def test_records_that_begin_amid_a_word_are_refused() -> None:
    with fake_cuda(), pytest.MonkeyPatch.context() as patched:
        device = torch.device("cuda", 0)
        records = torch.zeros((5, 264), dtype=torch.uint8, device=device)
        ids = torch.zeros(3, dtype=torch.int64, device=device)
        out = torch.empty((3, 256), device=device)
        gathering = Gathering(V41, device, torch.float32)
        for address, word in ((4, False), (8, True), (264 * 3, True)):
            patched.setattr(triton_gather, "address_of", lambda _, at=address: at)
            if word:
                gathering.gather(records, ids, 1.0, out)
            else:
                with pytest.raises(ValueError, match="must begin at a multiple of 8 bytes"):
                    gathering.gather(records, ids, 1.0, out)


@pytest.mark.parametrize(
    ("dtype", "row_dim", "words"),
    [("int8", 256, True), ("int8", 34, False), ("int8_f16", 33, False), ("int8_bf16", 34, True),
     ("f8_e4m3_row", 6, False), ("f8_e4m3_f32", 96, True), ("q8_0", 32, True)],
)  # fmt: skip
def test_scales_are_read_as_words_where_they_begin_at_one(
    dtype: str, row_dim: int, words: bool
) -> None:
    """In every record, not only in the first; elsewhere byte by byte."""
    form = triton_gather.form_of(RecordSpec(dtype, row_dim))
    assert form["aligned"] == words


class Made:
    """A form of the gather kernel, compiled for an H100, or a device of another capability."""

    def __init__(self, spec: RecordSpec, out: str, capability: int = 90) -> None:
        import triton
        from triton.backends.compiler import GPUTarget
        from triton.compiler import ASTSource

        kernel = triton_gather.gather_kernel
        names, form = kernel.arg_names, triton_gather.form_of(spec)
        sizes = form | {"has_targets": False, "has_bad": True, "block": 128}
        types = {"records": "*u8", "row_ids": "*i64", "targets": "*i64", "out": out, "bad": "*i64"}
        types |= {"table_scale": "fp32", "count": "i32", "num_rows": "i32"}
        source = ASTSource(
            kernel, signature={one: types.get(one, "constexpr") for one in names},
            constexprs={(names.index(one),): value for one, value in sizes.items()},
            attrs={(names.index(one),): [["tt.divisibility", 16]] for one in ("records", "out")},
        )  # fmt: skip
        how = triton_gather.EXACT | {"num_warps": 4}
        self.asm = triton.compile(source, target=GPUTarget("cuda", capability, 32), options=how).asm


@pytest.mark.usefixtures("_triton")
@pytest.mark.parametrize(
    ("dtype", "out"), [*((dtype, "*bf16") for dtype in DTYPES), ("f8_e4m3", "*fp32")]
)
def test_every_dtype_becomes_machine_code_that_rounds_as_the_plain_decoder(
    dtype: str, out: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No multiply-adds, no subnormal number flushed, bfloat16 to nearest even by the hardware."""
    monkeypatch.setenv("TRITON_CACHE_DIR", str(tmp_path))
    asm = Made(RecordSpec(dtype, 64), out).asm
    assert asm["cubin"]
    assert "fma." not in asm["ptx"]
    assert ".ftz" not in asm["ptx"]
    assert ("cvt.rn.bf16x2.f32" in asm["ptx"]) == (out == "*bf16")
    places = [
        line for line in asm["ttir"].splitlines()
        if "tt.addptr" in line and ("x1x!tt.ptr" in line or "tensor<128x!tt.ptr" in line)
    ]  # fmt: skip
    wide = [line for line in places if "xi64>" in line]
    assert len(wide) >= 3  # ids, records, output rows


@pytest.mark.usefixtures("_triton")
def test_v41_records_are_read_by_8_bytes_and_written_by_16(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TRITON_CACHE_DIR", str(tmp_path))
    for capability in (80, 100):
        assert "cvt.rn.bf16x2.f32" in Made(V41, "*bf16", capability).asm["ptx"]
    ptx = Made(V41, "*bf16").asm["ptx"]
    assert ptx.count("ld.global.v2.b32") == 4  # 32 codes of a thread
    assert ptx.count("st.global.v4.b32") == 4
