"""The residual forms and the gated lookup against tests/golden/mhc.json."""

from collections.abc import Mapping, Sequence
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from engramctl.fusion.gated_lookup import SMALLEST_DOT, Memory, gate_dot
from engramctl.layers.config import CONV_KERNEL, ResidualConfig
from engramctl.layers.fusions import Fusion
from engramctl.layers.norm import wide
from engramctl.model.cost import boundary_elements
from engramctl.residual.hc import hc_coefficients
from engramctl.residual.mhc import Coefficients, constrain, initial_bias, raw_coefficients
from engramctl.residual.readout import head_weights
from engramctl.residual.sinkhorn import sinkhorn, sinkhorn_paper
from engramctl.residual.site import collapse, expand, first_pre, replicate
from tests.conftest import golden
from tests.model.vectors import (
    DTYPES,
    MHC_KINDS,
    Case,
    assert_golden,
    is_steep,
    memory_module,
    mhc_cases,
    residual_of,
    tensors,
)

pytestmark = [pytest.mark.golden, pytest.mark.parametrize("dtype", DTYPES)]


def norm(x: Tensor, eps: float) -> Tensor:
    return F.rms_norm(x, x.shape[-1:], eps=eps)


def raw_of(X: Tensor, site: Mapping[str, Tensor], eps: float) -> Tensor:
    return raw_coefficients(X, site["phi"], site["alpha"], site["b"], eps)


def coefficients(X: Tensor, site: Mapping[str, Tensor], config: ResidualConfig) -> Coefficients:
    return constrain(raw_of(X, site, config.rms_eps), X.shape[-2], config)


def test_every_kind_in_the_file_is_known(dtype: torch.dtype) -> None:
    document = golden("mhc")
    assert document["schema"] == "mhc-golden/1"
    assert {case["kind"] for case in document["cases"]} <= MHC_KINDS


@pytest.mark.parametrize("case", mhc_cases("sinkhorn_paper"))
def test_sinkhorn_of_the_paper(case: Case, dtype: torch.dtype) -> None:
    logits = torch.tensor(case["inputs"]["logits"], dtype=dtype)
    found = sinkhorn_paper(logits, case["params"]["iters"])
    assert_golden(found, case["expected"]["H_res"], steep=is_steep(case))


@pytest.mark.parametrize("case", mhc_cases("sinkhorn_v4"))
def test_sinkhorn_of_the_release(case: Case, dtype: torch.dtype) -> None:
    logits = torch.tensor(case["inputs"]["logits"], dtype=dtype)
    found = sinkhorn(logits, case["params"]["iters"], case["params"]["eps"])
    assert_golden(found, case["expected"]["comb"], steep=is_steep(case))


@pytest.mark.parametrize("case", mhc_cases("block"))
def test_raw_values_of_a_block(case: Case, dtype: torch.dtype) -> None:
    given, n = tensors(case["inputs"], dtype), case["params"]["n"]
    raw = raw_of(given["X"], given, case["params"]["rms_eps"])
    parts = {
        "raw_pre": raw[..., :n],
        "raw_post": raw[..., n : 2 * n],
        "raw_res": raw[..., 2 * n :].reshape(*raw.shape[:-1], n, n),
    }
    for name, found in parts.items():
        assert_golden(found, case["expected"][name])


@pytest.mark.parametrize("form", ["paper", "v4"])
@pytest.mark.parametrize("case", mhc_cases("block"))
def test_a_block(case: Case, form: str, dtype: torch.dtype) -> None:
    given = tensors(case["inputs"], dtype)
    config = residual_of(case, form="paper" if form == "paper" else "release")
    pre, post, comb = coefficients(given["X"], given, config)
    parts = {
        "pre": pre,
        "post": post,
        "u": collapse(given["X"], pre),
        "X_next": expand(given["X"], given["y"], post, comb),
        **({"H_res": comb.mT} if form == "paper" else {"comb": comb}),
    }
    for name, found in parts.items():
        assert_golden(found, case["expected"][f"{form}_{name}"])


@pytest.mark.parametrize("case", mhc_cases("head_v4"))
def test_the_read_out_head(case: Case, dtype: torch.dtype) -> None:
    given, params = tensors(case["inputs"], dtype), case["params"]
    scale = torch.tensor([params["scale"]], dtype=dtype)
    X, eps, hc_eps = given["X"], params["rms_eps"], params["hc_eps"]
    weights = head_weights(X, given["fn"], scale, given["base"], eps, hc_eps)
    assert_golden(weights, case["expected"]["pre"])
    assert_golden(collapse(X, weights), case["expected"]["out"])


def gate_fusion(gate: str, conv: object) -> Fusion:
    return "engram" if gate == "sigmoid" else "engram-demo" if conv else "deepseek-v41"


def memory_of(fusion: Fusion, weights: Sequence[Tensor], max_order: int, **more: Any) -> Memory:
    """Return a memory with these weights: key (R, E, D), value (E, D), q and k (R, D)."""
    key, value, q, k = weights
    branches, row_dim, width = key.shape
    module = memory_module(
        fusion,
        width=width,
        branches=branches,
        heads=(1, row_dim),
        max_order=max_order,
        dtype=key.dtype,
        **more,
    )
    module.wkv.copy_(torch.cat([key.mT.flatten(0, 1), value.mT]))
    module.q_weight.copy_(q)
    module.k_weight.copy_(k)
    if module.bias is not None:
        module.bias.zero_()
    return module


@pytest.mark.parametrize("case", mhc_cases("stack"))
def test_a_stack_of_sublayers(case: Case, dtype: torch.dtype) -> None:
    given, params, expected = tensors(case["inputs"], dtype), case["params"], case["expected"]
    config, eps = residual_of(case), params["rms_eps"]
    engram = [given[f"engram_{name}"] for name in ("Wk", "Wv", "qw", "kw")]
    memory = memory_of("deepseek-v41", engram, 2, norm_eps=eps)
    X = replicate(given["x0"][None], params["n"])
    carry = first_pre(X)
    for layer in range(params["sublayers"]):
        if layer == params["engram_before_sublayer"]:
            X = memory(X, given["engram_e"][None, :, None])
        site = {name: given[name][layer] for name in ("phi", "alpha", "b")}
        pre, post, comb = coefficients(X, site, config)
        u = collapse(X, carry if params["mode"] == "single_pass" else pre)
        X = expand(X, torch.tanh(norm(u, eps) @ given["W"][layer]), post, comb)
        carry = pre
        for name, found in (("X_after", X), ("u", u), ("pre", pre)):
            assert_golden(found[0], expected[name][layer])
    out = collapse(X, carry) if params["mode"] == "single_pass" else X.mean(-2)
    assert_golden(out[0], expected["readout"])


@pytest.mark.parametrize("case", mhc_cases("init_equals_prenorm"))
def test_an_initial_bias_is_the_pre_norm_residual(case: Case, dtype: torch.dtype) -> None:
    given, params, expected = tensors(case["inputs"], dtype), case["params"], case["expected"]
    n, config = params["n"], residual_of(case, form="paper")
    phi = torch.zeros(n * params["C"], 2 * n + n * n, dtype=dtype)
    alpha = torch.full((3,), params["alpha"], dtype=dtype)
    X = replicate(given["x0"], n)
    for layer in range(params["sublayers"]):
        pre, post, comb = coefficients(X, {**given, "phi": phi, "alpha": alpha}, config)
        u = collapse(X, pre)
        X = expand(X, torch.tanh(norm(u, params["rms_eps"]) @ given["W"][layer]), post, comb)
        assert_golden(comb.mT, torch.tensor(expected["H_res"], dtype=dtype).expand_as(comb))
    for branch in range(n):
        assert_golden(X[..., branch, :], expected["prenorm_out"])


@pytest.mark.parametrize("case", mhc_cases("init_equals_prenorm"))
def test_our_initial_bias_is_the_one_in_the_file(case: Case, dtype: torch.dtype) -> None:
    name = case["id"].removeprefix("init_")
    if name not in ("identity", "uniform"):
        pytest.skip("not an init of ours")
    found = initial_bias(case["params"]["n"], name).to(dtype)
    torch.testing.assert_close(found, torch.tensor(case["inputs"]["b"], dtype=dtype))


@pytest.mark.parametrize("case", mhc_cases("hc"))
def test_dynamic_hyper_connections(case: Case, dtype: torch.dtype) -> None:
    given, params, expected = tensors(case["inputs"], dtype), case["params"], case["expected"]
    weight = torch.cat([given["Wb"], given["Wm"], given["Wr"]], 1)
    static = torch.cat([given["B"][:, None], given["Am"][:, None], given["Ar"]], 1)
    scale = torch.full((weight.shape[1],), params["s_alpha"], dtype=dtype)
    scale[0] = params["s_beta"]
    pre, post, comb = hc_coefficients(given["H"], weight, static, scale, params["norm_eps"])
    parts = {
        "beta": post,
        "am": pre,
        "ar": comb,
        "u": collapse(given["H"], pre),
        "H_next": expand(given["H"], given["y"], post, comb),
    }
    for name, found in parts.items():
        assert_golden(found, expected[name])


@pytest.mark.parametrize("case", mhc_cases("engram"))
def test_the_gated_lookup(case: Case, dtype: torch.dtype) -> None:
    given, params, expected = tensors(case["inputs"], dtype), case["params"], case["expected"]
    conv, eps = params["conv"], params["norm_eps"]
    weights = [given[name] for name in ("Wk", "Wv", "q_w", "k_w")]
    more = {"norm_eps": eps, **({"conv_norm_eps": conv["norm_eps"]} if conv else {})}
    max_order = conv["dilation"] if conv else 2
    memory = memory_of(gate_fusion(params["gate"], conv), weights, max_order, **more)
    if conv:
        assert (conv["kernel"], conv["act"]) == (CONV_KERNEL, "silu")
        memory.conv_norm.copy_(given["conv_norm_w"])
        memory.conv_kernel.copy_(given["conv_kernel"])
    assert params["clamp"] == SMALLEST_DOT
    X, rows = given["X"][None], given["e"][None, :, None]
    key, value = memory.project(rows)
    dot = gate_dot(X, key, memory.q_weight * memory.k_weight, eps)
    parts = {"dot": dot, "gate": memory.gate(X, key), "value": value, "X_new": memory(X, rows)}
    for name, found in parts.items():
        assert_golden(found[0], expected[name])


@pytest.mark.parametrize("case", mhc_cases("composite"))
def test_gains_of_a_product_of_mixes(case: Case, dtype: torch.dtype) -> None:
    logits = torch.tensor(case["inputs"]["logits"], dtype=dtype)
    product = torch.eye(logits.shape[-1], dtype=dtype)
    forward, backward = [], []
    for mix in sinkhorn_paper(logits, case["params"]["iters"]):
        product = mix @ product
        forward.append(product.sum(-1).abs().max())
        backward.append(product.sum(-2).abs().max())
    assert_golden(product, case["expected"]["product"])
    assert_golden(torch.stack(forward), case["expected"]["forward_gain"])
    assert_golden(torch.stack(backward), case["expected"]["backward_gain"])


@pytest.mark.parametrize("case", mhc_cases("traffic"))
def test_traffic_between_sublayers(case: Case, dtype: torch.dtype) -> None:
    columns = case["params"]["columns"]
    names = {"hc_naive_without_small_terms": "hc_naive"}
    for row in case["expected"]["rows"]:
        branches = int(row[columns.index("n")])
        for column, expected in zip(columns, row, strict=True):
            if column != "n":
                assert boundary_elements(names.get(column, column), branches) == expected


def test_wide_keeps_float64_and_raises_the_rest(dtype: torch.dtype) -> None:
    assert wide(torch.zeros(1, dtype=dtype)).dtype == dtype
    assert wide(torch.zeros(1, dtype=torch.bfloat16)).dtype == torch.float32
