"""From a model's config.json to its scheme, one function a family.

Sources: the models' own config.json and code.
"""

import itertools
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engramctl.errors import ConfigError
from engramctl.hashing.released.buffers import compare_buffers
from engramctl.hashing.released.config_keys import Keys
from engramctl.hashing.released.presets import PRESETS, make_scheme
from engramctl.hashing.scheme.check import MAX_HEADS, MAX_ORDER
from engramctl.hashing.scheme.scheme import Scheme
from engramctl.hashing.walk.heads import HeadRule
from engramctl.hashing.walk.token_map import Canonical

TokenMap = NDArray[np.integer[Any]] | Canonical

_MARKS = {
    "engram_layer_ids": "deepseek-v41",
    "ple_layer_ids": "qwen-ple",
    "ngram_vocab_size_ratio": "longcat",
    "oe_vocab_size_ratio": "longcat",
    "oe_vocab_sizes": "over-encoding",
}
_QWEN_DTYPES = {"bfloat16": "bf16", "float8_e4m3fn": "f8_e4m3_scalar", "nvfp4": "nvfp4"}


def scheme_from_config(
    config: Mapping[str, Any],
    buffers: Mapping[str, NDArray[Any]] | None = None,
    *,
    token_map: TokenMap | None = None,
) -> Scheme:
    """Return the scheme of a model.

    Args:
        config: config.json; keys may lie in its `text_config`.
        buffers: constants the checkpoint ships, by tensor name; each is compared.
        token_map: int (num_ids,), of DeepSeek-V4.1; without it the scheme takes canonical ids. It
            may be shorter than the config's vocabulary, whose last ids may be padding.

    Raises:
        ConfigError: no family or two, a key of the family missing, unknown, of the wrong type or in
            contradiction to another, or a constant that differs (the first one is named).

    Example:
        >>> config = {"ngram_vocab_size_ratio": 78, "emb_neighbor_num": 4, "emb_split_num": 4,
        ...           "vocab_size": 131072, "hidden_size": 3072, "eos_token_id": 2}
        >>> scheme_from_config(config).num_rows(0)
        122683536
    """
    inner = config.get("text_config")
    keys = {**config, **(inner if isinstance(inner, Mapping) else {})}
    families = sorted({family for mark, family in _MARKS.items() if keys.get(mark) is not None})
    if len(families) != 1:
        raise ConfigError(
            "the config names no n-gram memory" if not families else "the config names two schemes",
            facts={"known by": ", ".join(_MARKS)} if not families else {"found": families},
        )
    if token_map is not None and families[0] != "deepseek-v41":
        raise ConfigError(f"a {families[0]} scheme has no token map")
    scheme = _READERS[families[0]](Keys(families[0], config), token_map)
    if buffers:
        compare_buffers(scheme, buffers)
    return scheme


def longcat_moduli(ratio: float, vocab_size: int, num_heads: int) -> list[int]:
    """Return M_i = int(ratio * V + 2i + 1), in the order the released code adds.

    Source: LongCat's own code.

    Raises:
        ConfigError: rounding has broken the steps of two.

    Example:
        >>> longcat_moduli(100.567, 163840, 2)
        [16476898, 16476900]
    """
    size = ratio * vocab_size
    moduli = [int(size + 2 * index + 1) for index in range(num_heads)]
    if any(b - a != 2 for a, b in itertools.pairwise(moduli)):
        raise ConfigError(f"ratio {ratio} of {vocab_size:,} ids gives no table sizes two apart")
    return moduli


def _deepseek_v41(keys: Keys, token_map: TokenMap | None) -> Scheme:
    num_canonical = keys.integer("engram_compressed_vocab_size", minimum=1)
    layers = keys.integers("engram_layer_ids")
    orders = range(2, keys.integer("engram_max_ngram_size", minimum=2, maximum=MAX_ORDER) + 1)
    sizes = keys.integers("engram_vocab_size", minimum=2)
    scheme = make_scheme(
        "deepseek-v41",
        token_map=Canonical.of_canonical_ids(num_canonical) if token_map is None else token_map,
        slots=sizes[0] if len(sizes) == 1 else sizes,
        orders=orders,
        heads_per_order=keys.integer("engram_n_heads", minimum=1, maximum=MAX_HEADS),
        layers=layers,
        row_dim=keys.integer("engram_head_dim", minimum=1),
        seed=keys.integer("engram_seed", default=0),
        pad_id=keys.integer("engram_pad_token_id"),
    )
    _same("engram_compressed_vocab_size", num_canonical, scheme.canonical.num_canonical)
    if keys.has("engram_num_embeddings"):
        rows = [scheme.num_rows(layer) for layer in layers]
        _same("engram_num_embeddings", list(keys.integers("engram_num_embeddings")), rows)
    if token_map is not None and keys.has("vocab_size"):
        stated = keys.integer("vocab_size")
        _same("vocab_size", stated, max(stated, scheme.vocab_size))
    keys.refuse_others(["engram_"])
    return scheme


def _qwen_ple(keys: Keys, _: TokenMap | None) -> Scheme:
    layers = sorted(set(keys.integers("ple_layer_ids", minimum=1)))
    orders = range(2, keys.integer("ngram_size", minimum=2, maximum=MAX_ORDER) + 1)
    heads = keys.integer("heads_per_ngram", minimum=1, maximum=MAX_HEADS)
    keys.ignore("ple_conv_kernel_size", "split_ngram_parts")
    dtype = keys.value("ple_embedding_dtype") if keys.has("ple_embedding_dtype") else "bfloat16"
    if not isinstance(dtype, str) or dtype not in _QWEN_DTYPES:
        raise ConfigError(
            f"unknown ple_embedding_dtype {ascii(dtype)[:80]}", facts={"known": _QWEN_DTYPES}
        )
    scheme = make_scheme(
        "qwen-ple",
        vocab_size=keys.integer("vocab_size", minimum=1),
        slots=keys.integer("ngram_vocab_size_base", minimum=2),
        orders=orders,
        heads_per_order=heads,
        layers=[layer - 1 for layer in layers],  # the config counts from 1
        row_dim=_share("ple_embed_dim", keys.integer("ple_embed_dim"), heads * len(orders)),
        eos_id=keys.integers("eos_token_id")[0],
        seed=keys.integer("seed", default=PRESETS["qwen-ple"].seed),
        rule=HeadRule(
            pad_rows_to=keys.integer("make_ngram_vocab_size_divisible_by", default=128, minimum=1)
        ),
    )
    keys.refuse_others(["ple_", "ngram_"])
    return replace(scheme, dtype=_QWEN_DTYPES[dtype])


def _longcat(keys: Keys, _: TokenMap | None) -> Scheme:
    ratio = keys.number("ngram_vocab_size_ratio", "oe_vocab_size_ratio")
    max_order = keys.integer("emb_neighbor_num", "oe_neighbor_num", minimum=2, maximum=MAX_ORDER)
    heads = keys.integer("emb_split_num", "oe_split_num", minimum=1, maximum=MAX_HEADS)
    is_next, is_scope = keys.has("oe_ignored_token_ids"), keys.flag("ngram_exclude_sp_token")
    if is_next and is_scope:
        raise ConfigError("oe_ignored_token_ids and ngram_exclude_sp_token contradict each other")
    sqrt = keys.flag("ngram_fix_normalize_factor")
    vocab_size = keys.integer("text_vocab_size" if is_next else "vocab_size", minimum=1)
    specials: list[tuple[int, int]] | None = None
    if is_next:
        specials = _ranges(keys.integers("oe_ignored_token_ids", empty=True))
    elif is_scope:
        specials = _scope(keys.value("special_token_scope"))
    elif keys.has("special_token_scope"):
        raise ConfigError("special_token_scope without ngram_exclude_sp_token says nothing")
    num_heads = heads * (max_order - 1)
    name = "longcat-next" if is_next else "longcat-special-scope" if is_scope else "longcat"
    scheme = make_scheme(
        name,
        vocab_size=vocab_size,
        specials=specials,
        slots=longcat_moduli(ratio, vocab_size, num_heads)[0],
        orders=range(2, max_order + 1),
        heads_per_order=heads,
        row_dim=_share("hidden_size", keys.integer("hidden_size"), num_heads),
        eos_id=None if is_scope else keys.integers("eos_token_id")[0],
    )
    keys.refuse_others(["ngram_", "oe_", "emb_neighbor", "emb_split", "special_token_scope"])
    return replace(scheme, normaliser="sqrt" if sqrt else "mean")


def _over_encoding(keys: Keys, _: TokenMap | None) -> Scheme:
    """mojo_opset's variant: sizes and orders listed, rows concatenated instead of averaged."""
    sizes, grams = keys.integers("oe_vocab_sizes", minimum=2), keys.integers("oe_grams", minimum=2)
    orders = sorted(set(grams))
    per_order = len(grams) // len(orders)
    if list(grams) != [order for order in orders for _ in range(per_order)]:
        raise ConfigError(
            f"oe_grams {list(grams)} do not list every order equally often, in ascending order"
        )
    if len(sizes) != len(grams):
        raise ConfigError(f"{len(sizes)} oe_vocab_sizes contradict {len(grams)} oe_grams")
    keys.ignore("ori_embed_dim")
    scheme = make_scheme(
        "over-encoding",
        vocab_size=keys.integer("ori_vocab_size", minimum=1),
        slots=sizes,
        orders=orders,
        heads_per_order=per_order,
        row_dim=keys.integer("oe_embed_dim", minimum=1),
        rule=HeadRule("explicit"),
    )
    keys.refuse_others(["oe_", "ori_"])
    return replace(scheme, fuse="over-encoding-concat", normaliser=None)


_READERS: dict[str, Callable[[Keys, TokenMap | None], Scheme]] = {
    "deepseek-v41": _deepseek_v41,
    "qwen-ple": _qwen_ple,
    "longcat": _longcat,
    "over-encoding": _over_encoding,
}


def _same(name: str, stated: Any, derived: Any) -> None:
    if stated != derived:
        raise ConfigError(
            f"config key {name} does not follow from the others",
            facts={"stated": stated, "derived": derived},
        )


def _share(name: str, width: int, num_heads: int) -> int:
    if width < num_heads or width % num_heads:
        raise ConfigError(f"{name} {width:,} cannot be shared by {num_heads} heads")
    return width // num_heads


def _ranges(ids: tuple[int, ...]) -> list[tuple[int, int]]:
    """Return half-open ranges that hold exactly these ids."""
    ranges: list[tuple[int, int]] = []
    for one in sorted(set(ids)):
        if ranges and ranges[-1][1] == one:
            ranges[-1] = (ranges[-1][0], one + 1)
        else:
            ranges.append((one, one + 1))
    return ranges


def _scope(text: Any) -> list[tuple[int, int]]:
    """Read "a:b,c:d", half-open."""
    try:
        pairs = [tuple(int(end) for end in part.split(":")) for part in text.split(",")]
        return [(first, stop) for first, stop in pairs]
    except (AttributeError, ValueError) as error:
        raise ConfigError(
            f"special_token_scope {ascii(text)[:80]} is not 'first:stop,first:stop'"
        ) from error
