"""Whether a model fits in memory, said before anything is allocated; needs no torch."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from engramctl.errors import ConfigError, StorageError
from engramctl.layers.config import DecoderConfig
from engramctl.model.weights import num_parameters, weight_bytes
from engramctl.terminal.quantities import size_words

SPARE = 0.1  # of the free memory that a hint leaves to the rest of a run
VALUE_BYTES = {"f32": 4, "bf16": 2}

_SMALLER = "choose a smaller --preset, or fewer sequences and tokens: --batch, --context, --tokens"


@dataclass(frozen=True)
class Load:
    """What a model is to carry.

    Attributes:
        batch: sequences.
        tokens: of a sequence in one call, at most.
        cached: tokens of a sequence that its state holds.
        states: that are there at a time.
        tables: bytes of tables in the same memory.
        row_caches: bytes of row caches there, and of rows on their way.
    """

    batch: int
    tokens: int
    cached: int
    states: int = 1
    tables: int = 0
    row_caches: int = 0


def needed_bytes(shape: DecoderConfig, dtype: str, load: Load) -> dict[str, int]:
    """Return the bytes of a model by what takes them: weights, cache, streams, tables, ..

    Streams are all that one layer has under way, about: branches, heads, hidden values.

    Args:
        shape: of the model; with its memory, if it has one.
        dtype: of weights and cache, of VALUE_BYTES.
        load: what it carries.
    """
    value_bytes = VALUE_BYTES[dtype]
    cached = load.states * load.batch * load.cached * shape.num_layers
    return {
        "weights": weight_bytes(shape, value_bytes),
        "cache": cached * math.prod(shape.cache_shape) * value_bytes,
        "streams": load.batch * load.tokens * _passing_values(shape) * value_bytes,
        "tables": load.tables,
        "row caches": load.row_caches,
    }


def _passing_values(shape: DecoderConfig) -> int:
    """Return the most values a token has at once on its way through a layer, about."""
    branches = 3 * shape.num_branches * shape.width  # before, after, and one in float32
    heads = shape.num_attention_heads * (shape.attention_head_dim + shape.rope_head_dim)
    ffn = 3 * shape.ffn_width
    if shape.num_experts:
        hidden = 3 * shape.expert_width + 3 * shape.width
        ffn = max(ffn, (shape.experts_per_token + shape.num_shared_experts) * hidden)
    return branches + max(4 * heads, ffn)


def refuse_above(
    free: int, name: str, dtype: str, load: Load, cut: Callable[[int | None], DecoderConfig]
) -> None:
    """Refuse a model that needs more than there is.

    Args:
        free: bytes that can be had.
        name: of the model, for the message.
        dtype: of weights and cache, of VALUE_BYTES.
        load: what it carries.
        cut: returns the shape cut to so many layers; None: as it is.

    Raises:
        StorageError: with the arithmetic, and what would fit.
        ConfigError: the shape itself cannot be made.
    """
    shape = cut(None)
    needs = needed_bytes(shape, dtype, load)
    total = sum(needs.values())
    if total <= free:
        return
    room = int(free * (1 - SPARE))
    hints = [_fewer_layers(room, dtype, load, cut, shape.num_layers)]
    if dtype == "f32" and sum(needed_bytes(shape, "bf16", load).values()) <= room:
        hints.append("add --model-dtype bf16: half the bytes")
    raise StorageError(
        f"a model of {name} does not fit: it needs {size_words(total)}, "
        f"and {size_words(free)} are free",
        facts=_arithmetic(shape, dtype, needs) | {"free": size_words(free)},
        hint="\nor ".join(filter(None, hints)) or _SMALLER,
    )


def _arithmetic(shape: DecoderConfig, dtype: str, needs: Mapping[str, int]) -> dict[str, str]:
    facts = {part: size_words(size) for part, size in needs.items() if size}
    facts["weights"] += f": {num_parameters(shape) / 1e9:.3g} billion, {dtype}"
    return facts | {"together": size_words(sum(needs.values()))}


def _fewer_layers(
    room: int, dtype: str, load: Load, cut: Callable[[int | None], DecoderConfig], depth: int
) -> str:
    """Return the hint of the most layers that fit; "" where not even one does."""
    for layers in range(depth - 1, 0, -1):
        try:
            needs = needed_bytes(cut(layers), dtype, load)
        except ConfigError:  # too few for the memories
            break
        if sum(needs.values()) <= room:
            return f"add --layers {layers}: the first {layers} of {depth} fit"
    return ""
