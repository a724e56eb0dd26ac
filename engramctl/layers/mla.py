"""Multi-head latent attention (DeepSeek-V2, arXiv 2405.04434) over a cache of latents.

The cache holds one latent and one rotated key a token, whatever the number of heads. Many tokens
at once widen the latents into keys and values of every head; a single one is multiplied into the
latents' space instead, and reads the cache as it lies ("absorbed": the same sums in another order).

Shapes: B sequences, T tokens of this call, S tokens attended, Q query heads, A attention head width
without RoPE, P rope_head_dim, L kv_rank, D model width.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from engramctl.layers.attention import rotate
from engramctl.layers.config import DecoderConfig
from engramctl.layers.init import Draw
from engramctl.layers.norm import RmsNorm


class LatentAttention(nn.Module):
    """Queries (without compression), latent and rotated key, the cache, one projection out."""

    def __init__(self, config: DecoderConfig, draw: Draw) -> None:
        """Draw q (Q * (A + P), D), down (L + P, D), up (Q * 2A, L) and out (D, Q * A)."""
        super().__init__()
        self.num_queries, self.head_dim = config.num_attention_heads, config.attention_head_dim
        self.rank, self.rope_dim = config.kv_rank, config.rope_head_dim
        key_dim = self.head_dim + self.rope_dim
        self.scale = key_dim**-0.5
        self.q = draw.linear("q", self.num_queries * key_dim, config.width)
        self.down = draw.linear("down", self.rank + self.rope_dim, config.width)
        self.latent_norm = RmsNorm(self.rank, config.rms_eps, draw)
        self.up = draw.linear("up", self.num_queries * 2 * self.head_dim, self.rank)
        self.out = draw.linear("out", config.width, self.num_queries * self.head_dim)

    def forward(
        self,
        x_BTD: Tensor,
        kv: Tensor,
        start: int,
        cos_T1P: Tensor,
        sin_T1P: Tensor,
        mask_TS: Tensor | None,
    ) -> Tensor:
        """Write T latents at `start` in place, then attend to all before.

        Args:
            x_BTD: normed input.
            kv: this layer's cache (1, B, max_tokens, 1, L + P), latent then rotated key.
            start: position of the first token.
            cos_T1P: RoPE rows of these T positions, (T, 1, P / 2); sin_T1P alike.
            sin_T1P: see cos_T1P.
            mask_TS: from chunk_mask.

        Returns:
            (B, T, D) in the dtype of x.
        """
        batch, num_tokens, _ = x_BTD.shape
        cache, end = kv[0, :, :, 0], start + num_tokens
        q = F.linear(x_BTD, self.q).view(batch, num_tokens, self.num_queries, -1)
        q_plain, q_turned = q.tensor_split([self.head_dim], -1)
        q_turned = rotate(q_turned, cos_T1P, sin_T1P)
        latent, key = F.linear(x_BTD, self.down).tensor_split([self.rank], -1)
        cache[:, start:end, : self.rank] = self.latent_norm(latent)
        cache[:, start:end, self.rank :] = rotate(key.unsqueeze(2), cos_T1P, sin_T1P).squeeze(2)
        if num_tokens == 1:
            out = self._absorbed(q_plain, q_turned, cache[:, :end])
        else:
            out = self._widened(q_plain, q_turned, cache[:, :end], mask_TS)
        return F.linear(out.flatten(2), self.out)

    def _widened(
        self, q_plain: Tensor, q_turned: Tensor, cache_BSC: Tensor, mask_TS: Tensor | None
    ) -> Tensor:
        """Return (B, T, Q, A) by keys and values of every head; the rotated key is one for all."""
        latent, turned = cache_BSC.tensor_split([self.rank], -1)
        wide = F.linear(latent, self.up).view(*latent.shape[:2], self.num_queries, -1)
        key, value = wide.chunk(2, -1)
        shared = turned.unsqueeze(2).expand(-1, -1, self.num_queries, -1)
        out = F.scaled_dot_product_attention(
            torch.cat([q_plain, q_turned], -1).transpose(1, 2),
            torch.cat([key, shared], -1).transpose(1, 2),
            value.transpose(1, 2),
            attn_mask=mask_TS,
            is_causal=mask_TS is None,
            scale=self.scale,
        )
        return out.transpose(1, 2)

    def _absorbed(self, q_plain: Tensor, q_turned: Tensor, cache_BSC: Tensor) -> Tensor:
        """Return (B, 1, Q, A) of one token: its heads are the rows of one query on the latents."""
        up_key, up_value = self.up.view(self.num_queries, 2 * self.head_dim, -1).chunk(2, 1)
        q_latent = torch.einsum("btqa,qal->btql", q_plain, up_key)
        query = torch.cat([q_latent, q_turned], -1)
        keys = cache_BSC.unsqueeze(1)
        latent = F.scaled_dot_product_attention(
            query, keys, keys[..., : self.rank], scale=self.scale
        )
        return torch.einsum("btql,qal->btqa", latent, up_value)
