"""Grouped-query attention with RoPE over a preallocated cache.

Shapes: B sequences, T tokens of this call, S tokens attended, Q query heads, G key-value heads,
A attention head width, D model width.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from engramctl.layers.config import DecoderConfig
from engramctl.layers.init import Draw


def rotate(x_BTQA: Tensor, cos_T1A: Tensor, sin_T1A: Tensor) -> Tensor:
    """Apply RoPE, halves paired (channel c with c + A / 2); float32 inside, dtype of x out."""
    left, right = x_BTQA.chunk(2, -1)
    turned = torch.cat([left * cos_T1A - right * sin_T1A, right * cos_T1A + left * sin_T1A], -1)
    return turned.to(x_BTQA.dtype)


def chunk_mask(num_tokens: int, start: int, device: torch.device) -> Tensor | None:
    """Return the causal mask (T, start + T) of a chunk behind `start` cached tokens.

    None where none is needed: one token sees everything, and a chunk at 0 is plainly causal.
    """
    if num_tokens == 1 or start == 0:
        return None
    shape = (num_tokens, start + num_tokens)
    return torch.ones(shape, dtype=torch.bool, device=device).tril_(start)


def attend(q_BTQA: Tensor, k_BSGA: Tensor, v_BSGA: Tensor, mask_TS: Tensor | None) -> Tensor:
    """Return softmax(q k / sqrt(A)) v, (B, T, Q, A), causal.

    A single query takes all S keys, with the query heads of one group as the rows of one product,
    so that keys are read once a group.
    """
    k, v = k_BSGA.transpose(1, 2), v_BSGA.transpose(1, 2)
    if q_BTQA.shape[1] == 1:
        q = q_BTQA.view(q_BTQA.shape[0], k.shape[1], -1, k.shape[-1])
        return F.scaled_dot_product_attention(q, k, v).reshape(q_BTQA.shape)
    out = F.scaled_dot_product_attention(
        q_BTQA.transpose(1, 2), k, v, attn_mask=mask_TS, is_causal=mask_TS is None, enable_gqa=True
    )
    return out.transpose(1, 2)


class Attention(nn.Module):
    """One projection for q | k | v, RoPE, the cache, one projection out."""

    def __init__(self, config: DecoderConfig, draw: Draw) -> None:
        """Draw qkv ((Q + 2G) * A, D) and out (D, Q * A)."""
        super().__init__()
        self.num_queries, self.num_kv = config.num_attention_heads, config.num_kv_heads
        self.head_dim = config.attention_head_dim
        num_heads = self.num_queries + 2 * self.num_kv
        self.qkv = draw.linear("qkv", num_heads * self.head_dim, config.width)
        self.out = draw.linear("out", config.width, self.num_queries * self.head_dim)

    def forward(
        self,
        x_BTD: Tensor,
        kv: Tensor,
        start: int,
        cos_T1A: Tensor,
        sin_T1A: Tensor,
        mask_TS: Tensor | None,
    ) -> Tensor:
        """Write T keys and values at `start` in place, then attend to all before.

        Args:
            x_BTD: normed input.
            kv: this layer's cache (2, B, max_tokens, G, A).
            start: position of the first token.
            cos_T1A: RoPE rows of these T positions, (T, 1, A / 2); sin_T1A alike.
            sin_T1A: see cos_T1A.
            mask_TS: from chunk_mask.

        Returns:
            (B, T, D) in the dtype of x.
        """
        qkv = F.linear(x_BTD, self.qkv).view(*x_BTD.shape[:2], -1, self.head_dim)
        num_rotated = self.num_queries + self.num_kv
        qk = rotate(qkv[:, :, :num_rotated], cos_T1A, sin_T1A)
        q, k, v = (
            qk[:, :, : self.num_queries],
            qk[:, :, self.num_queries :],
            qkv[:, :, num_rotated:],
        )
        end = start + x_BTD.shape[1]
        kv[0, :, start:end] = k
        kv[1, :, start:end] = v
        return F.linear(attend(q, kv[0, :, :end], kv[1, :, :end], mask_TS).flatten(2), self.out)
