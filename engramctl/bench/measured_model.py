"""The models a run measures: one with memory, one without, otherwise the same weights."""

from dataclasses import dataclass
from typing import get_args

import torch

from engramctl.bench.options import BenchOptions
from engramctl.errors import ConfigError
from engramctl.hashing.scheme.scheme import Scheme
from engramctl.layers.config import Fusion, MemoryConfig, ResidualConfig
from engramctl.model.decoder import Decoder
from engramctl.model.presets import preset

# norms of DeepSeek-V4.1's release, of Engram's demo code (torch's default), and a usual one
_NORM_EPS = {"deepseek-v41": 1e-20, "engram-demo": 1.1920929e-07, "engram": 1e-6}


@dataclass(frozen=True)
class Models:
    """Same seed, same weights, but for the memory."""

    without: Decoder
    with_memory: Decoder


def memory_positions(table_layers: tuple[int, ...], own: tuple[int, ...], depth: int) -> list[int]:
    """Return the decoder layer of each table layer.

    The table's own layer ids when the decoder has them all, else the preset's positions in order,
    else the first layers.

    Raises:
        ConfigError: more table layers than decoder layers.

    Example:
        >>> memory_positions((1, 14), own=(1, 4), depth=8)
        [1, 4]
        >>> memory_positions((1, 3), own=(1, 4), depth=8)
        [1, 3]
    """
    if len(table_layers) > depth:
        raise ConfigError(
            f"a table of {len(table_layers)} layers does not fit a model of {depth}",
            hint="choose a larger --preset",
        )
    if max(table_layers) < depth:
        return sorted(table_layers)
    positions = own if len(own) >= len(table_layers) else tuple(range(depth))
    return list(positions[: len(table_layers)])


def make_models(options: BenchOptions, scheme: Scheme, device: torch.device) -> Models:
    """Draw both models; float32 on a CPU, bfloat16 on a GPU.

    Raises:
        ConfigError: an unknown preset, or a scheme whose fusion the models lack.
    """
    if scheme.fuse not in get_args(Fusion):
        raise ConfigError(
            f"the model has no fusion '{scheme.fuse}'",
            facts={"known": ", ".join(get_args(Fusion))},
            hint="measure --case gather alone",
        )
    shape = preset(options.preset)
    layers = sorted(scheme.layers)
    positions = memory_positions(tuple(layers), shape.memory_layers, shape.num_layers)
    memory = MemoryConfig(
        layers=tuple(zip(positions, layers, strict=True)),
        num_heads=scheme.num_heads,
        row_dim=scheme.row_dim,
        max_order=scheme.max_order,
        fusion=scheme.fuse,  # type: ignore[arg-type]  # checked above
        norm_eps=_NORM_EPS[scheme.fuse],
    )
    residual = ResidualConfig(
        mode=options.residual,  # type: ignore[arg-type]  # both checked by options
        kernels=options.mhc,  # type: ignore[arg-type]
    )
    dtype = torch.float32 if device.type == "cpu" else torch.bfloat16
    return Models(
        Decoder(preset(options.preset, residual=residual), options.seed, dtype, device),
        Decoder(
            preset(options.preset, residual=residual, memory=memory), options.seed, dtype, device
        ),
    )
