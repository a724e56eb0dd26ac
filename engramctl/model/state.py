"""What a batch of sequences carries from call to call; nothing in it is shared between states.

Shapes: B sequences, S = max_tokens, P parts, G key-value heads, A values of each (config's
cache_shape), C rotated_dim, D model width, R branches, N = max_order.
"""

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from engramctl.layers.config import DecoderConfig


@dataclass
class State:
    """KV cache, position and convolution history; all sequences are at the same position.

    Attributes:
        position: tokens seen so far; the next token is written there.
        max_tokens: S, what the cache holds.
        kv: (layers, P, B, S, G, A), keys then values, or MLA's latents, in the model's dtype.
        cos: (S, 1, C / 2), float32, RoPE.
        sin: as cos.
        conv: decoder layer -> last 3N normed values (B, 3N, R, D), float32; empty without a
            short convolution.
    """

    position: int
    max_tokens: int
    kv: Tensor
    cos: Tensor
    sin: Tensor
    conv: dict[int, Tensor]

    def first(self, count: int) -> "State":
        """Return the state of the first `count` sequences: views, with a position of their own."""
        conv = {layer: history[:count] for layer, history in self.conv.items()}
        return replace(self, kv=self.kv[:, :, :count], conv=conv)


def new_state(
    config: DecoderConfig, batch: int, max_tokens: int, dtype: torch.dtype, device: torch.device
) -> State:
    """Allocate a state at position 0, all zeros: an empty history reads as zeros.

    Raises:
        ValueError: batch or max_tokens below 1.
    """
    if batch < 1 or max_tokens < 1:
        raise ValueError(f"a state needs a sequence and a token, got {batch} and {max_tokens}")
    half = config.rotated_dim // 2
    exact = torch.promote_types(dtype, torch.float32)
    frequency = config.rope_theta ** -(torch.arange(half, dtype=torch.float64) / half)
    angle = torch.arange(max_tokens, dtype=torch.float64)[:, None, None] * frequency
    parts, *heads = config.cache_shape
    cache = (config.num_layers, parts, batch, max_tokens, *heads)
    memory = config.memory
    conv: dict[int, Tensor] = {}
    if memory is not None and memory.kind.has_conv:
        history = (batch, memory.conv_history, config.num_branches, config.width)
        for layer in memory.decoder_layers:
            conv[layer] = torch.zeros(history, dtype=exact, device=device)
    return State(
        position=0,
        max_tokens=max_tokens,
        kv=torch.zeros(cache, dtype=dtype, device=device),
        cos=angle.cos().to(device, exact),
        sin=angle.sin().to(device, exact),
        conv=conv,
    )
