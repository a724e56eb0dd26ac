"""The models a run measures: one with memory, one without, otherwise the same weights."""

from dataclasses import dataclass
from typing import Any

import torch

from engramctl.bench.options import BenchOptions
from engramctl.hashing import Lookup
from engramctl.layers.config import MemoryConfig, ResidualConfig
from engramctl.model.decoder import Decoder
from engramctl.model.memory_of import memory_of
from engramctl.model.presets import preset

MODEL_CASES = ("lookup", "step")


@dataclass(frozen=True)
class Models:
    """Same seed, same weights, but for the memory."""

    without: Decoder
    with_memory: Decoder


def wanted_memory(options: BenchOptions, scheme: Lookup) -> MemoryConfig | None:
    """Return the memory a run measures; None where no case of it runs a model.

    Raises:
        ConfigError: as `memory_of`.
    """
    if not set(options.cases) & set(MODEL_CASES):
        return None
    return memory_of(scheme, preset(options.preset), options.fusion, options.memory_layers)


def memory_facts(memory: MemoryConfig | None) -> dict[str, Any] | None:
    """Return what a result says of the memory: its fusion, and the place of each table layer."""
    if memory is None:
        return None
    places = {str(table_layer): place for place, table_layer in memory.layers}
    return {"fusion": memory.fusion, "places": places}


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
