"""Wrong rows of a dictionary look-up, so that a difference can be given its name.

SCONE (arXiv 2502.01637) has no public code to quote: these are the slips its definition invites.
They are made with the right dictionary, or with one that has its n-grams or ids changed.
"""

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from engramctl.hashing.dictionary.dictionary_scheme import NO_MATCH, DictionaryScheme
from engramctl.hashing.dictionary.ngrams import NgramList
from engramctl.hashing.walk.token_map import Canonical
from engramctl.rows.variant_walk import Ids, Rows
from engramctl.rows.wrong_variants import Variant


def _rows(scheme: DictionaryScheme) -> Rows:
    """Return a dictionary's look-up as int64 (T, 1)."""

    def rows(token_ids: Ids, history: Ids) -> Ids:
        found: Ids = scheme.row_ids(token_ids, scheme.layers[0], history=history).astype(np.int64)
        return found

    return rows


def _renumbered(change: Callable[[Ids], Ids]) -> Callable[[DictionaryScheme, int], Rows]:
    def make(scheme: DictionaryScheme, layer: int) -> Rows:
        right = _rows(scheme)
        return lambda token_ids, history: change(right(token_ids, history))

    return make


def _shortest(scheme: DictionaryScheme, layer: int) -> Rows | None:
    """Ask one order after another, the shortest first."""
    if len(scheme.orders) == 1:
        return None
    by_order = []
    for order in scheme.orders:
        ranks, ids = scheme.ngrams.of_order(order)
        alone = NgramList.padded(ids, np.full(len(ids), order))
        by_order.append((ranks, _rows(replace(scheme, ngrams=alone))))

    def rows(token_ids: Ids, history: Ids) -> Ids:
        found = np.full((len(token_ids), 1), NO_MATCH, np.int64)
        for ranks, of_order in by_order:
            hits = of_order(token_ids, history)
            open_T = (found == NO_MATCH) & (hits != NO_MATCH)
            found[open_T] = ranks[hits[open_T]]
        return found

    return rows


def _reversed(scheme: DictionaryScheme, layer: int) -> Rows | None:
    """Read the list newest first."""
    if scheme.boundary.stop or scheme.boundary.block:
        return None  # turned n-grams could hold a stop where no window has one
    ngrams = scheme.ngrams
    ends = ngrams.starts + ngrams.lengths
    owner = np.repeat(np.arange(len(ngrams)), ngrams.lengths)
    turned = ngrams.ids[(ngrams.starts + ends - 1)[owner] - np.arange(len(ngrams.ids))]
    return _rows(replace(scheme, ngrams=NgramList(ngrams.lengths, turned)))


def _ahead(scheme: DictionaryScheme, layer: int) -> Rows | None:
    """Give a match to the position where it begins; the longest that begins there wins."""
    turned = _reversed(scheme, layer)
    if turned is None:
        return None
    return lambda token_ids, history: turned(token_ids[::-1], history[:0])[::-1]


def _no_map(scheme: DictionaryScheme, layer: int) -> Rows | None:
    canonical = scheme.canonical
    if canonical.token_map is None:
        return None
    size = max(canonical.num_ids, canonical.num_canonical)
    return _rows(replace(scheme, canonical=Canonical.identity(size)))


def _no_history(scheme: DictionaryScheme, layer: int) -> Rows:
    right = _rows(scheme)
    return lambda token_ids, history: right(token_ids, history[:0])


DICTIONARY_VARIANTS = (
    Variant(
        "no match reads row 0",
        "positions without a match give row 0, the most frequent n-gram's, not -1",
        _renumbered(lambda rows: np.maximum(rows, 0)),
    ),
    Variant(
        "rows counted from 1",
        "rows begin at 1, and 0 means no match",
        _renumbered(lambda rows: rows + 1),
    ),
    Variant(
        "shortest match",
        "the shortest n-gram that ends at the position wins, not the longest",
        _shortest,
    ),
    Variant(
        "n-grams read newest first",
        "the list is read with the newest id first; it holds the oldest first",
        _reversed,
    ),
    Variant(
        "match begins at the position",
        "the longest n-gram that begins at the position is taken: it reads tokens that come later",
        _ahead,
    ),
    Variant(
        "token map not applied",
        "token ids are looked up as they are, without the map to canonical ids",
        _no_map,
    ),
    Variant(
        "history ignored",
        "every chunk is looked up as the start of a sequence; the tokens before it are not read",
        _no_history,
    ),
)
