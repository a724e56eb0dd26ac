"""RMS norms. Statistics in float32 (float64 for float64 input), whatever the input's dtype.

Shapes: D model width.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from engramctl.layers.init import Draw


def wide(x: Tensor) -> Tensor:
    """Return x in float32, or as it is when it is wider."""
    return x.to(torch.promote_types(x.dtype, torch.float32))


def inverse_rms(x: Tensor, eps: float) -> Tensor:
    """Return 1 / sqrt(mean(x^2) + eps) over the last dimension, kept as size 1, in float32.

    Dividing by it after a product is equal to norming before, and lets one pass over x serve both.
    """
    dtype = torch.promote_types(x.dtype, torch.float32)
    norm: Tensor = torch.linalg.vector_norm(x, dim=-1, keepdim=True, dtype=dtype)
    return norm.square().div_(x.shape[-1]).add_(eps).rsqrt_()


class RmsNorm(nn.Module):
    """x / rms(x) * weight over the last dimension; returns the dtype of x."""

    def __init__(self, width: int, eps: float, draw: Draw) -> None:
        """Start with weights of one."""
        super().__init__()
        self.eps = eps
        self.weight = draw.full(1.0, width)

    def forward(self, x: Tensor) -> Tensor:
        """Norm x (..., D)."""
        return F.rms_norm(x, self.weight.shape, self.weight, self.eps)
