"""The models a run measures: one with memory, one without, otherwise the same weights."""

from dataclasses import dataclass, replace
from typing import get_args

import torch

from engramctl.errors import ConfigError
from engramctl.hashing.scheme.scheme import Scheme
from engramctl.layers.config import DecoderConfig, Fusion, MemoryConfig
from engramctl.memory import available_bytes
from engramctl.model.decoder import Decoder
from engramctl.model.fit import Load, refuse_above
from engramctl.model.settings import read_settings, shape_of
from engramctl.storage.reading.source import Source
from engramctl.sweep.options import BenchOptions

# norms of DeepSeek-V4.1's release, of Engram's demo code (torch's default), and a usual one
_NORM_EPS = {"deepseek-v41": 1e-20, "engram-demo": 1.1920929e-07, "engram": 1e-6}


@dataclass(frozen=True)
class Models:
    """Same seed, same weights, but for the memory."""

    without: Decoder
    with_memory: Decoder


@dataclass(frozen=True)
class Shapes:
    """Shapes of the two models of a run."""

    without: DecoderConfig
    with_memory: DecoderConfig


def compute_dtype(options: BenchOptions, device: torch.device) -> torch.dtype:
    """Return the dtype of the model and of the rows it is given."""
    return {"f32": torch.float32, "bf16": torch.bfloat16}[options.dtype_on(device.type)]


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
            hint="choose a larger --preset, or more --layers",
        )
    if max(table_layers) < depth:
        return sorted(table_layers)
    positions = own if len(own) >= len(table_layers) else tuple(range(depth))
    return list(positions[: len(table_layers)])


def shapes(options: BenchOptions, scheme: Scheme, layers: int | None = None) -> Shapes:
    """Return the shapes of both models, for a table of this scheme.

    Args:
        options: preset, settings, layers and residual form.
        scheme: of the table.
        layers: cut to so many in place of the run's own.

    Raises:
        ConfigError: more table layers than decoder layers, or a scheme whose fusion models lack.
    """
    if scheme.fuse not in get_args(Fusion):
        raise ConfigError(
            f"the model has no fusion '{scheme.fuse}'",
            facts={"known": ", ".join(get_args(Fusion))},
            hint="measure --case gather alone",
        )
    shape = options.shape(layers)
    table_layers = sorted(scheme.layers)
    positions = memory_positions(tuple(table_layers), shape.memory_layers, shape.num_layers)
    if "memory_layers" in read_settings(options.settings):
        positions = list(shape.memory_layers)
        if len(positions) != len(table_layers):
            raise ConfigError(
                "--set memory_layers does not name a decoder layer for each of the table's",
                facts={"table layers": table_layers, "decoder layers": positions},
            )
    memory = MemoryConfig(
        layers=tuple(zip(positions, table_layers, strict=True)),
        num_heads=scheme.num_heads,
        row_dim=scheme.row_dim,
        max_order=scheme.max_order,
        fusion=scheme.fuse,  # type: ignore[arg-type]  # checked above
        norm_eps=_NORM_EPS[scheme.fuse],
    )
    return Shapes(shape, replace(shape, memory=memory))


def make_models(options: BenchOptions, scheme: Scheme, device: torch.device) -> Models:
    """Draw both models, the weights they have in common once.

    Raises:
        ConfigError: as `shapes` does.
    """
    both, dtype = shapes(options, scheme), compute_dtype(options, device)
    with_memory = Decoder(both.with_memory, options.seed, dtype, device)
    return Models(Decoder(both.without, options.seed, dtype, device, like=with_memory), with_memory)


def cut_model(options: BenchOptions, scheme: Scheme) -> str | None:
    """Return what a result must say of a model that was cut by `--layers`; None: it was not."""
    whole = shape_of(options.preset, read_settings(options.settings)).num_layers
    if options.layers in (None, whole):
        return None
    words = (
        f"the model is cut to the first {options.layers} of the {whole} layers of "
        f"{options.preset}: its times are not those of the whole model"
    )
    both = (shapes(options, scheme, whole), shapes(options, scheme))
    before, after = (one.with_memory.memory for one in both)
    if before != after and before and after:
        places = [", ".join(str(layer) for layer, _ in one.layers) for one in (before, after)]
        words += f"; memories at layers {places[0]} (counted from 0) move to {places[1]}"
    return words


def refuse_too_large(
    options: BenchOptions, scheme: Scheme, table: Source, device: torch.device
) -> None:
    """Refuse a run whose models do not fit in memory; nothing is allocated before.

    The weights that both models have count once; every arm of a loop has its own cache. Tables
    count where they lie in the memory that the model is in; one that would not fit even alone is
    left to its tier, which is then skipped.

    Raises:
        StorageError: with the arithmetic, and what would fit.
        ConfigError: no such model can be made.
    """
    on_cpu = device.type == "cpu"
    free = available_bytes() if on_cpu else torch.cuda.mem_get_info(device)[0]
    rows = sum(table.num_rows(layer) for layer in table.layers)
    tables = rows * table.record.record_bytes
    arms = len(options.tiers) + 3  # none, resident, the copy
    load = Load(
        options.batch,
        options.tokens,
        cached=max(options.context + 1, options.tokens),
        states=arms,
        tables=tables if tables <= free else 0,
    )
    refuse_above(
        free, options.preset, options.dtype_on(device.type), load,
        lambda layers: shapes(options, scheme, layers).with_memory,
    )  # fmt: skip
