"""SwiGLU feed-forward.

Shapes: B sequences, T tokens, D model width.
"""

import torch.nn.functional as F
from torch import Tensor, nn

from engramctl.layers.init import Draw


class SwiGlu(nn.Module):
    """down(silu(gate(x)) * up(x)); gate and up are one projection."""

    def __init__(self, width: int, hidden: int, draw: Draw) -> None:
        """Draw gate | up (2 * hidden, D) and down (D, hidden)."""
        super().__init__()
        self.gate_up = draw.linear("gate_up", 2 * hidden, width)
        self.down = draw.linear("down", width, hidden)

    def forward(self, x_BTD: Tensor) -> Tensor:
        """Return (B, T, D) in the dtype of x."""
        gate, up = F.linear(x_BTD, self.gate_up).chunk(2, -1)
        return F.linear(F.silu(gate).mul_(up), self.down)
