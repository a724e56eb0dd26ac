"""Kernels for devices: Triton through its interpreter, and both device kernels on a GPU."""

import os
import subprocess
import sys
from typing import Any

import numpy as np
import pytest
import torch

from engramctl.hashing import Scheme, make_scheme
from engramctl.hashing.kernels import reference
from engramctl.hashing.kernels.choice import kernel
from engramctl.hashing.kernels.device import DeviceWalk
from tests.hashing.presets import LARGE, SCHEMES, VOCAB


def needs_gpu(test: Any) -> Any:
    skip = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
    return pytest.mark.gpu(skip(test))


@pytest.fixture(scope="module")
def interpreted() -> list[str]:
    """What `tests.hashing.triton_interpreted` prints, in a process that interprets Triton."""
    pytest.importorskip("triton", reason="needs triton, which CPU builds of torch do not bring")
    found = subprocess.run(
        [sys.executable, "-m", "tests.hashing.triton_interpreted"],
        env={**os.environ, "TRITON_INTERPRET": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert found.returncode == 0, found.stderr
    return found.stdout.splitlines()


@pytest.mark.parametrize("name", SCHEMES)
def test_triton_gives_the_reference_rows(name: str, interpreted: list[str]) -> None:
    mine = [line for line in interpreted if line.startswith((f"{name}, case", f"{name}, bad"))]
    assert len(mine) == 2 * len(SCHEMES[name].layers) + 1
    assert [line for line in mine if not line.endswith(": same")] == []


def test_triton_gives_the_reference_rows_of_ids_of_32_bits(interpreted: list[str]) -> None:
    mine = [line for line in interpreted if line.startswith("large ")]
    assert mine == [f"large {name}: same" for name in LARGE]


def test_the_choice_of_a_kernel_is_told() -> None:
    scheme = make_scheme("deepseek-v41", vocab_size=VOCAB)
    assert scheme.kernel() == "numba"
    assert scheme.kernel(torch.device("cpu")) == "numba"
    assert make_scheme("longcat", vocab_size=VOCAB, eos_id=2, slots=2**33).kernel() == "numpy"
    assert scheme.kernel("mps") == "torch"
    assert scheme.kernel("cuda:1") == kernel("cuda") != "numba"


def test_triton_is_chosen_only_where_it_is_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    for found, name in ((None, "torch"), (object(), "triton")):
        monkeypatch.setattr(
            "engramctl.hashing.kernels.choice.find_spec", lambda module, found=found: found
        )
        assert kernel("cuda") == name


@needs_gpu
@pytest.mark.parametrize("scheme", SCHEMES.values(), ids=SCHEMES.keys())
@pytest.mark.parametrize("dtype", [torch.int32, torch.int64])
def test_a_gpu_gives_the_reference_rows(scheme: Scheme, dtype: torch.dtype) -> None:
    rng = np.random.default_rng(0)
    ids_BT = rng.integers(0, VOCAB, (3, 777))
    past_BC = rng.integers(0, VOCAB, (3, scheme.max_order - 1))
    on_gpu = torch.from_numpy(ids_BT).to("cuda", dtype)
    for layer in scheme.layers:
        plan = scheme._plans[layer]
        expected = reference.row_ids(np.concatenate([past_BC, ids_BT], axis=1), plan)
        chosen = scheme.row_ids(on_gpu, layer, past_BC)
        np.testing.assert_array_equal(chosen.cpu().numpy(), expected)
        out = torch.full(expected.shape, -7, dtype=torch.int64, device="cuda")
        walk = DeviceWalk(plan, on_gpu.device)
        assert walk(on_gpu, torch.from_numpy(past_BC).cuda(), out) == -1
        np.testing.assert_array_equal(out.cpu().numpy(), expected)


@needs_gpu
def test_a_gpu_names_the_first_bad_id() -> None:
    scheme = make_scheme("deepseek-v41", vocab_size=VOCAB)
    ids_BT = torch.zeros((2, 9), dtype=torch.int64, device="cuda")
    ids_BT[1, 4] = VOCAB
    ids_BT[1, 7] = -5
    with pytest.raises(ValueError, match=f"token id {VOCAB} at sequence 1, position 4"):
        scheme.row_ids(ids_BT, scheme.layers[0])
