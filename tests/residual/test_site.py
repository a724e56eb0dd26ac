"""What holds for any weights of a residual site."""

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from engramctl.layers.config import ResidualConfig
from engramctl.layers.init import Draw
from engramctl.residual.hc import HcCoefficients
from engramctl.residual.mhc import Coefficients, MhcCoefficients, constrain, raw_coefficients
from engramctl.residual.site import collapse, expand, first_pre, replicate

R, D, T = 4, 16, 5
Z = 2 * R + R * R


def draw(*shape: int, seed: int = 0, std: float = 1.0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(shape, generator=generator, dtype=torch.float64) * std


def site(config: ResidualConfig, *, dtype: torch.dtype = torch.float64) -> MhcCoefficients:
    return MhcCoefficients(D, config, Draw(0, dtype))


def coefficients(X: Tensor, mapping: MhcCoefficients) -> Coefficients:
    found: Coefficients = mapping(X)
    return found


def test_mixing_keeps_the_mean_of_the_branches_up_to_the_column_error() -> None:
    X = draw(T, R, D)
    raw = torch.cat([draw(T, 2 * R), draw(T, R * R, std=0.5)], -1)
    _, post, comb = constrain(raw, R, ResidualConfig(form="paper"))
    mixed = expand(X, torch.zeros(T, D).double(), post, comb)
    torch.testing.assert_close(mixed.mean(-2), X.mean(-2), rtol=0, atol=1e-8)


def test_equal_branches_stay_as_they_are_under_any_mix() -> None:
    X = replicate(draw(T, D), R)
    _, post, comb = constrain(draw(T, Z, std=4.0), R, ResidualConfig(form="paper"))
    mixed = expand(X, torch.zeros(T, D).double(), post, comb)
    torch.testing.assert_close(mixed, X, rtol=0, atol=1e-12)


def test_one_branch_with_open_gates_is_the_residual_connection() -> None:
    X, y = draw(T, 1, D), draw(T, D, seed=1)
    raw = torch.cat([torch.full((T, 1), 40.0), torch.zeros(T, 1), draw(T, 1)], -1).double()
    pre, post, comb = constrain(raw, 1, ResidualConfig(branches=1, form="paper"))
    torch.testing.assert_close(collapse(X, pre), X[:, 0])
    torch.testing.assert_close(expand(X, y, post, comb)[:, 0], X[:, 0] + y)


@pytest.mark.parametrize("form", ["paper", "release"])
def test_permuting_branches_with_their_weights_permutes_the_result(form: str) -> None:
    config = ResidualConfig(form="paper" if form == "paper" else "release")
    order = torch.tensor([2, 0, 3, 1])
    square = torch.arange(R * R).view(R, R)[order][:, order].flatten()
    columns = torch.cat([order, R + order, 2 * R + square])
    X, y, phi, bias = draw(T, R, D), draw(T, D), draw(R * D, Z, std=0.1), draw(Z, seed=2)
    phi_permuted = phi.view(R, D, Z)[order].reshape(R * D, Z)[:, columns]
    alpha = torch.ones(3).double()

    def step(X: Tensor, phi: Tensor, bias: Tensor) -> Tensor:
        pre, post, comb = constrain(raw_coefficients(X, phi, alpha, bias, 1e-6), R, config)
        return expand(X, torch.tanh(collapse(X, pre)) + y, post, comb)

    found = step(X[:, order], phi_permuted, bias[columns])
    torch.testing.assert_close(found, step(X, phi, bias)[:, order], rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize(("dtype", "atol"), [(torch.float64, 1e-12), (torch.float32, 1e-5)])
def test_norming_after_the_product_equals_norming_before(dtype: torch.dtype, atol: float) -> None:
    X, phi = draw(T, R, D).to(dtype), draw(R * D, Z, std=0.1).to(dtype)
    alpha, bias = torch.ones(3, dtype=dtype), torch.zeros(Z, dtype=dtype)
    before = F.rms_norm(X.flatten(-2), (R * D,), eps=1e-6) @ phi
    found = raw_coefficients(X, phi, alpha, bias, 1e-6)
    torch.testing.assert_close(found, before, rtol=0, atol=atol)


def test_leaving_out_the_transpose_is_another_model() -> None:
    X, y = draw(T, R, D), draw(T, D, seed=1)
    _, post, comb = constrain(draw(T, Z, std=2.0), R, ResidualConfig())
    assert (expand(X, y, post, comb) - expand(X, y, post, comb.mT)).abs().max() > 1e-2


def test_branches_of_zeros_give_finite_coefficients_at_the_smallest_epsilon() -> None:
    config = ResidualConfig(init="random", rms_eps=1e-20)
    found = coefficients(torch.zeros(1, T, R, D), site(config, dtype=torch.float32))
    assert all(bool(part.isfinite().all()) for part in found)


def test_coefficients_and_their_weights_stay_float32_in_a_bfloat16_model() -> None:
    mapping = site(ResidualConfig(init="random"), dtype=torch.bfloat16)
    X = draw(1, T, R, D).to(torch.bfloat16)
    found = coefficients(X, mapping)
    assert {weight.dtype for weight in mapping.parameters()} == {torch.float32}
    assert {part.dtype for part in found} == {torch.float32}
    u = collapse(X, found.pre_BTR)
    assert u.dtype == torch.bfloat16
    assert expand(X, u, found.post_BTR, found.comb_BTRR).dtype == torch.bfloat16


@pytest.mark.parametrize("init", ["identity", "uniform"])
@pytest.mark.parametrize("branches", [1, 2, 4])
def test_a_fresh_site_is_the_pre_norm_residual(init: str, branches: int) -> None:
    config = ResidualConfig(
        branches=branches, form="paper", init="identity" if init == "identity" else "uniform"
    )
    x, y = draw(1, T, D), draw(1, T, D, seed=1)
    X = replicate(x, branches)
    pre, post, comb = MhcCoefficients(D, config, Draw(0, torch.float64))(X)
    torch.testing.assert_close(collapse(X, pre), x, rtol=1e-6, atol=1e-6)
    after = replicate(x + y, branches)
    torch.testing.assert_close(expand(X, y, post, comb), after, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("site_index", [0, 3, 6])
def test_a_fresh_hyper_connection_is_the_pre_norm_residual(site_index: int) -> None:
    x, y = draw(1, T, D), draw(1, T, D, seed=1)
    X = replicate(x, R)
    pre, post, comb = HcCoefficients(D, ResidualConfig(), site_index, Draw(0, torch.float64))(X)
    torch.testing.assert_close(collapse(X, pre), x)
    torch.testing.assert_close(expand(X, y, post, comb), replicate(x + y, R))
    assert pre[0, 0].argmax() == site_index % R


def test_the_first_single_pass_collapse_reads_branch_0() -> None:
    X = draw(2, T, R, D)
    assert torch.equal(collapse(X, first_pre(X)), X[:, :, 0])
