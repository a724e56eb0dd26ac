"""The fused residual on a CPU: equal to the plain one, for any shape, on any number of threads."""

from typing import Any, get_args

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from engramctl.errors import ConfigError
from engramctl.layers.config import ResidualConfig, ResidualMode
from engramctl.layers.init import Draw
from engramctl.model.decoder import Decoder
from engramctl.model.presets import preset
from engramctl.residual import cpu_calls
from engramctl.residual.operators import ARRIVALS, collapse, expand, mhc_coefficients
from engramctl.residual.sites import make_site
from tests.conftest import golden
from tests.model.shapes import memory
from tests.model.vectors import Case, assert_golden, mhc_cases, residual_of, tensors
from tests.residual.sites import branches_and_output, pair, shape

MODES = [mode for mode in get_args(ResidualMode) if mode != "none"]
BFLOAT16_STEP = 2.0**-7  # of two neighbours, relative


def assert_near(found: Tensor, expected: Tensor) -> None:
    """Float32 sums in another order; bfloat16 may fall on the neighbour."""
    assert (found.dtype, found.shape) == (expected.dtype, expected.shape)
    narrow = found.dtype == torch.bfloat16
    torch.testing.assert_close(
        found.float(), expected.float(), rtol=BFLOAT16_STEP if narrow else 2e-5,
        atol=1e-4 if narrow else 1e-5, equal_nan=True,
    )  # fmt: skip


def assert_same_work(plain: Any, fused: Any, X: Tensor, y: Tensor) -> None:
    expected, found = plain.coeff(X), fused.coeff(X)
    for ours, theirs in zip(found, expected, strict=True):
        assert ours.dtype == torch.float32
        assert_near(ours, theirs)
    assert_near(fused.collapse(X, expected.pre_BTR), plain.collapse(X, expected.pre_BTR))
    X_next, u = fused.advance(X, y, expected, ahead=True)
    assert_near(X_next, plain.advance(X, y, expected, ahead=False)[0])
    assert_near(u, plain.collapse(X_next, expected.pre_BTR))
    alone, none = fused.advance(X, y, expected, ahead=False)
    assert none is None
    torch.testing.assert_close(alone, X_next, rtol=0, atol=0)


@settings(deadline=None, max_examples=40)
@given(
    batch=st.integers(0, 3),
    tokens=st.sampled_from([0, 1, 2, 5, 17, 33]),
    branches=st.sampled_from([1, 2, 3, 4, 4, 4, 5]),
    width=st.sampled_from([1, 2, 3, 7, 16, 33, 513]),
    dtype=st.sampled_from([torch.float32, torch.bfloat16]),
    mode=st.sampled_from(MODES),
    form=st.sampled_from(["paper", "release"]),
)
def test_any_shape_is_that_of_the_plain_site(
    batch: int, tokens: int, branches: int, width: int, dtype: torch.dtype, mode: str, form: str
) -> None:
    plain, fused = pair(width, branches, dtype, mode=mode, form=form)
    assert_same_work(plain, fused, *branches_and_output((batch, tokens, branches, width), dtype))


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("mode", MODES)
def test_threads_change_nothing(
    mode: str, dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, fused = pair(33, 4, dtype, mode=mode)
    X, y = branches_and_output((1, 21, 4, 33), dtype)
    whole = fused.coeff(X)
    once, _ = fused.advance(X, y, whole, ahead=False)
    monkeypatch.setattr(cpu_calls, "_PIECE_VALUES", 1)
    monkeypatch.setattr(torch, "get_num_threads", lambda: 4)
    for ours, theirs in zip(fused.coeff(X), whole, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-6)
    torch.testing.assert_close(fused.advance(X, y, whole, ahead=False)[0], once, rtol=0, atol=0)


@pytest.mark.golden
@pytest.mark.parametrize("form", ["paper", "v4"])
@pytest.mark.parametrize("case", mhc_cases("block"))
def test_a_golden_block(case: Case, form: str) -> None:
    assert golden("mhc")["schema"] == "mhc-golden/1"
    held, paper = tensors(case["inputs"], torch.float32), form == "paper"
    config = residual_of(case, form="paper" if paper else "release")
    X = held["X"].contiguous()
    pre, post, comb = mhc_coefficients(
        X, held["phi"].contiguous(), held["alpha"], held["b"], None,
        torch.zeros(ARRIVALS, dtype=torch.int32), config.iterations,
        0.0 if paper else config.hc_eps, config.rms_eps, paper,
    )  # fmt: skip
    parts = {
        "pre": pre,
        "post": post,
        "u": collapse(X, pre),
        "X_next": expand(X, held["y"].contiguous(), post, comb, None)[0],
        **({"H_res": comb.mT} if paper else {"comb": comb}),
    }
    for name, found in parts.items():
        assert_golden(found, case["expected"][f"{form}_{name}"])


@pytest.mark.parametrize("form", ["paper", "release"])
@pytest.mark.parametrize("bias", [90.0, -90.0])
def test_extreme_logits_and_empty_branches_stay_finite(form: str, bias: float) -> None:
    _, fused = pair(8, 4, mode="mhc", form=form, rms_eps=1e-20)
    fused.mapping.bias.fill_(0).view(-1)[8::3] = bias
    for values in fused.coeff(torch.zeros(1, 3, 4, 8)):
        assert values.isfinite().all()


def test_one_cast_rounds_to_the_nearest() -> None:
    """Half a step goes to the even neighbour, in both directions, as torch rounds."""
    values = torch.linspace(-3, 3, 997).view(1, 1, 1, -1).bfloat16()
    gains = torch.tensor([[[1.0 + 2.0**-9]]])
    expected = (values[0, 0].float() * gains[0]).bfloat16()
    assert torch.equal(collapse(values, gains)[0], expected)


def test_what_is_not_a_number_stays_so_in_bfloat16() -> None:
    X, y = branches_and_output((1, 1, 4, 40), torch.bfloat16)
    X[0, 0, 0, 3], X[0, 0, 1, 5] = float("nan"), float("inf")
    plain, fused = pair(40, 4, torch.bfloat16, mode="mhc")
    given = plain.coeff(branches_and_output((1, 1, 4, 40), torch.bfloat16)[0])
    assert_near(
        fused.advance(X, y, given, ahead=False)[0], plain.advance(X, y, given, ahead=False)[0]
    )
    assert_near(fused.collapse(X, given.pre_BTR), plain.collapse(X, given.pre_BTR))


def test_branches_that_do_not_lie_in_one_piece_are_read_as_they_are() -> None:
    plain, fused = pair(6, 4, mode="mhc")
    X, y = branches_and_output((3, 2, 4, 6))
    assert_same_work(plain, fused, X.transpose(0, 1), y.transpose(0, 1))


@pytest.mark.parametrize("mode", ["none", *MODES])
@pytest.mark.parametrize("with_memory", [True, False])
def test_a_decoder_gives_the_same_logits(mode: ResidualMode, with_memory: bool) -> None:
    found = []
    ids = torch.arange(12).view(2, 6)
    table = torch.randn(512, 4, 8, generator=torch.Generator().manual_seed(1))
    for kernels in ("eager", "fused"):
        residual = ResidualConfig(
            mode=mode, init="random", kernels="fused" if kernels == "fused" else "eager",
            readout="last_pre" if mode == "single_pass" else "mean",
        )  # fmt: skip
        given = memory() if with_memory else None
        model = Decoder(preset("tiny", residual=residual, memory=given), 0)
        state = model.new_state(2, 6)
        found.append(model.prefill(ids[:, :5], state, lambda _: table[ids[:, :5]]))
        found.append(model.decode(ids[:, 5], state, lambda _: table[ids[:, 5:]]))
    for ours, theirs in zip(found[2:], found[:2], strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-4)


def test_a_dtype_without_kernels_and_kernels_without_a_name_are_refused() -> None:
    with pytest.raises(ValueError, match=r"float32 and bfloat16, found torch\.float64"):
        make_site(shape(4, 4, mode="mhc", kernels="fused"), 0, Draw(0, torch.float64))
    with pytest.raises(ConfigError, match="residual kernels"):
        ResidualConfig(kernels="slow")  # type: ignore[arg-type]
