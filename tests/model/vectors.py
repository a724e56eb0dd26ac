"""Golden cases as tensors, and the small modules they are put into."""

import re
from typing import Any

import pytest
import torch
from torch import Tensor

from engramctl.fusion.gated_lookup import Memory
from engramctl.layers.config import DecoderConfig, MemoryConfig, ResidualConfig
from engramctl.layers.fusions import Fusion
from engramctl.layers.init import Draw
from tests.conftest import golden

Case = dict[str, Any]
DTYPES = [
    pytest.param(torch.float64, id="float64"),
    pytest.param(torch.float32, id="float32"),
]
MHC_KINDS = {
    "sinkhorn_paper", "sinkhorn_v4", "block", "head_v4", "stack", "init_equals_prenorm", "hc",
    "engram", "composite", "traffic",
}  # fmt: skip


def mhc_cases(*kinds: str) -> list[Any]:
    """Return the cases of these kinds in mhc.json, as parameters named by their ids."""
    cases = golden("mhc")["cases"]
    inputs = {case["id"]: case["inputs"] for case in cases}
    found = []
    for case in cases:
        if case["kind"] in kinds:
            source = case["params"].get("inputs_from")
            whole = {**case, "inputs": inputs[source] if source else case["inputs"]}
            found.append(pytest.param(whole, id=case["id"]))
    return found


def tensors(values: Case, dtype: torch.dtype) -> dict[str, Tensor]:
    return {name: torch.tensor(value, dtype=dtype) for name, value in values.items()}


def is_steep(case: Case) -> bool:
    """Whether float32 is held to 1e-4 only: logits of scale 4 and more."""
    scale = re.search(r"_s(\d+(?:\.\d+)?)", case["id"])
    largest = torch.tensor(case["inputs"]["logits"]).abs().max()
    return (scale is not None and float(scale[1]) >= 4) or bool(largest >= 12)


def assert_golden(found: Tensor, expected: Any, *, steep: bool = False) -> None:
    """Hold float64 to rtol 1e-10, float32 to atol 2e-5 (1e-4 where steep)."""
    if found.dtype == torch.float64:
        rtol, atol = 1e-10, 1e-13
    else:
        rtol, atol = 1e-5, 1e-4 if steep else 2e-5
    if not isinstance(expected, Tensor):
        expected = torch.tensor(expected, dtype=torch.float64)
    assert found.dtype in (torch.float32, torch.float64)
    torch.testing.assert_close(found.double(), expected.double(), rtol=rtol, atol=atol)


def formula(shape: tuple[int, ...], params: list[int], *, shift: int = 0) -> Tensor:
    """F(shape, a, b, m, s)[i] = (((i * a + b) mod m) - floor(m / 2)) / s, row-major, float64."""
    return formula_at(torch.arange(torch.Size(shape).numel()), params, shift=shift).view(shape)


def formula_at(index: Tensor, params: list[int], *, shift: int = 0) -> Tensor:
    a, b, m, s = params
    return ((index * a + b + shift) % m - m // 2).double() / s


def residual_of(case: Case, **more: Any) -> ResidualConfig:
    """Return the residual config a case's params describe."""
    params = case["params"]
    names = {"n": "branches", "iters": "iterations", "rms_eps": "rms_eps", "hc_eps": "hc_eps"}
    given = {ours: params[theirs] for theirs, ours in names.items() if theirs in params}
    return ResidualConfig(**{**given, **more})


def memory_module(
    fusion: Fusion,
    *,
    width: int,
    branches: int,
    heads: tuple[int, int],
    max_order: int,
    dtype: torch.dtype,
    **more: Any,
) -> Memory:
    """Return a memory of this geometry; `heads` is (number, row_dim). Weights are to be put in."""
    memory = MemoryConfig(
        layers=((0, 0),),
        num_heads=heads[0],
        row_dim=heads[1],
        max_order=max_order,
        fusion=fusion,
        **more,
    )
    config = DecoderConfig(
        width=width,
        num_layers=1,
        num_attention_heads=1,
        num_kv_heads=1,
        attention_head_dim=2,
        ffn_width=1,
        vocab_size=1,
        residual=ResidualConfig(branches=branches),
    )
    return Memory(config, memory, Draw(0, dtype))
