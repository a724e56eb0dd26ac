"""Sinkhorn in the papers' words, one step a line."""

import torch
from torch import Tensor


def plain_sinkhorn(logits: Tensor, iterations: int) -> Tensor:
    """The paper's words, one step a line: exp, then columns and rows in turn."""
    mix = torch.exp(logits)
    for _ in range(iterations):
        mix = mix / mix.sum(-2, keepdim=True)
        mix = mix / mix.sum(-1, keepdim=True)
    return mix


def plain_release(logits: Tensor, iterations: int, eps: float) -> Tensor:
    mix = torch.softmax(logits, -1) + eps
    mix = mix / (mix.sum(-2, keepdim=True) + eps)
    for _ in range(iterations - 1):
        mix = mix / (mix.sum(-1, keepdim=True) + eps)
        mix = mix / (mix.sum(-2, keepdim=True) + eps)
    return mix
