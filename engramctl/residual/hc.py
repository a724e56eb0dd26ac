"""Coefficients of dynamic hyper-connections (HC), the unconstrained ancestor of mHC.

Shapes: B sequences, T tokens, D model width, R branches; the columns of every (., R + 2) tensor are
post | pre | comb (the paper's B, A_m, A_r).
"""

import torch
from torch import Tensor, nn

from engramctl.layers.config import ResidualConfig
from engramctl.layers.init import Draw
from engramctl.layers.norm import inverse_rms, wide
from engramctl.residual.mhc import Coefficients


def hc_coefficients(
    X_BTRD: Tensor, weight: Tensor, static: Tensor, scale: Tensor, eps: float
) -> Coefficients:
    """Return scale * tanh(norm(X) weight) + static (HC, arXiv 2409.19606, dynamic).

    The norm is per branch, over D, without a weight; unlike mHC's it is not over R * D.

    Args:
        X_BTRD: branches (..., R, D), any float dtype.
        weight: (D, R + 2), float32.
        static: (R, R + 2), float32; row = source branch.
        scale: (R + 2,), float32.
        eps: of the norm.
    """
    mixed = torch.matmul(wide(X_BTRD), weight).mul_(inverse_rms(X_BTRD, eps))
    both = torch.addcmul(static, mixed.tanh_(), scale)
    return Coefficients(pre_BTR=both[..., 1], post_BTR=both[..., 0], comb_BTRR=both[..., 2:])


class HcCoefficients(nn.Module):
    """The mapping of one site; starts as the pre-norm residual unless `init` is `random`."""

    def __init__(self, width: int, config: ResidualConfig, site: int, draw: Draw) -> None:
        """Read branch `site mod R`, write all, keep each branch (HC's own start)."""
        super().__init__()
        draw = draw.exact()
        branches = config.branches
        self.eps = config.rms_eps
        read = torch.zeros(branches)
        read[site % branches] = 1.0
        kept = torch.eye(branches)
        if config.init == "uniform":
            kept = torch.full((branches, branches), 1 / branches)
        self.static = draw.given(torch.cat([torch.ones(branches, 1), read[:, None], kept], 1))
        std = 0.02 if config.init == "random" else 0.0
        self.weight = draw.normal("weight", width, branches + 2, std=std)
        self.scale = draw.full(0.01, branches + 2)

    def forward(self, X_BTRD: Tensor) -> Coefficients:
        """Return the coefficients of branches (B, T, R, D)."""
        return hc_coefficients(X_BTRD, self.weight, self.static, self.scale, self.eps)
