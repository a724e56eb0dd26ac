"""From R branches back to one vector, after the last layer.

Shapes: B sequences, T tokens, D model width, R branches.
"""

import torch
from torch import Tensor, nn

from engramctl.layers.config import DecoderConfig
from engramctl.layers.init import Draw
from engramctl.layers.norm import inverse_rms, wide
from engramctl.residual.site import collapse


def head_weights(
    X_BTRD: Tensor, fn: Tensor, scale: Tensor, base_R: Tensor, rms_eps: float, hc_eps: float
) -> Tensor:
    """Return V4's learned read-out weights, sigmoid(v fn / rms(v) * scale + base) + hc_eps.

    Args:
        X_BTRD: branches (..., R, D), any float dtype.
        fn: (R * D, R), float32: the release's `fn` transposed.
        scale: (1,), float32.
        base_R: (R,), float32.
        rms_eps: of the norm over all R * D values.
        hc_eps: added after the sigmoid.

    Returns:
        (..., R), float32.
    """
    v = X_BTRD.flatten(-2)
    m = torch.matmul(wide(v), fn).mul_(inverse_rms(v, rms_eps))
    return torch.addcmul(base_R, m, scale).sigmoid_().add_(hc_eps)


class ReadOut(nn.Module):
    """`mean`, `hyperhead` (V4), or `last_pre` (V4.1: the pre of the last FFN site)."""

    def __init__(self, config: DecoderConfig, draw: Draw) -> None:
        """Draw the head's weights, if it has any."""
        super().__init__()
        self.config = config.residual
        branches = config.num_branches
        if self.config.readout == "hyperhead":
            draw = draw.exact()
            self.fn = draw.normal("fn", branches * config.width, branches, std=0.02)
            self.scale = draw.full(1.0, 1)
            self.base = draw.full(0.0, branches)

    def forward(self, X_BTRD: Tensor, pre_BTR: Tensor) -> Tensor:
        """Return (B, T, D) in the dtype of X; pre_BTR is read by `last_pre` alone."""
        if X_BTRD.shape[-2] == 1 and self.config.readout == "mean":
            return X_BTRD.squeeze(-2)
        if self.config.readout == "mean":
            return wide(X_BTRD).mean(-2).to(X_BTRD.dtype)
        if self.config.readout == "last_pre":
            return collapse(X_BTRD, pre_BTR)
        eps, hc_eps = self.config.rms_eps, self.config.hc_eps
        return collapse(X_BTRD, head_weights(X_BTRD, self.fn, self.scale, self.base, eps, hc_eps))
