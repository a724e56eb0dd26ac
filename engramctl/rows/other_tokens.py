"""Mistakes about which tokens an engine reads, not about how it hashes them."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from engramctl.hashing.scheme.scheme import Scheme
from engramctl.hashing.walk.window import START
from engramctl.rows.variant_walk import Ids, Recipe, Rows, drawn_anew

BOS_IDS = (0, 1, 2, 128_000, 151_643)
"""Ids that stand before a sequence in released tokenizers, DeepSeek's 0 and Llama's 1 first."""


def one_behind(scheme: Scheme, layer: int) -> Rows | None:
    """Return rows of the token before each position's own: an engine that hashes too late."""
    recipe = Recipe.of(scheme, layer)

    def rows(token_ids: Ids, history: Ids) -> Ids:
        before = history[-1:] if len(history) else np.array([START], np.int64)
        return recipe.rows(np.concatenate([before, token_ids])[:-1], history[:-1])

    return rows


def bos_in_front(bos: int) -> Callable[[Scheme, int], Rows | None]:
    """Make a variant that reads `bos` before every sequence."""

    def make(scheme: Scheme, layer: int) -> Rows | None:
        if bos >= scheme.vocab_size:
            return None
        recipe = Recipe.of(scheme, layer)
        return lambda token_ids, history: recipe.rows(
            token_ids, np.concatenate([np.array([bos], np.int64), history])
        )

    return make


def no_token_map_at_all(scheme: Scheme, layer: int) -> Rows | None:
    """Return rows of a scheme made without the map: constants are drawn for token ids too."""
    recipe = drawn_anew(scheme, layer, size=scheme.vocab_size)
    if recipe is None or recipe.token_map is None:
        return None
    return replace(recipe, token_map=None).rows
