"""Texts -> the rows that a store is asked for, chunk by chunk, each once a chunk.

Duplicates are removed within a chunk before a cache sees them, as a store does: a hit that dedup
gives for nothing is nobody's. Row ids are V4.1's own, never taken modulo a smaller table.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from engramctl.corpus.batch import TokenBatch
from engramctl.hashing import Scheme
from engramctl.reuse.documents import joined
from engramctl.reuse.interleave import Block, Interleaver
from tests.benchmarks.caching.texts import Domain
from tests.benchmarks.cold.table import A_PAGE

CHUNK_TOKENS = 2048


@dataclass(frozen=True)
class Trace:
    """The rows of a text, in the order in which they are asked for.

    Attributes:
        rows: row ids, distinct in each chunk and over layers, int64 (n,).
        ends: where each chunk ends in `rows`, int64 (chunks,).
        chunk_lookups: lookups of a chunk, duplicates with them.
    """

    rows: NDArray[np.int64]
    ends: NDArray[np.int64]
    chunk_lookups: int

    @property
    def middle(self) -> int:
        """How many rows come before the half that is measured."""
        return int(self.ends[len(self.ends) // 2 - 1])

    @property
    def lookups(self) -> int:
        """Lookups of the half that is measured."""
        return (len(self.ends) - len(self.ends) // 2) * self.chunk_lookups

    @property
    def asked(self) -> int:
        """Distinct rows of the half that is measured, chunk by chunk."""
        return len(self.rows) - self.middle

    @property
    def tokens(self) -> int:
        """Tokens of either half."""
        return len(self.ends) // 2 * CHUNK_TOKENS


def all_columns(scheme: Scheme) -> dict[int, list[int]]:
    """Return every head of every layer."""
    return {
        layer: list(range(len(scheme.orders) * scheme.heads_per_order)) for layer in scheme.layers
    }


def one_column(scheme: Scheme) -> dict[int, list[int]]:
    """Return the first head of every order, of the first layer: heads of one order behave alike."""
    heads = scheme.heads_per_order
    return {scheme.layers[0]: [order * heads for order in range(len(scheme.orders))]}


def row_ids(scheme: Scheme, text: Domain, columns: dict[int, list[int]]) -> NDArray[np.int32]:
    """Return the rows of every position, distinct over layers, int32 (T, columns).

    A layer's rows begin with a page of their own.
    """
    found = np.empty((len(text.ids), sum(map(len, columns.values()))), np.int32)
    ids, is_token = joined(TokenBatch(text.ids, text.offsets))
    base = at = 0
    for layer in scheme.layers:
        chosen = columns.get(layer, [])
        if chosen:
            found[:, at : at + len(chosen)] = scheme.row_ids(ids, layer)[:, chosen][is_token]
            found[:, at : at + len(chosen)] += base
            at += len(chosen)
        base += scheme.num_rows(layer) + -scheme.num_rows(layer) % A_PAGE
    return found


def turns(offsets: NDArray[np.int64], streams: int) -> NDArray[np.int64]:
    """Return positions in the order in which so many documents at a time are decoded.

    Example:
        >>> turns(np.array([0, 2, 5, 6]), 2).tolist()
        [0, 2, 1, 3, 5, 4]
    """
    positions = np.arange(offsets[-1], dtype=np.int64)[:, None]
    mixer = Interleaver(streams)
    pieces = [*mixer.add(Block(positions, None, offsets)), *mixer.finish()]
    return np.concatenate([piece.rows[:, 0] for piece in pieces]).astype(np.int64)


def trace(rows: NDArray[np.integer], chunk_tokens: int = CHUNK_TOKENS) -> Trace:
    """Remove duplicates within whole chunks; an even number of chunks is kept.

    Args:
        rows: row ids of every position, integers (T, columns).
        chunk_tokens: positions of a chunk.

    Example:
        >>> found = trace(np.array([[7], [7], [5], [6], [9], [9]]), 3)
        >>> found.rows.tolist(), found.ends.tolist(), found.middle, found.lookups
        ([7, 5, 6, 9], [2, 4], 2, 3)
    """
    chunks = len(rows) // chunk_tokens // 2 * 2
    kept, ends = [], [0]
    for number in range(chunks):
        flat = rows[number * chunk_tokens : (number + 1) * chunk_tokens].reshape(-1)
        kept.append(flat[firsts(flat)])
        ends.append(ends[-1] + len(kept[-1]))
    return Trace(
        np.concatenate(kept).astype(np.int64), np.array(ends[1:], np.int64),
        chunk_tokens * rows.shape[1],
    )  # fmt: skip


def firsts(values: NDArray[np.integer]) -> NDArray[np.int64]:
    """Return the place of the first of each value, ascending.

    Example:
        >>> firsts(np.array([4, 4, 2, 4])).tolist()
        [0, 2]
    """
    return np.sort(np.unique(values, return_index=True)[1])
