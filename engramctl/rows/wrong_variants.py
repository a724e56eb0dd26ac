"""Wrong row ids that engines really produce, so that a difference can be given its name.

Each variant changes one thing of the walk: the boundary, the token map, the constants, the
arithmetic or the order of the columns. Ports of Over-Encoding (64-bit wrap), LongCat and Qwen
(seed, reversed pairing) really have some; the rest are slips of the same kind.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from engramctl.hashing.scheme.scheme import Scheme
from engramctl.rows.other_tokens import BOS_IDS, bos_in_front, no_token_map_at_all, one_behind
from engramctl.rows.variant_walk import (
    Ids,
    Recipe,
    Rows,
    drawn_anew,
    reversed_by_order,
    without_boundary,
    without_sticking,
)

Make = Callable[[Any, int], Rows | None]
"""(scheme, layer) -> the mistake's rows, or None where this scheme cannot have it.

The scheme is a `Scheme`, or for mistakes about dictionaries a `DictionaryScheme`.
"""

SEEDS = (0, 1, 42, 1234)


@dataclass(frozen=True)
class Variant:
    """One mistake.

    Attributes:
        name: a few words.
        explanation: one sentence: what the other engine does.
        make: scheme, layer -> its rows under the mistake; None where there is no such mistake.
    """

    name: str
    explanation: str
    make: Make


def _recipe(change: Callable[[Recipe], Recipe | None]) -> Make:
    """Make a variant whose recipe differs."""

    def make(scheme: Scheme, layer: int) -> Rows | None:
        changed = change(Recipe.of(scheme, layer))
        return changed.rows if changed else None

    return make


def _no_boundary(recipe: Recipe) -> Recipe | None:
    return without_boundary(recipe) if recipe.boundary.stop else None


def _not_sticky(scheme: Scheme, layer: int) -> Rows | None:
    recipe = Recipe.of(scheme, layer)
    if not recipe.boundary.stop:
        return None
    return lambda token_ids, history: recipe.rows_of(
        without_sticking(recipe, recipe.canonical(token_ids, history))
    )


def _stop_is_blind(recipe: Recipe) -> Recipe | None:
    boundary = recipe.boundary
    if not set(boundary.stop) - set(boundary.block):
        return None
    return replace(recipe, boundary=replace(boundary, block=boundary.stop))


def _stop_reads_slot_0(scheme: Scheme, layer: int) -> Rows | None:
    recipe = Recipe.of(scheme, layer)
    stops = [stop for stop in recipe.boundary.stop if stop >= 0]
    if not stops:
        return None
    offsets_H = np.array([head.offset for head in recipe.heads])

    def rows(token_ids: Ids, history: Ids) -> Ids:
        current_T = recipe.canonical(token_ids, history)[0, recipe.max_order - 1 :]
        right = recipe.rows(token_ids, history)
        return np.where(np.isin(current_T, stops)[:, None], offsets_H, right)

    return rows


def _drawn(seed: int | None = None, number: Callable[[int, int], int] | None = None) -> Make:
    """Make a variant whose multipliers are drawn with another seed or layer number.

    Args:
        seed: None: the scheme's.
        number: (layer id, dense index) -> what is drawn for; None: what the scheme draws for.
    """

    def make(scheme: Scheme, layer: int) -> Rows | None:
        chosen = number(layer, scheme.layers.index(layer)) if number else None
        recipe = drawn_anew(scheme, layer, seed=seed, number=chosen)
        return recipe.rows if recipe else None

    return make


def _swapped(scheme: Scheme, layer: int) -> Rows | None:
    other = scheme.layers[::-1][scheme.layers.index(layer)]
    return None if len(scheme.layers) == 1 else Recipe.of(scheme, other).rows


def _reversed(recipe: Recipe) -> Recipe | None:
    turned = replace(recipe, multipliers=recipe.multipliers[::-1])
    return turned if recipe.multipliers else None


def _reversed_by_order(scheme: Scheme, layer: int) -> Rows | None:
    recipe = Recipe.of(scheme, layer)
    if not recipe.multipliers or len(scheme.orders) == 1:
        return None
    return lambda token_ids, history: reversed_by_order(recipe, token_ids, history)


def _no_offsets(recipe: Recipe) -> Recipe:
    return replace(recipe, heads=tuple(replace(head, offset=0) for head in recipe.heads))


def _order_minor(recipe: Recipe) -> Recipe | None:
    orders = list(dict.fromkeys(head.order for head in recipe.heads))
    per_order = len(recipe.heads) // len(orders)
    columns = [order * per_order + k for k in range(per_order) for order in range(len(orders))]
    heads = tuple(recipe.heads[column] for column in columns)
    return None if heads == recipe.heads else replace(recipe, heads=heads)


def _no_history(scheme: Scheme, layer: int) -> Rows | None:
    recipe = Recipe.of(scheme, layer)
    return lambda token_ids, history: recipe.rows(token_ids, history[:0])


VARIANTS = (
    Variant(
        "boundary ignored",
        "look-back runs across stop tokens and masked tokens, as if the text were one document",
        _recipe(_no_boundary),
    ),
    Variant(
        "boundary not sticky",
        "only the stop or masked token itself reads as the fill; tokens behind it are still read",
        _not_sticky,
    ),
    Variant(
        "stop token opens the next document",
        "a stop token as the current token does not look back; it belongs to what it closes",
        _recipe(_stop_is_blind),
    ),
    Variant(
        "stop token reads slot 0",
        "a stop token as the current token hashes to slot 0 of every head (vLLM 0.33.0, LongCat)",
        _stop_reads_slot_0,
    ),
    *(
        Variant(f"seed {seed}", f"the multipliers are drawn with seed {seed}", _drawn(seed=seed))
        for seed in SEEDS
    ),
    Variant(
        "reversed multipliers",
        "m_0 is paired with the oldest token of the largest window, not with the current one",
        _recipe(_reversed),
    ),
    Variant(
        "reversed multipliers of each order",
        "m_0 is paired with the oldest token of each order's own window, not with the current one",
        _reversed_by_order,
    ),
    Variant(
        "token map not applied",
        "token ids are hashed as they are, without the map to canonical ids",
        _recipe(lambda one: None if one.token_map is None else replace(one, token_map=None)),
    ),
    Variant(
        "no token map at all",
        "token ids are hashed as they are, with multipliers drawn for as many ids: a scheme made "
        "without the tokenizer",
        no_token_map_at_all,
    ),
    Variant(
        "one token behind",
        "each position has the rows of the token before it: ids are hashed one step too late",
        one_behind,
    ),
    *(
        Variant(
            f"BOS {bos} in front",
            f"the sequence is read with token {bos} before it",
            bos_in_front(bos),
        )
        for bos in BOS_IDS
    ),
    Variant(
        "fill 0",
        "missing context reads as canonical id 0, not as the scheme's fill",
        _recipe(lambda one: replace(one, boundary=replace(one.boundary, fill=0))),
    ),
    Variant(
        "layers swapped",
        "each layer uses the constants of another: the layers are taken in reverse order",
        _swapped,
    ),
    Variant(
        "dense layer index",
        "the multipliers are drawn for layers 0, 1, .., not for the layer ids of the scheme",
        _drawn(number=lambda layer, index: index),
    ),
    Variant(
        "layers counted from 1",
        "the multipliers are drawn for layer id + 1",
        _drawn(number=lambda layer, index: layer + 1),
    ),
    Variant(
        "layer id for dense index",
        "the multipliers are drawn for the layer id, not for 0, 1, .. as the scheme does",
        _drawn(number=lambda layer, index: layer),
    ),
    Variant(
        "offsets missing",
        "the ids are slots of each head; the head's offset in the table is not added",
        _recipe(_no_offsets),
    ),
    Variant(
        "heads order-minor",
        "heads are listed head by head with the orders inside, not order by order",
        _recipe(_order_minor),
    ),
    Variant(
        "int32 wrap-around",
        "the mix is kept in a signed 32-bit integer before the modulo",
        _recipe(lambda one: replace(one, bits=32)),
    ),
    Variant(
        "uint32 wrap-around",
        "the mix is kept in an unsigned 32-bit integer before the modulo",
        _recipe(lambda one: replace(one, bits=-32)),
    ),
    Variant(
        "int64 wrap-around",
        "powers of the base are not reduced, so that the sum wraps at 64 bits",
        _recipe(lambda one: replace(one, exact=False) if one.exact else None),
    ),
    Variant(
        "history ignored",
        "every chunk is hashed as the start of a sequence; the tokens before it are not read",
        _no_history,
    ),
)
