"""Residual sites in pairs: the plain one and the fused one, with the same weights."""

from typing import Any

import torch
from torch import Tensor

from engramctl.layers.config import DecoderConfig, ResidualConfig
from engramctl.layers.init import Draw
from engramctl.residual.sites import make_site


def shape(width: int, branches: int, **residual: Any) -> DecoderConfig:
    return DecoderConfig(
        width=width, num_layers=1, num_attention_heads=1, num_kv_heads=1, attention_head_dim=2,
        ffn_width=1, vocab_size=1,
        residual=ResidualConfig(branches=branches, init="random", **residual),
    )  # fmt: skip


def pair(
    width: int, branches: int, dtype: torch.dtype = torch.float32, device: str = "cpu",
    **residual: Any,
) -> Any:  # fmt: skip
    """Return the plain site and the fused one."""
    draw = Draw(3, dtype, device)
    return tuple(
        make_site(shape(width, branches, kernels=kernels, **residual), 1, draw)
        for kernels in ("eager", "fused")
    )


def branches_and_output(
    size: tuple[int, ...], dtype: torch.dtype = torch.float32
) -> tuple[Tensor, Tensor]:
    """Return X (B, T, R, D) and y (B, T, D)."""
    generator = torch.Generator().manual_seed(sum(size))
    X = torch.randn(size, generator=generator)
    return X.to(dtype), torch.randn(*size[:2], size[3], generator=generator).to(dtype)
