"""Experts: each token passes through a few of many SwiGLUs, and through the shared ones.

Tokens are put in the order of their experts, so that each expert is one product over its own
tokens; an expert that no token chose is not read. On a GPU one grouped product does it without the
host knowing how many tokens an expert has.

Shapes: B sequences, T tokens, N = B * T, K = experts_per_token, E experts, D model width, I width
of an expert.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from engramctl.layers.config import DecoderConfig, Routing
from engramctl.layers.ffn import SwiGlu
from engramctl.layers.init import Draw
from engramctl.layers.norm import wide

_HAS_GROUPED = hasattr(F, "grouped_mm")  # torch 2.10 and later


def expert_scores(logits: Tensor, routing: Routing) -> Tensor:
    """Return how much a token wants each expert, (..., E), above zero.

    `softmax`, or `sqrt_softplus` (DeepSeek-V4).
    """
    if routing == "softmax":
        return logits.softmax(-1)
    return F.softplus(logits).sqrt()


class Experts(nn.Module):
    """sum over the chosen experts of weight * SwiGLU(x), and the shared experts' SwiGLU."""

    def __init__(self, config: DecoderConfig, draw: Draw) -> None:
        """Draw router (E, D) in float32, gate_up (E, 2I, D), down (E, D, I), and shared ones."""
        super().__init__()
        width, hidden, num_experts = config.width, config.expert_width, config.num_experts
        self.num_experts, self.num_chosen = num_experts, config.experts_per_token
        self.routing = config.routing
        self.can_group = _HAS_GROUPED and width % 8 == hidden % 8 == 0  # rows of 16 bytes
        self.router = draw.exact().linear("router", num_experts, width)
        self.gate_up = draw.normal("gate_up", num_experts, 2 * hidden, width, std=width**-0.5)
        self.down = draw.normal("down", num_experts, width, hidden, std=hidden**-0.5)
        self.shared: SwiGlu | None = None
        if config.num_shared_experts:
            # Side by side in one hidden width, they are one SwiGLU.
            self.shared = SwiGlu(width, config.num_shared_experts * hidden, draw.at("shared"))

    def route(self, x_ND: Tensor) -> tuple[Tensor, Tensor]:
        """Return the weights (N, K), float32, one a token together, and ids (N, K) of experts."""
        scores = expert_scores(F.linear(wide(x_ND), self.router), self.routing)
        chosen, experts = scores.topk(self.num_chosen, -1)
        return chosen / chosen.sum(-1, keepdim=True), experts

    def forward(self, x_BTD: Tensor) -> Tensor:
        """Return (B, T, D) in the dtype of x."""
        x_ND = x_BTD.flatten(0, 1)
        weights_NK, experts_NK = self.route(x_ND)
        order = experts_NK.flatten().argsort()
        counts = torch.zeros(self.num_experts, dtype=torch.int32, device=x_ND.device)
        counts.scatter_add_(0, experts_NK.flatten(), torch.ones_like(order, dtype=torch.int32))
        by_expert = x_ND[order // self.num_chosen]
        if self.can_group and by_expert.is_cuda and by_expert.dtype == torch.bfloat16:
            out = self.grouped(by_expert, counts)
        else:
            out = self.one_by_one(by_expert, counts)
        places = torch.empty_like(order)
        places[order] = torch.arange(len(order), device=order.device)
        out = wide(out)[places].view(*weights_NK.shape, -1)
        y_ND: Tensor = (out * weights_NK.unsqueeze(-1)).sum(1).to(x_BTD.dtype)
        if self.shared is not None:
            y_ND += self.shared(x_ND)
        return y_ND.view(x_BTD.shape)

    def one_by_one(self, x: Tensor, counts: Tensor) -> Tensor:
        """Run every expert that has tokens on its part of x; the host reads the counts.

        Args:
            x: (N * K, D) in the order of the experts.
            counts: rows of each expert, int32 (E,).
        """
        parts, start = [], 0
        for expert, size in enumerate(counts.tolist()):
            if size:
                part = F.linear(x[start : start + size], self.gate_up[expert])
                gate, up = part.chunk(2, -1)
                parts.append(F.linear(F.silu(gate).mul_(up), self.down[expert]))
                start += size
        return torch.cat(parts)

    def grouped(self, x: Tensor, counts: Tensor) -> Tensor:
        """Do the same by grouped products, which read on the device where experts begin."""
        ends = counts.cumsum(0, dtype=torch.int32)
        hidden = F.grouped_mm(x, self.gate_up.mT, offs=ends)
        gate, up = hidden.chunk(2, -1)
        return F.grouped_mm(F.silu(gate).mul_(up), self.down.mT, offs=ends)
