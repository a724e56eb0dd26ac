"""Experts against a token at a time, and what grouping never does."""

import math

import pytest
import torch
from torch import Tensor

from engramctl.layers.config import Routing
from engramctl.layers.init import Draw
from engramctl.layers.moe import Experts, expert_scores
from tests.model.backbones import tiny

ROUTINGS: tuple[Routing, ...] = ("softmax", "sqrt_softplus")


def experts(routing: Routing = "softmax", shared: int = 2) -> Experts:
    config = tiny("mla-moe")
    changed = type(config)(**{**vars(config), "routing": routing, "num_shared_experts": shared})
    return Experts(changed, Draw(0, torch.float64))


def tokens(batch: int = 3, num: int = 7, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(batch, num, 64, generator=generator, dtype=torch.float64)


def swiglu(x: Tensor, gate_up: Tensor, down: Tensor) -> Tensor:
    gate, up = (gate_up @ x).chunk(2)
    return down @ (gate * torch.sigmoid(gate) * up)


def plain(part: Experts, x: Tensor) -> Tensor:
    """Return one token's (D): its best experts by score, weighed so that they sum to one."""
    logits = [float(row @ x) for row in part.router]
    if part.routing == "softmax":
        wanted = [math.exp(one) for one in logits]
    else:
        wanted = [math.sqrt(math.log1p(math.exp(one))) for one in logits]
    best = sorted(range(len(wanted)), key=wanted.__getitem__)[-part.num_chosen :]
    total = sum(wanted[one] for one in best)
    y = torch.zeros_like(x)
    for one in best:
        y = y + wanted[one] / total * swiglu(x, part.gate_up[one], part.down[one])
    if part.shared is not None:
        y = y + swiglu(x, part.shared.gate_up, part.shared.down)
    return y


@pytest.mark.parametrize("shared", [0, 1, 2])
@pytest.mark.parametrize("routing", ROUTINGS)
def test_grouped_experts_are_each_tokens_own(routing: Routing, shared: int) -> None:
    part, x_BTD = experts(routing, shared), tokens()
    found = part(x_BTD)
    for expected, x in zip(found.flatten(0, 1), x_BTD.flatten(0, 1), strict=True):
        torch.testing.assert_close(plain(part, x), expected)


def test_the_grouped_products_of_a_device_give_the_same() -> None:
    part = experts().float()
    x_ND = tokens().float().flatten(0, 1)
    sizes = torch.tensor([4, 0, 9, 1, 0, 7], dtype=torch.int32)
    torch.testing.assert_close(part.grouped(x_ND, sizes), part.one_by_one(x_ND, sizes))


def test_an_expert_that_no_token_chose_is_not_read() -> None:
    part, x_BTD = experts(), tokens(1, 1)
    _, chosen = part.route(x_BTD.flatten(0, 1))
    expected = part(x_BTD)
    others = [one for one in range(6) if one not in chosen]
    part.gate_up[others] = torch.nan
    part.down[others] = torch.nan
    assert torch.equal(part(x_BTD), expected)


def test_no_product_is_of_all_experts_and_all_tokens() -> None:
    part, x_BTD = experts(shared=0), tokens(2, 50)
    largest = 0

    class Sizes(torch.overrides.TorchFunctionMode):
        def __torch_function__(self, func, types, args=(), kwargs=None):  # type: ignore[no-untyped-def]
            nonlocal largest
            out = func(*args, **(kwargs or {}))
            if func is torch.nn.functional.linear:
                largest = max(largest, out.numel())
            return out

    with Sizes():
        part(x_BTD)
    assert largest < 6 * 100 * 48


@pytest.mark.parametrize("routing", ROUTINGS)
def test_scores_are_above_zero_and_finite(routing: Routing) -> None:
    scores = expert_scores(torch.tensor([-40.0, -1.0, 0.0, 1.0, 40.0]), routing)
    assert bool((scores > 0).all())
    assert bool(scores.isfinite().all())
    assert bool((scores.diff() > 0).all())
