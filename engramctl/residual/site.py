"""One residual site: coefficients, collapse before a sublayer, expand after it; four modes.

Shapes: B sequences, T tokens, D model width, R branches. Plain torch operations, the reference of
the fused kernels (`engramctl.residual.fused`). Sums run in float32 and are cast once.
"""

import torch
from torch import Tensor, nn

from engramctl.layers.config import DecoderConfig
from engramctl.layers.init import Draw
from engramctl.layers.norm import wide
from engramctl.residual.hc import HcCoefficients
from engramctl.residual.mhc import Coefficients, MhcCoefficients


def replicate(x_BTD: Tensor, branches: int) -> Tensor:
    """Return X (B, T, R, D): R copies of the embedding."""
    return x_BTD.unsqueeze(-2).repeat_interleave(branches, -2)


def first_pre(X_BTRD: Tensor) -> Tensor:
    """Return what single-pass mode carries into the first sublayer: one-hot on branch 0 (2.7)."""
    pre = torch.zeros(X_BTRD.shape[:-1], dtype=wide(X_BTRD[..., :0]).dtype, device=X_BTRD.device)
    pre[..., 0] = 1.0
    return pre


def collapse(X_BTRD: Tensor, pre_BTR: Tensor) -> Tensor:
    """Return the sublayer's input u = sum_i pre[i] X[i], (B, T, D), in the dtype of X."""
    u = torch.matmul(pre_BTR.unsqueeze(-2), wide(X_BTRD))
    return u.squeeze(-2).to(X_BTRD.dtype)


def expand(X_BTRD: Tensor, y_BTD: Tensor, post_BTR: Tensor, comb_BTRR: Tensor) -> Tensor:
    """Return X'[o] = sum_i comb[i, o] X[i] + post[o] y, (B, T, R, D), in the dtype of X.

    comb is applied transposed, as the release does. y rides along as one more branch, so that the
    mix and the write are one product.
    """
    weights = torch.cat([comb_BTRR, post_BTR.unsqueeze(-2)], -2)
    values = torch.cat([X_BTRD, y_BTD.unsqueeze(-2)], -2)
    return torch.matmul(weights.mT, wide(values)).to(X_BTRD.dtype)


class PreNorm(nn.Module):
    """Mode `none`: x + F(x) on one branch; its coefficients are constants nobody multiplies by."""

    def __init__(self, draw: Draw) -> None:
        """Hold the ones."""
        super().__init__()
        one = torch.ones(1, 1, 1, dtype=draw.exact().dtype, device=draw.device)
        self.constant = Coefficients(one, one, one.unsqueeze(-1))

    def coeff(self, X_BTRD: Tensor) -> Coefficients:
        """Return ones, (1, 1, 1) each."""
        return self.constant

    def collapse(self, X_BTRD: Tensor, pre_BTR: Tensor) -> Tensor:
        """Return the only branch, a view."""
        return X_BTRD.squeeze(-2)

    def advance(
        self, X_BTRD: Tensor, y_BTD: Tensor, given: Coefficients, *, ahead: bool
    ) -> tuple[Tensor, Tensor | None]:
        """Return x + y, and that once more as the only branch where `ahead` asks for it."""
        X_next = X_BTRD + y_BTD.unsqueeze(-2)
        return X_next, X_next.squeeze(-2) if ahead else None


class Branches(nn.Module):
    """Modes `hc`, `mhc` and `single_pass`: they differ in coefficients and in when pre is used."""

    def __init__(self, config: DecoderConfig, site: int, draw: Draw) -> None:
        """Draw the mapping of sublayer `site`, counted over the whole decoder."""
        super().__init__()
        residual = config.residual
        self.mapping: nn.Module = (
            HcCoefficients(config.width, residual, site, draw)
            if residual.mode == "hc"
            else MhcCoefficients(config.width, residual, draw)
        )

    def coeff(self, X_BTRD: Tensor) -> Coefficients:
        """Return pre (B, T, R), post (B, T, R), comb (B, T, R, R), float32."""
        coefficients: Coefficients = self.mapping(X_BTRD)
        return coefficients

    def collapse(self, X_BTRD: Tensor, pre_BTR: Tensor) -> Tensor:
        """See the function of this name."""
        return collapse(X_BTRD, pre_BTR)

    def advance(
        self, X_BTRD: Tensor, y_BTD: Tensor, given: Coefficients, *, ahead: bool
    ) -> tuple[Tensor, Tensor | None]:
        """Return the branches after the sublayer, and the next one's input.

        Args:
            X_BTRD: branches before it.
            y_BTD: what it gave.
            given: this site's coefficients.
            ahead: whether the next sublayer reads them as they are, by this site's pre (mode
                single_pass, no memory between): only then its input is made here, else None.
        """
        X_next = expand(X_BTRD, y_BTD, given.post_BTR, given.comb_BTRR)
        return X_next, collapse(X_next, given.pre_BTR) if ahead else None
