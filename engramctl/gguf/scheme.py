"""A scheme from the constants in a GGUF file: tensors or facts, compared with what they derive.

Names: `engram_token_map`, `engram_primes`, `engram_offsets` and `engram_multipliers` of
DeepSeek-V4.1, of all layers in one or with `blk.L.` before them; `*.ple.*` of Qwen3.8.
"""

import re
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engramctl.errors import ConfigError, EngramError, FormatError
from engramctl.gguf.constants import integer_tensor, read_integers
from engramctl.gguf.header import IntegerList
from engramctl.gguf.parts import GgufModel
from engramctl.hashing import Scheme, make_scheme
from engramctl.hashing.released.buffers import compare_buffers
from engramctl.hashing.walk.heads import HeadRule
from engramctl.storage.reading.source import CheckpointTables

_WORDS = "token_map|primes|offsets|multipliers"
_ENGRAM = re.compile(rf"(?:blk\.(\d{{1,5}})\.|.*\.)?engram[._]({_WORDS})(?:\.weight)?", re.ASCII)
_EVERY = -1  # the layer of constants that are of all layers
_MOST_PADDING = 20  # a table's rows are a multiple of 2^20 at most
Ints = NDArray[np.int64]


def gguf_scheme(model: GgufModel, rows: CheckpointTables) -> Scheme | None:
    """Return the scheme of a model's own constants; None: its files have none.

    Raises:
        EngramError: constants that no scheme of the family has.
    """
    found = _engram_constants(model)
    if {"token_map", "primes", "multipliers"} <= set(found):
        scheme = _engram(model, rows, found)
    elif any(name.endswith(".ple.head_vocab_sizes") for name in model.lists):
        scheme = _ple(model, rows)
    else:
        return None
    return replace(scheme, dtype=rows.record.dtype)


def _engram_constants(model: GgufModel) -> dict[str, dict[int, IntegerList]]:
    """Return where each kind of constant lies, by layer."""
    found: dict[str, dict[int, IntegerList]] = {}
    places: list[tuple[str, IntegerList | None]] = [(one.name, None) for one in model.tensors]
    tensors = {one.name: one for one in model.tensors}
    for name, place in [*places, *model.lists.items()]:
        match = _ENGRAM.fullmatch(name)
        if match is None:
            continue
        if place is None:
            place = integer_tensor(tensors[name], model.file_bytes[tensors[name].path])
        layer = _EVERY if match[1] is None else int(match[1])
        found.setdefault(match[2], {}).setdefault(layer, place)
    return found


def _engram(
    model: GgufModel, rows: CheckpointTables, found: dict[str, dict[int, IntegerList]]
) -> Scheme:
    """Return DeepSeek-V4.1's: primes say the heads, multipliers the longest n-gram."""
    primes = _by_layer(found["primes"], rows.layers)
    multipliers = _by_layer(found["multipliers"], rows.layers)
    layers = sorted(rows.layers, key=lambda layer: int(primes[layer][0]))  # who took primes first
    first = layers[0]
    max_order = len(multipliers[first])
    heads, rest = divmod(len(primes[first]), max(1, max_order - 1))
    if max_order < 2 or rest or not heads:
        raise FormatError(
            f"the constants of {model.path} are of no scheme",
            facts={"multipliers": max_order, "primes": len(primes[first])},
        )
    token_map = next(iter(found["token_map"].values()))
    settings: dict[str, Any] = {"seed": _fact(model, r"engram[._](?:hash_)?seed")}
    pad = _fact(model, r"engram[._]pad(?:_token)?(?:_id)?")
    settings["pad_id"] = _fact(model, r"padding_token_id") if pad is None else pad
    scheme = make_scheme(
        "deepseek-v41",
        token_map=read_integers(token_map),
        slots=[int(primes[first][heads * order]) for order in range(max_order - 1)],
        orders=range(2, max_order + 1),
        heads_per_order=heads,
        layers=layers,
        row_dim=rows.record.row_dim,
        **settings,
    )
    offsets = _by_layer(found["offsets"], rows.layers) if "offsets" in found else {}
    for layer in layers:
        _compare(scheme, layer, multipliers[layer], primes[layer], offsets.get(layer))
    return scheme


def _ple(model: GgufModel, rows: CheckpointTables) -> Scheme:
    """Return Qwen3.8's, by llama.cpp's facts."""
    sizes = _by_layer({_EVERY: _list(model, "head_vocab_sizes")}, rows.layers)
    multipliers = _by_layer({_EVERY: _list(model, "layer_multipliers")}, rows.layers)
    offsets = _by_layer({_EVERY: _list(model, "head_offsets")}, rows.layers)
    first = rows.layers[0]
    tokens = model.lengths.get("tokenizer.ggml.tokens")
    vocab_size = _fact(model, "vocab_size") or tokens
    total, num_rows = int(sizes[first].sum()), rows.num_rows(first)
    fits = [1 << n for n in range(_MOST_PADDING + 1) if -(-total >> n) << n == num_rows]
    if not fits:
        raise FormatError(
            f"the tables of {model.path} are not those of its head_vocab_sizes",
            facts={"expected": f"{total:,} rows, padded", "found": f"{num_rows:,}"},
        )
    scheme = make_scheme(
        "qwen-ple",
        vocab_size=vocab_size,
        slots=int(sizes[first][0]),
        orders=range(2, (_fact(model, r"ple\.ngram_size") or 0) + 1),
        heads_per_order=_fact(model, r"ple\.heads_per_ngram"),
        layers=rows.layers,
        row_dim=rows.record.row_dim,
        eos_id=_fact(model, r"ple\.eos_token_id"),
        seed=_fact(model, r"ple\.seed"),
        rule=HeadRule(pad_rows_to=128 if 128 in fits else fits[0]),
    )
    for layer in rows.layers:
        _compare(scheme, layer, multipliers[layer], sizes[layer], offsets[layer])
    return scheme


def _by_layer(places: dict[int, IntegerList], layers: tuple[int, ...]) -> dict[int, Ints]:
    """Return constants of each layer; those of all in one are cut into equal parts."""
    if set(layers) <= set(places):
        return {layer: read_integers(places[layer]) for layer in layers}
    if _EVERY not in places:
        name = next(iter(places.values())).name
        raise FormatError(
            f"'{name}' is not there for every layer with a table",
            facts={"expected": list(layers), "found": sorted(places)},
        )
    numbers = read_integers(places[_EVERY])
    if not len(numbers) or len(numbers) % len(layers):
        raise FormatError(
            f"'{places[_EVERY].name}' cannot be shared out to the layers",
            facts={"expected": f"a multiple of {len(layers)}", "found": len(numbers)},
        )
    return dict(zip(layers, numbers.reshape(len(layers), -1), strict=True))


def _compare(
    scheme: Scheme, layer: int, multipliers: Ints, sizes: Ints, offsets: Ints | None
) -> None:
    """Refuse a scheme that derives other constants than the file has."""
    given = {"layer_multipliers": multipliers, "ngram_heads_vocab_sizes": sizes}
    if offsets is not None:
        given["ngram_heads_offsets"] = offsets[: len(sizes)]  # an end behind the last is left out
    compare_buffers(scheme, {f"layers.{layer}.{name}": one for name, one in given.items()})


def _list(model: GgufModel, name: str) -> IntegerList:
    found = [one for key, one in model.lists.items() if key.endswith(f".ple.{name}")]
    if not found:
        raise ConfigError(f"{model.path} has no fact *.ple.{name}")
    return found[0]


def _fact(model: GgufModel, pattern: str) -> int | None:
    """Return the fact whose name ends so; None: there is none."""
    ending = re.compile(rf"(?:.*\.)?{pattern}", re.ASCII)
    return next((n for name, n in model.integers.items() if ending.fullmatch(name)), None)


def scheme_or_reason(model: GgufModel, rows: CheckpointTables) -> tuple[Scheme | None, str | None]:
    """Return a model's scheme, or why its constants give none; both None: it has none."""
    try:
        return gguf_scheme(model, rows), None
    except EngramError as error:
        return None, error.message
