"""The compute part of a gated lookup: rows already gathered, mixed into the branches.

Shapes: B sequences, T tokens, H hash heads, E row_dim, D model width, R branches. The projection
runs in the model's dtype; dot, gate, norms and convolution in float32, with one cast at the end
(Engram, arXiv 2601.07372, sections 2.3 and 2.4; its demo code; DeepSeek-V4.1's release; the PLE
layer of Qwen3.8-Flash-Next, arXiv 2608.30320, as transformers has it).
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from engramctl.layers.config import CONV_KERNEL, DecoderConfig, MemoryConfig
from engramctl.layers.fusions import Fusion
from engramctl.layers.init import Draw
from engramctl.layers.norm import inverse_rms, wide
from engramctl.layers.short_conv import short_conv

SMALLEST_DOT = 1e-6  # clamp under the signed square root


def gate_dot(X_BTRD: Tensor, key_BTRD: Tensor, weight_RD: Tensor, eps: float) -> Tensor:
    """Return <norm(X), norm(key)> / sqrt(D) per token and branch (paper eq. 3 and 6).

    The norms are over D, each branch on its own; of the two norm weights only the product counts.

    Args:
        X_BTRD: branches, any float dtype.
        key_BTRD: keys, any float dtype.
        weight_RD: query norm weight times key norm weight, float32.
        eps: of both norms.

    Returns:
        (B, T, R), float32.
    """
    dot = (wide(X_BTRD) * weight_RD).mul_(wide(key_BTRD)).sum(-1, keepdim=True)
    dot.mul_(inverse_rms(X_BTRD, eps)).mul_(inverse_rms(key_BTRD, eps))
    return dot.squeeze(-1).mul_(X_BTRD.shape[-1] ** -0.5)


def gate_value(dot_BTR: Tensor, fusion: Fusion) -> Tensor:
    """Return the gate, in (0, 1): sigmoid of the dot, or of its signed square root.

    The paper's formulas have the plain sigmoid; the demo, Qwen's PLE and V4.1 take sign(x)
    sqrt(max(|x|, 1e-6)) first. They differ at 0: `sign` gives 0.5, V4.1's `copysign`
    sigmoid(+-0.001).
    """
    if fusion == "engram":
        return torch.sigmoid(dot_BTR)
    root = dot_BTR.abs().clamp_min_(SMALLEST_DOT).sqrt_()
    if fusion == "deepseek-v41":
        return torch.copysign(root, dot_BTR).sigmoid_()
    return root.mul_(dot_BTR.sign()).sigmoid_()


class Memory(nn.Module):
    """One memory layer's weights and its forward.

    `wkv` ((R + 1) * D, H * E) holds the R key blocks first and the value, which all branches share,
    last. Norm weights and convolution are float32; those of `qwen-ple` are zero-centred, so that
    1 + weight is what multiplies.
    """

    def __init__(self, config: DecoderConfig, memory: MemoryConfig, draw: Draw) -> None:
        """Draw the weights for one layer."""
        super().__init__()
        self.memory = memory
        self.width, self.branches = config.width, config.num_branches
        num_outputs = (self.branches + 1) * self.width
        self.wkv = draw.linear("wkv", num_outputs, memory.num_heads * memory.row_dim)
        self.bias = draw.normal("bias", num_outputs, std=0.02) if memory.kind.has_bias else None
        exact, neutral = draw.exact(), 0.0 if memory.kind.zero_centred else 1.0
        self.q_weight = exact.full(neutral, self.branches, self.width)
        self.k_weight = exact.full(neutral, self.branches, self.width)
        if memory.kind.has_conv:
            taps = (self.branches, self.width, CONV_KERNEL)
            std = 0.0 if memory.conv_zero_init else CONV_KERNEL**-0.5
            self.conv_norm = exact.full(neutral, self.branches, self.width)
            self.conv_kernel = exact.normal("conv_kernel", *taps, std=std)

    def project(self, rows_BTHE: Tensor) -> tuple[Tensor, Tensor]:
        """Return keys (B, T, R, D) and the shared value (B, T, D), in the model's dtype."""
        memory_BTM = rows_BTHE.flatten(-2).to(self.wkv.dtype)
        out = F.linear(memory_BTM, self.wkv, self.bias)
        out = out.view(*out.shape[:-1], self.branches + 1, self.width)
        return out[..., : self.branches, :], out[..., self.branches, :]

    def gate(self, X_BTRD: Tensor, key_BTRD: Tensor, mask_BT: Tensor | None = None) -> Tensor:
        """Return the gate (B, T, R), float32; 0 where mask_BT (bool) is False."""
        weight_RD = self._scale(self.q_weight) * self._scale(self.k_weight)
        dot = gate_dot(X_BTRD, key_BTRD, weight_RD, self.memory.norm_eps)
        gate = gate_value(dot, self.memory.fusion)
        return gate if mask_BT is None else gate * mask_BT.unsqueeze(-1)

    def _scale(self, weight_RD: Tensor) -> Tensor:
        return 1 + weight_RD if self.memory.kind.zero_centred else weight_RD

    def forward(
        self,
        X_BTRD: Tensor,
        rows_BTHE: Tensor,
        history: Tensor | None = None,
        mask_BT: Tensor | None = None,
    ) -> Tensor:
        """Return X + gate * value, the convolution of it added where the fusion has one.

        Args:
            X_BTRD: branches, the model's dtype.
            rows_BTHE: gathered and dequantised rows, any float dtype.
            history: convolution history (B, 3N, R, D), moved on in place; zeros when not given.
            mask_BT: bool; False (padding, image) forces the gate to 0, and so what the convolution
                reads of that position.

        Returns:
            (B, T, R, D) in the dtype of X.
        """
        key, value = self.project(rows_BTHE)
        gate = self.gate(X_BTRD, key, mask_BT)
        update = gate.unsqueeze(-1) * wide(value).unsqueeze(-2)
        if self.memory.kind.has_conv:
            if history is None:
                past = (update.shape[0], self.memory.conv_history, *update.shape[2:])
                history = update.new_zeros(past)
            eps = self.memory.conv_norm_eps
            norm_RD = self._scale(self.conv_norm)
            update = update + short_conv(update, norm_RD, self.conv_kernel, history, eps)
        return update.add_(X_BTRD).to(X_BTRD.dtype)
