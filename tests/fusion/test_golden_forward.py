"""The gated lookup against the forward vectors of the demo and of V4.1.

Row ids are taken from the files; that they are the right ones is tested with the hashing.
"""

import re
from typing import Any

import pytest
import torch
from torch import Tensor

from engramctl.fusion.gated_lookup import SMALLEST_DOT, Memory, gate_dot
from engramctl.layers.config import CONV_KERNEL
from tests.conftest import golden
from tests.model.vectors import DTYPES, Case, formula, formula_at, memory_module

pytestmark = [pytest.mark.golden, pytest.mark.parametrize("dtype", DTYPES)]


def cases(name: str) -> list[Any]:
    return [pytest.param(case, id=case["case"]) for case in golden(name)["cases"]]


def per_branch(case: Case, name: str, shape: tuple[int, ...], step: int) -> Tensor:
    """Return (R, *shape): branch g's weight is the formula with b + step * g."""
    params = case["formula_params"][name]
    branches = case["config"]["hc_mult"]
    return torch.stack([formula(shape, params, shift=step * g) for g in range(branches)])


def demo_memory(case: Case, dtype: torch.dtype) -> Memory:
    config, params = case["config"], case["formula_params"]
    width, branches, row_dim = config["hidden_size"], config["hc_mult"], config["dim_per_head"]
    num_heads = len(case["row_ids"][0][0])
    assert config["kernel_size"] == CONV_KERNEL
    memory = memory_module(
        "engram-demo",
        width=width,
        branches=branches,
        heads=(num_heads, row_dim),
        max_order=config["dilation"],
        dtype=dtype,
        norm_eps=config["gate_norm_eps"],
        conv_norm_eps=config["conv_norm_eps"],
        conv_zero_init=config["conv_zero_init"],
    )
    num_inputs = num_heads * row_dim
    key = per_branch(case, "key_w", (width, num_inputs), 5).flatten(0, 1)
    memory.wkv.copy_(torch.cat([key, formula((width, num_inputs), params["value_w"])]))
    assert memory.bias is not None
    key_bias = per_branch(case, "key_b", (width,), 1).flatten()
    memory.bias.copy_(torch.cat([key_bias, formula((width,), params["value_b"])]))
    memory.k_weight.copy_(1 + per_branch(case, "norm1", (width,), 3))
    memory.q_weight.copy_(1 + per_branch(case, "norm2", (width,), 3))
    memory.conv_norm.copy_(1 + per_branch(case, "convnorm", (width,), 3))
    if not config["conv_zero_init"]:
        shape = (branches, width, CONV_KERNEL)
        memory.conv_kernel.copy_(formula(shape, params["conv_w"]))
    return memory


@pytest.mark.parametrize("case", cases("engram_demo_v1_forward"))
def test_the_demo_module(case: Case, dtype: torch.dtype) -> None:
    memory = demo_memory(case, dtype)
    row_ids, row_dim = torch.tensor(case["row_ids"]), case["config"]["dim_per_head"]
    index = row_ids[..., None] * row_dim + torch.arange(row_dim)
    rows = formula_at(index, case["formula_params"]["table"]).to(dtype)
    shape = (*row_ids.shape[:2], memory.branches, memory.width)
    hidden = formula(shape, case["formula_params"]["hidden"]).to(dtype)
    key, value = memory.project(rows)
    gate = memory.gate(hidden, key)
    found = {
        "gates": gate,
        "value_pre_conv": gate[..., None] * value[..., None, :],
        "output": memory(hidden, rows) - hidden,
    }
    for name, tensor in found.items():
        expected = torch.tensor(case[name], dtype=dtype).view(case[f"{name}_shape"])
        torch.testing.assert_close(tensor, expected, rtol=2e-5, atol=2e-5)


def stored_bytes(text: str, **given: Tensor | int) -> tuple[Tensor, Tensor]:
    """Evaluate a file's own table formula: the value bytes and the scale bytes."""
    sides = [part.split("=", 1)[1].replace("mod", "%") for part in text.split(";")]
    assert all(re.fullmatch(r"[\w\s()+*|<>%]+", side) for side in sides), text
    value, scale = (eval(side, {"__builtins__": {}}, given) for side in sides)
    return value, scale


def test_the_file_decodes_e4m3_and_e8m0_as_torch_does(dtype: torch.dtype) -> None:
    fp8 = golden("engram_v41_forward")["fp8"]
    every = torch.arange(256, dtype=torch.uint8)
    values = torch.tensor([float("nan") if x is None else x for x in fp8["e4m3fn"]], dtype=dtype)
    torch.testing.assert_close(
        every.view(torch.float8_e4m3fn).to(dtype), values, rtol=0, atol=0, equal_nan=True
    )


@pytest.mark.parametrize("case", cases("engram_v41_forward"))
def test_the_released_module(case: Case, dtype: torch.dtype) -> None:
    config, params = case["config"], case["formula_params"]
    branches, width, row_dim = config["hc_mult"], config["hidden_size"], config["engram_head_dim"]
    row_ids = torch.tensor(case["rows"])
    num_tokens, num_heads = row_ids.shape
    memory = memory_module(
        "deepseek-v41",
        width=width,
        branches=branches,
        heads=(num_heads, row_dim),
        max_order=config["engram_max_ngram_size"],
        dtype=dtype,
        norm_eps=config["rms_norm_eps"],
    )
    memory.wkv.copy_(formula(tuple(memory.wkv.shape), params["wkv"]))
    memory.q_weight.copy_(1 + formula((branches, width), params["q"]))
    memory.k_weight.copy_(1 + formula((branches, width), params["k"]))
    column = torch.arange(row_dim)
    given = {"r": row_ids[..., None], "j": column, "b": column // 32, "layer": config["layer_id"]}
    value_bytes, scale_bytes = stored_bytes(case["table_formula"], **given)
    values = value_bytes.to(torch.uint8).view(torch.float8_e4m3fn).to(dtype)
    rows = (values * torch.exp2((scale_bytes - 127).to(dtype)))[None]
    X = formula((1, num_tokens, branches, width), params["x"]).to(dtype)
    mask = torch.tensor([case["token_mask"]])
    key, _ = memory.project(rows)
    weight = memory.q_weight * memory.k_weight
    assert config["clamp"] == SMALLEST_DOT
    found = {
        "dot": gate_dot(X, key, weight, config["rms_norm_eps"]),
        "gates": memory.gate(X, key, mask),
        "output": memory(X, rows, mask_BT=mask),
    }
    rtol, atol = (1e-9, 1e-11) if dtype == torch.float64 else (2e-4, 1e-5)
    for name, tensor in found.items():
        expected = torch.tensor(case[name], dtype=dtype)
        torch.testing.assert_close(tensor.flatten(), expected, rtol=rtol, atol=atol)
