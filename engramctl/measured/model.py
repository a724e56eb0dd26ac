"""The models a run measures: one with memory, one without, otherwise the same weights."""

from dataclasses import dataclass, replace
from typing import Any

import torch

from engramctl.hashing import Lookup
from engramctl.layers.config import DecoderConfig, MemoryConfig
from engramctl.measured.row_memory import cache_bytes
from engramctl.memory import available_bytes
from engramctl.model.decoder import Decoder
from engramctl.model.fit import Load, refuse_above
from engramctl.model.memory_of import memory_of
from engramctl.model.settings import read_settings, shape_of
from engramctl.storage.reading.source import Source
from engramctl.storage.tiers.door import tier_missing
from engramctl.sweep.options import BenchOptions


@dataclass(frozen=True)
class Models:
    """Same seed, same weights, but for the memory."""

    without: Decoder
    with_memory: Decoder


def compute_dtype(options: BenchOptions, device: torch.device) -> torch.dtype:
    """Return the dtype of the model and of the rows it is given."""
    return {"f32": torch.float32, "bf16": torch.bfloat16}[options.dtype_on(device.type)]


def wanted_memory(options: BenchOptions, scheme: Lookup, layers: int | None = None) -> MemoryConfig:
    """Return the memory of the model of one point.

    Args:
        options: preset, settings, layers, fusion and places.
        scheme: of the table.
        layers: of a model cut to so many, in place of the run's own.

    Raises:
        ConfigError: as `memory_of`.
    """
    places = options.memory_layers
    set_places = read_settings(options.settings).get("memory_layers")
    if places is None and set_places:
        places = ",".join(map(str, set_places))
    return memory_of(scheme, options.shape(layers), options.fusion, places)


def memory_facts(memory: MemoryConfig) -> dict[str, Any]:
    """Return what a result says of the memory: its fusion, and the place of each table layer."""
    places = {str(table_layer): place for place, table_layer in memory.layers}
    return {"fusion": memory.fusion, "places": places}


def _with_memory(options: BenchOptions, scheme: Lookup, layers: int | None = None) -> DecoderConfig:
    return replace(options.shape(layers), memory=wanted_memory(options, scheme, layers))


def make_models(options: BenchOptions, scheme: Lookup, device: torch.device) -> Models:
    """Draw both models, the weights they have in common once.

    Raises:
        ConfigError: as `wanted_memory` does.
    """
    dtype = compute_dtype(options, device)
    with_memory = Decoder(_with_memory(options, scheme), options.seed, dtype, device)
    without = Decoder(options.shape(), options.seed, dtype, device, like=with_memory)
    return Models(without, with_memory)


def cut_model(options: BenchOptions, scheme: Lookup) -> str | None:
    """Return what a result must say of a model that was cut by `--layers`; None: it was not."""
    whole = shape_of(options.preset, read_settings(options.settings)).num_layers
    if options.layers in (None, whole):
        return None
    words = (
        f"the model is cut to the first {options.layers} of the {whole} layers of "
        f"{options.preset}: its times are not those of the whole model"
    )
    before, after = (wanted_memory(options, scheme, layers) for layers in (whole, None))
    if before != after:
        places = [", ".join(str(place) for place, _ in one.layers) for one in (before, after)]
        words += f"; memories at layers {places[0]} (counted from 0) move to {places[1]}"
    return words


def free_bytes(device: torch.device, ranks: int | None) -> int:
    """Return the bytes of a device's memory that can be had: of the host's, a rank's share."""
    if device.type == "cpu":
        return available_bytes() // (ranks or 1)
    return torch.cuda.mem_get_info(device)[0]


def refuse_too_large(
    options: BenchOptions, scheme: Lookup, table: Source, device: torch.device, free: int
) -> None:
    """Refuse models that do not fit in memory; nothing is allocated before.

    The weights that both models have count once; every arm of a loop has its own cache. Tables
    and row caches count where they lie in the memory that the model is in; one that would not fit
    even alone is left to its tier, which is then skipped.

    Args:
        options: of one point.
        scheme: of the table.
        table: that is measured.
        device: of the models.
        free: bytes of its memory before the run took any.

    Raises:
        StorageError: with the arithmetic, and what would fit.
        ConfigError: no such model can be made.
    """
    place = "host" if device.type == "cpu" else "gpu"
    here = [tier for tier in options.tiers if tier_missing(tier) is None]
    caches = [cache_bytes(options, tier, table)[place] for tier in here]
    rows = sum(table.num_rows(layer) for layer in table.layers)
    tables = rows * table.record.record_bytes
    measured = (len(options.tiers) + 1) * len(options.issues)  # the resident one among them
    load = Load(
        options.batch,
        options.tokens,
        cached=options.longest,
        states=measured + 3,  # none, ready, the copy
        tables=tables if tables <= free else 0,
        row_caches=sum(one for one in caches if one <= free),
    )
    refuse_above(
        free, options.preset, options.dtype_on(device.type), load,
        lambda layers: _with_memory(options, scheme, layers),
    )  # fmt: skip
