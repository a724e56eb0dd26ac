"""The residual on CUDA: through Triton's interpreter, as machine code, on a fake and a real GPU."""

import os
import subprocess
import sys
from typing import Any, get_args

import pytest
import torch

from engramctl.layers.config import ResidualConfig, ResidualMode
from engramctl.model.decoder import Decoder
from engramctl.model.presets import preset
from engramctl.residual.launches import launches_per_sublayer
from tests.conftest import ROOT
from tests.helpers.fake_cuda import fake_cuda
from tests.residual.sites import branches_and_output, pair
from tests.residual.triton_interpreted import CASES

MODES = [mode for mode in get_args(ResidualMode) if mode != "none"]


def test_kernels_give_the_plain_values_where_triton_is_interpreted() -> None:
    pytest.importorskip("triton", reason="needs triton, which CPU builds of torch do not bring")
    ended = subprocess.run(
        [sys.executable, "-m", "tests.residual.triton_interpreted"], cwd=ROOT, text=True,
        env={**os.environ, "TRITON_INTERPRET": "1"}, capture_output=True, check=False,
    )  # fmt: skip
    assert ended.returncode == 0, ended.stderr
    lines = ended.stdout.splitlines()
    assert len(lines) == 4 * len(CASES)
    assert [line for line in lines if not line.endswith(": same")] == []


@pytest.mark.parametrize("kernel", ["mhc", "mhc whole", "hc", "collapse", "expand"])
def test_kernels_become_machine_code_of_an_h100(
    kernel: str, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    triton = pytest.importorskip("triton")
    from triton.backends.compiler import GPUTarget
    from triton.compiler import ASTSource

    from engramctl.residual import cuda_kernels

    monkeypatch.setenv("TRITON_CACHE_DIR", str(tmp_path))
    X, exact = "*bf16", "*fp32"
    product = {"lanes": 32, "num_parts": 80, "block": 16, "block_v": 64, "branches": 4}
    if kernel == "mhc whole":
        product |= {"num_parts": 1, "block": 64}
    mix = {"branches": 4, "lanes_r": 4, "block": 1024}
    code, sizes = {
        "mhc": (cuda_kernels.mhc_kernel, {**product, "lanes_r": 4, "iterations": 20, "paper": 0}),
        "hc": (cuda_kernels.hc_kernel, {**product, "lanes": 16}),
        "collapse": (cuda_kernels.collapse_kernel, mix),
        "expand": (cuda_kernels.expand_kernel, {**mix, "ahead": True}),
    }[kernel.split()[0]]
    types = dict.fromkeys(("rows", "length", "part_length", "width"), "i32")
    types |= dict.fromkeys(("hc_eps", "rms_eps"), "fp32") | {"arrived": "*i32"}
    types |= dict.fromkeys(("x", "y", "out", "u"), X) | dict.fromkeys(sizes, "constexpr")
    names = code.arg_names
    fixed = {(names.index(one),): value for one, value in sizes.items()}
    signature = {one: types.get(one, exact) for one in names}
    made = triton.compile(
        ASTSource(code, signature=signature, constexprs=fixed),
        target=GPUTarget("cuda", 90, 32), options={"enable_fp_fusion": True},
    )  # fmt: skip
    assert made.asm["cubin"]
    # what programs share is read past the first-level cache, after a count that orders it
    assert ("acq_rel" in made.asm["ptx"]) == (kernel in ("mhc", "hc"))


@pytest.mark.parametrize("mode", MODES)
def test_a_decoder_of_fused_sites_stays_on_its_device_and_waits_for_nothing(
    mode: ResidualMode,
) -> None:
    with fake_cuda() as machine:
        residual = ResidualConfig(mode=mode, kernels="fused")
        model = Decoder(preset("tiny", residual=residual), 0, torch.bfloat16, "cuda:1")
        state = model.new_state(2, 4)
        machine.uploads.clear()
        ids = torch.zeros(2, 3, dtype=torch.int64, device="cuda:1")
        for logits in (model.prefill(ids, state), model.decode(ids[:, 0], state)):
            assert (logits.shape, logits.device) == ((2, 512), torch.device("cuda:1"))
        assert not machine.uploads + machine.downloads + machine.waits


@pytest.mark.parametrize(("mode", "launches"), [("hc", 3), ("mhc", 3), ("single_pass", 2)])
def test_a_sublayer_is_two_or_three_launches_for_any_number_of_tokens(
    mode: ResidualMode, launches: int
) -> None:
    with fake_cuda():
        _, fused = pair(16, 4, torch.bfloat16, "cuda", mode=mode)
        for tokens in (1, 40):
            X = torch.zeros(1, tokens, 4, 16, dtype=torch.bfloat16, device="cuda")
            assert launches_per_sublayer(fused, X, mode) == launches


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize(
    ("branches", "tokens", "dtype"),
    [(4, 0, torch.bfloat16), (4, 1, torch.bfloat16), (4, 17, torch.float32),
     (4, 9000, torch.bfloat16), (3, 17, torch.bfloat16), (1, 3, torch.bfloat16)],
)  # fmt: skip
@pytest.mark.parametrize("mode", ["hc", "mhc"])
def test_a_gpu_gives_the_plain_values(
    mode: str, branches: int, tokens: int, dtype: torch.dtype
) -> None:
    plain, fused = pair(200, branches, dtype, "cuda", mode=mode)
    X, y = (one.to("cuda") for one in branches_and_output((1, tokens, branches, 200), dtype))
    near = 2.0**-6 if dtype == torch.bfloat16 else 1e-4
    for _ in range(2):
        given = plain.coeff(X)
        for found, expected in zip(fused.coeff(X), given, strict=True):
            torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)
        X_next, u = fused.advance(X, y, fused.coeff(X), ahead=True)
        right, v = plain.advance(X, y, given, ahead=True)
        for found, expected in ((X_next, right), (u, v)):
            torch.testing.assert_close(found, expected, rtol=near, atol=4 * near)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_sums_of_many_programs_are_the_same_every_time() -> None:
    _, fused = pair(2560, 4, torch.bfloat16, "cuda", mode="mhc")
    X = branches_and_output((1, 1, 4, 2560), torch.bfloat16)[0].to("cuda")
    once = fused.coeff(X)
    for _ in range(200):
        for found, expected in zip(fused.coeff(X), once, strict=True):
            assert torch.equal(found, expected)
