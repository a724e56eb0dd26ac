"""Shapes of a tiny decoder: every residual mode, every fusion."""

from typing import get_args

from engramctl.layers.config import MemoryConfig, Readout, ResidualConfig, ResidualMode
from engramctl.layers.fusions import INPUT, KINDS, Fusion, Normaliser

MODES: tuple[ResidualMode, ...] = get_args(ResidualMode)


FUSIONS: tuple[Fusion, ...] = get_args(Fusion)


def memory(fusion: Fusion = "deepseek-v41", normaliser: Normaliser = "mean") -> MemoryConfig:
    at_input = KINDS[fusion].at_input
    return MemoryConfig(
        layers=((INPUT, 0),) if at_input else ((1, 1), (3, 14)),
        num_heads=1 if fusion == "dictionary" else 4,
        row_dim=8,
        max_order=3,
        fusion=fusion,
        conv_zero_init=False,
        normaliser=normaliser,
    )


def residual(mode: ResidualMode) -> ResidualConfig:
    readout: Readout = "last_pre" if mode == "single_pass" else "mean"
    return ResidualConfig(mode=mode, init="random", readout=readout)
