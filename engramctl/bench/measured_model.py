"""The models a run measures: one with memory, one without, otherwise the same weights."""

from dataclasses import dataclass

import torch

from engramctl.bench.options import BenchOptions
from engramctl.layers.config import MemoryConfig, ResidualConfig
from engramctl.model.decoder import Decoder
from engramctl.model.presets import preset


@dataclass(frozen=True)
class Models:
    """Same seed, same weights, but for the memory."""

    without: Decoder
    with_memory: Decoder


def make_models(options: BenchOptions, memory: MemoryConfig | None, device: torch.device) -> Models:
    """Draw both models; float32 on a CPU, bfloat16 on a GPU.

    Args:
        options: of the run.
        memory: see `wanted_memory`.
        device: where the weights lie.

    Raises:
        ConfigError: an unknown preset, or a memory that does not fit it.
    """
    residual = ResidualConfig(mode=options.residual)  # type: ignore[arg-type]  # checked by options
    dtype = torch.float32 if device.type == "cpu" else torch.bfloat16
    return Models(
        Decoder(preset(options.preset, residual=residual), options.seed, dtype, device),
        Decoder(
            preset(options.preset, residual=residual, memory=memory), options.seed, dtype, device
        ),
    )
