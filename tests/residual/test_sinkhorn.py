"""What a finite Sinkhorn promises, and what it does not."""

from itertools import pairwise

import pytest
import torch
from torch import Tensor

from engramctl.residual.sinkhorn import sinkhorn, sinkhorn_paper
from tests.residual.plain_sinkhorn import plain_release, plain_sinkhorn

ITERATIONS = 20


def logits(sigma: float, *, branches: int = 4, num: int = 64, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    shape = (num, branches, branches)
    return torch.randn(shape, generator=generator, dtype=torch.float64) * sigma


@pytest.mark.parametrize("branches", [1, 2, 3, 4, 8])
@pytest.mark.parametrize("iterations", [1, 2, 20])
def test_it_equals_the_plain_loops(branches: int, iterations: int) -> None:
    given = logits(2.0, branches=branches)
    paper, release = plain_sinkhorn(given, iterations), plain_release(given, iterations, 1e-6)
    torch.testing.assert_close(sinkhorn_paper(given, iterations), paper, rtol=1e-12, atol=0)
    torch.testing.assert_close(sinkhorn(given, iterations, 1e-6), release, rtol=1e-12, atol=0)


def test_release_is_the_paper_transposed_and_a_missing_transpose_is_another_matrix() -> None:
    given = logits(2.0)
    right = plain_sinkhorn(given.mT, ITERATIONS).mT
    torch.testing.assert_close(sinkhorn(given, ITERATIONS, 0.0), right, rtol=1e-12, atol=0)
    wrong = sinkhorn(given, ITERATIONS, 0.0) - plain_sinkhorn(given, ITERATIONS)
    assert wrong.abs().max() > 1e-3


@pytest.mark.parametrize("sigma", [0.5, 1.0, 2.0, 4.0, 8.0])
def test_the_last_normalised_axis_is_exact(sigma: float) -> None:
    given = logits(sigma).float()
    paper, release = sinkhorn_paper(given, ITERATIONS), sinkhorn(given, ITERATIONS, 1e-6)
    assert paper.min() >= 0
    assert release.min() >= 0
    torch.testing.assert_close(paper.sum(-1), torch.ones(64, 4), rtol=0, atol=1e-6)
    torch.testing.assert_close(release.sum(-2), torch.ones(64, 4), rtol=0, atol=3e-6)


def test_the_other_axis_is_near_exact_on_small_logits_and_nears_with_every_step() -> None:
    mild = sinkhorn_paper(logits(0.5), ITERATIONS)
    torch.testing.assert_close(mild.sum(-2).mean(), torch.tensor(1.0).double())
    assert (mild.sum(-2) - 1).abs().max() < 1e-8
    steep = logits(4.0)
    errors = [(sinkhorn_paper(steep, t).sum(-2) - 1).abs().sum(-1) for t in (1, 2, 5, 10, 20)]
    assert all(bool((after <= before + 1e-12).all()) for before, after in pairwise(errors))


@pytest.mark.parametrize("sigma", [0.5, 3.0])
def test_no_mix_stretches_more_than_its_column_error_allows(sigma: float) -> None:
    mix = sinkhorn_paper(logits(sigma), ITERATIONS)
    stretch = torch.linalg.matrix_norm(mix, ord=2)
    bound = (mix.sum(-1).amax(-1) * mix.sum(-2).amax(-1)).sqrt()
    assert bool((stretch <= bound + 1e-12).all())
    if sigma <= 0.5:
        assert stretch.max() <= 1 + 1e-6


def test_a_product_of_mixes_keeps_the_forward_gain_and_bounds_the_backward_gain() -> None:
    product = torch.eye(4, dtype=torch.float64)
    for mix in sinkhorn_paper(logits(3.0, num=60), ITERATIONS):
        product = mix @ product
    torch.testing.assert_close(product.sum(-1), torch.ones(4).double(), rtol=0, atol=1e-12)
    assert product.sum(-2).max() <= 2


def test_one_branch_is_one() -> None:
    given = logits(3.0, branches=1)
    assert torch.equal(sinkhorn_paper(given, ITERATIONS), torch.ones_like(given))
    torch.testing.assert_close(
        sinkhorn(given, ITERATIONS, 1e-6), torch.full_like(given, 1 - 1e-6), rtol=0, atol=1e-9
    )


def test_a_constant_on_a_column_never_counts_and_on_a_row_only_before_convergence() -> None:
    given = logits(1.0)
    column, row = given.clone(), given.clone()
    column[..., 1] += 3.0
    row[..., 1, :] += 1.0
    before = sinkhorn_paper(given, ITERATIONS)
    torch.testing.assert_close(sinkhorn_paper(column, ITERATIONS), before, rtol=1e-12, atol=0)
    torch.testing.assert_close(sinkhorn_paper(row, ITERATIONS), before, rtol=0, atol=1e-2)
    two_steps = sinkhorn_paper(row, 2) - sinkhorn_paper(given, 2)
    assert two_steps.abs().max() > 1e-2


@pytest.mark.parametrize("eps", [0.0, 1e-6])
@pytest.mark.parametrize("size", [90.0, 1e4])
def test_extreme_logits_stay_finite(size: float, eps: float) -> None:
    given = logits(1.0).sign().mul(size).float()
    given[0] = torch.full((4, 4), -size)
    given[1, :, 0], given[1, :, 1:] = size, -size
    given[2, 0], given[2, 1:] = size, -size
    for mix in (sinkhorn(given, ITERATIONS, eps), sinkhorn(given.mT, ITERATIONS, eps)):
        assert bool(mix.isfinite().all())
        torch.testing.assert_close(mix.sum(-2), torch.ones(64, 4), rtol=0, atol=5e-6)


def test_permuting_branches_permutes_the_mix() -> None:
    given, order = logits(2.0), torch.tensor([2, 0, 3, 1])
    permuted = sinkhorn_paper(given[:, order][:, :, order], ITERATIONS)
    expected = sinkhorn_paper(given, ITERATIONS)[:, order][:, :, order]
    torch.testing.assert_close(permuted, expected, rtol=1e-12, atol=0)


def test_no_token_at_all_is_an_empty_result() -> None:
    assert sinkhorn(torch.zeros(0, 4, 4), ITERATIONS, 1e-6).shape == (0, 4, 4)
