"""Coefficients of manifold-constrained hyper-connections (mHC), from the branches themselves.

Shapes: B sequences, T tokens, D model width, R branches; Z = 2R + R*R raw values a token, in the
order pre | post | res. Coefficients are float32 whatever the dtype of the branches.
"""

import functools
import math
from typing import NamedTuple

import torch
from torch import Tensor, nn

from engramctl.layers.config import ResidualConfig
from engramctl.layers.init import Draw
from engramctl.layers.norm import inverse_rms, wide
from engramctl.residual.sinkhorn import sinkhorn, sinkhorn_paper

NEAR_ONE = 40.0  # a logit whose sigmoid is 1 in float32 and float64


class Coefficients(NamedTuple):
    """What a site computes from the branches, in float32.

    `comb[i, o]` weighs input branch i for output branch o: the release's orientation for every
    mode, so the paper's H_res is comb transposed.
    """

    pre_BTR: Tensor
    post_BTR: Tensor
    comb_BTRR: Tensor


@functools.lru_cache(maxsize=8)
def alpha_of_column(branches: int, device: torch.device) -> Tensor:
    """Return which of the three alphas each column of the projection takes, int64 (2R + R^2,)."""
    with torch.inference_mode(False):
        groups = [0] * branches + [1] * branches + [2] * branches**2
        return torch.tensor(groups, device=device)


def raw_coefficients(
    X_BTRD: Tensor, phi: Tensor, alpha_3: Tensor, bias_Z: Tensor, eps: float
) -> Tensor:
    """Return the raw values before sigmoid and Sinkhorn (mHC, arXiv 2512.24880, eq. 10-14).

    The norm is one scalar a token, over all R * D values, and divides after the product.

    Args:
        X_BTRD: branches (..., R, D), any float dtype.
        phi: (R * D, Z), float32; row index branch * D + channel.
        alpha_3: one scale each for pre, post, res.
        bias_Z: (Z,).
        eps: of the norm.

    Returns:
        (..., Z), float32.
    """
    v = X_BTRD.flatten(-2)
    m = torch.matmul(wide(v), phi).mul_(inverse_rms(v, eps))
    alpha_Z = alpha_3[alpha_of_column(X_BTRD.shape[-2], X_BTRD.device)]
    return torch.addcmul(bias_Z, m, alpha_Z)


def constrain(raw_Z: Tensor, branches: int, config: ResidualConfig) -> Coefficients:
    """Turn raw values into coefficients, in the paper's or the release's form.

    Paper: pre in (0, 1), post in (0, 2), H_res row-stochastic from the raw res block. Release
    (2.2): pre has hc_eps added, post has not, and the raw res block holds the logits of comb =
    H_res transposed.

    Args:
        raw_Z: (..., Z), float32.
        branches: R.
        config: form, iterations, hc_eps.
    """
    squashed = torch.sigmoid(raw_Z[..., : 2 * branches])
    post = squashed[..., branches:] * 2
    logits = raw_Z[..., 2 * branches :].reshape(*raw_Z.shape[:-1], branches, branches)
    if config.form == "paper":
        comb = sinkhorn_paper(logits, config.iterations).mT
        return Coefficients(squashed[..., :branches], post, comb)
    comb = sinkhorn(logits, config.iterations, config.hc_eps)
    return Coefficients(squashed[..., :branches] + config.hc_eps, post, comb)


def initial_bias(branches: int, init: str) -> Tensor:
    """Return the (Z,) bias that starts as the pre-norm residual when phi is 0.

    pre sums to 1, post is 1, res is the uniform matrix (`uniform`) or nearly the identity.
    """
    pre = -math.log(branches - 1) if branches > 1 else NEAR_ONE
    res = torch.zeros(branches, branches)
    if init == "identity":
        res.fill_(-8.0).fill_diagonal_(0.0)
    return torch.cat([torch.full((branches,), pre), torch.zeros(branches), res.flatten()])


class MhcCoefficients(nn.Module):
    """The mapping of one site: phi (R * D, Z), alpha (3,), bias (Z,), all float32."""

    def __init__(self, width: int, config: ResidualConfig, draw: Draw) -> None:
        """Draw the weights as `config.init` says."""
        super().__init__()
        draw = draw.exact()
        self.config = config
        branches = config.branches
        num_raw = 2 * branches + branches**2
        if config.init == "random":
            self.phi = draw.normal("phi", branches * width, num_raw, std=0.02)
            self.alpha = draw.full(1.0, 3)
            self.bias = draw.normal("bias", num_raw, std=0.5)
        else:
            self.phi = draw.full(0.0, branches * width, num_raw)
            self.alpha = draw.full(0.01, 3)
            self.bias = draw.given(initial_bias(branches, config.init))

    def forward(self, X_BTRD: Tensor) -> Coefficients:
        """Return the coefficients of branches (B, T, R, D)."""
        raw = raw_coefficients(X_BTRD, self.phi, self.alpha, self.bias, self.config.rms_eps)
        return constrain(raw, X_BTRD.shape[-2], self.config)
