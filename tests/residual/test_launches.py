"""Launches are counted, not reckoned."""

from typing import Any

import pytest
import torch

from engramctl.layers.config import ResidualConfig, ResidualMode
from engramctl.residual import mhc
from engramctl.residual.launches import launches_per_sublayer
from engramctl.residual.mhc import Coefficients
from tests.residual.plain_sinkhorn import plain_release
from tests.residual.sites import branches_and_output, pair

IN_THE_SPEC = 143  # non-view kernels of a straightforward eager mHC


@pytest.mark.parametrize(
    ("mode", "one_token", "many"), [("hc", 3, 4), ("mhc", 3, 4), ("single_pass", 2, 3)]
)
def test_fused_is_two_or_three_launches_and_a_product_from_two_tokens_on(
    mode: ResidualMode, one_token: int, many: int
) -> None:
    _, fused = pair(16, 4, mode=mode)
    for tokens, expected in ((1, one_token), (5, many)):
        X, _ = branches_and_output((1, tokens, 4, 16))
        assert launches_per_sublayer(fused, X, mode) == expected


def test_a_straightforward_mhc_launches_what_the_literature_counted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    plain, _ = pair(16, 4, torch.bfloat16, mode="mhc")
    X, _ = branches_and_output((1, 1, 4, 16), torch.bfloat16)
    ours = launches_per_sublayer(plain, X, "mhc")

    def straightforward(raw: torch.Tensor, branches: int, config: ResidualConfig) -> Coefficients:
        pre, post = raw[..., :branches], raw[..., branches : 2 * branches]
        logits = raw[..., 2 * branches :]
        comb = plain_release(
            logits.view(*raw.shape[:-1], branches, branches), config.iterations, config.hc_eps
        )
        return Coefficients(torch.sigmoid(pre) + config.hc_eps, 2 * torch.sigmoid(post), comb)

    monkeypatch.setattr(mhc, "constrain", straightforward)
    counted = launches_per_sublayer(plain, X, "mhc")
    assert counted == pytest.approx(IN_THE_SPEC, rel=0.1)
    assert 80 < ours < counted  # two a normalisation, not three


class OneView:
    """A site that copies and adds once; the rest of its work are views and an allocation."""

    def coeff(self, X: torch.Tensor) -> Coefficients:
        some = torch.empty(3, 2).mT.reshape(6)  # copies
        return Coefficients(some, some, some.add(1))

    def collapse(self, X: torch.Tensor, pre: torch.Tensor) -> torch.Tensor:
        return X.view(1)

    def advance(self, X: torch.Tensor, *given: Any, ahead: bool) -> tuple[torch.Tensor, None]:
        return X.squeeze(0), None


def test_a_view_and_an_allocation_are_no_launches() -> None:
    site: Any = OneView()
    assert launches_per_sublayer(site, torch.ones(1, 1, 1, 1), "mhc") == 2
