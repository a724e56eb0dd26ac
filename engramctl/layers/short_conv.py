"""The short convolution behind the gate: depthwise, causal, dilated by the longest order.

Shapes: B sequences, T tokens, D model width, R branches, N = max_order, taps = 4.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from engramctl.layers.norm import inverse_rms


def short_conv(
    u_BTRD: Tensor, norm_RD: Tensor, kernel_RDK: Tensor, history: Tensor, eps: float
) -> Tensor:
    """Return silu(conv(norm(u))) and move `history` on, in place.

    Causal: position t reads t, t - N, t - 2N, t - 3N; before the sequence stand zeros. Tap K - 1
    is the current position (cross-correlation). Each tap is one multiply-add over a shifted view:
    no transpose to channels-first, which would copy everything twice.

    Args:
        u_BTRD: gated values (B, T, R, D), float32.
        norm_RD: norm weights per branch; the norm is over D.
        kernel_RDK: (R, D, K) taps of channel branch * D + c.
        history: (B, (K - 1) * N, R, D), the last normed values; overwritten with the new last.
        eps: of the norm.

    Returns:
        (B, T, R, D), float32.
    """
    num_tokens, num_past, num_taps = u_BTRD.shape[1], history.shape[1], kernel_RDK.shape[-1]
    dilation = num_past // (num_taps - 1)
    normed = (u_BTRD * inverse_rms(u_BTRD, eps)).mul_(norm_RD)
    line = torch.cat([history, normed], 1)
    out = line[:, num_past:] * kernel_RDK[..., -1]
    for tap in range(num_taps - 1):
        first = tap * dilation
        out.addcmul_(line[:, first : first + num_tokens], kernel_RDK[..., tap])
    history.copy_(line[:, num_tokens:])
    return F.silu(out, inplace=True)
