"""Shapes of a tiny decoder: every residual mode, every fusion."""

from typing import get_args

from engramctl.layers.config import Fusion, MemoryConfig, Readout, ResidualConfig, ResidualMode

MODES: tuple[ResidualMode, ...] = get_args(ResidualMode)


FUSIONS: tuple[Fusion, ...] = get_args(Fusion)


def memory(fusion: Fusion = "deepseek-v41") -> MemoryConfig:
    return MemoryConfig(
        layers=((1, 1), (3, 14)),
        num_heads=4,
        row_dim=8,
        max_order=3,
        fusion=fusion,
        conv_zero_init=False,
    )


def residual(mode: ResidualMode) -> ResidualConfig:
    readout: Readout = "last_pre" if mode == "single_pass" else "mean"
    return ResidualConfig(mode=mode, init="random", readout=readout)
