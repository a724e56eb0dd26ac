"""What an n-gram dictionary of K entries would serve, in text that it was not made from.

An entry holds the rows of all heads of one n-gram side by side, so that a known n-gram costs one
read instead of one a head. One list over all orders, ranked by value, is cut at K. Duplicate reads
of a chunk of 2,048 tokens cost nothing.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engramctl.hashing import Scheme
from engramctl.reuse.benefit import expected_counts
from engramctl.reuse.chunk_counts import ChunkCounts
from engramctl.reuse.interleave import Block
from engramctl.reuse.unique import UniqueShares


class Dictionary:
    """Chunk counts of a text, then dictionaries of several sizes made of them."""

    def __init__(
        self,
        orders: tuple[int, ...],
        sizes: Sequence[int],
        rate: float,
        max_tokens_per_file: int | None = None,
    ) -> None:
        """Begin empty.

        Args:
            orders: of the n-grams, as in the keys.
            sizes: entries of each dictionary, ascending.
            rate: share of n-grams that is sampled; sizes are scaled with it.
            max_tokens_per_file: a file gives its first so many tokens and no more, so that one
                large source does not decide alone; a document is cut there.
        """
        self.orders = orders
        self.sizes = tuple(sizes)
        self.rate = rate
        self.tokens = 0
        self.counts = [ChunkCounts(rate) for _ in orders]
        self.held: tuple[int, ...] = ()  # n-grams of each size, by the sample
        self.shares: list[list[float]] = []  # of each order in each size
        self._most = max_tokens_per_file
        self._of_file: dict[int, int] = {}
        self._chunks = UniqueShares(orders)
        self._documents = 0

    def add(self, file: int, block: Block) -> None:
        """Take in documents of a file, in the order of the corpus."""
        assert block.keys is not None
        lengths = np.diff(block.offsets)
        parity = (self._documents + np.arange(len(lengths))) % 2
        self._documents += len(lengths)
        keys, halves = block.keys, np.repeat(parity.astype(np.uint8), lengths)
        before = self._of_file.get(file, 0)
        if self._most is not None:
            room = max(0, self._most - before)
            keys, halves = keys[:room], halves[:room]
        self._of_file[file] = before + len(block.rows)
        self.tokens += len(keys)
        first = self._chunks.add(keys)
        for number, counts in enumerate(self.counts):
            counts.add(keys[:, number], first[number], halves)

    def rank(self) -> None:
        """Rank what was counted: by value, equals by order and by the hash of the key."""
        entries = [counts.entries() for counts in self.counts]
        values = np.concatenate([expected_counts(one.halves) for one in entries])
        hashes = np.concatenate([one.hashes for one in entries])
        places = np.repeat(np.arange(len(entries)), [len(one.slots) for one in entries])
        ranks = np.empty(len(values), np.int64)
        ranks[np.lexsort((hashes, places, -values))] = np.arange(len(values))
        limits = np.array([round(size * self.rate) for size in self.sizes], np.int64)
        levels = np.searchsorted(limits, ranks, side="right").astype(np.uint8)
        for number, (counts, one) in enumerate(zip(self.counts, entries, strict=True)):
            counts.set_levels(one.slots, levels[places == number])
        by_level = np.zeros((len(entries), len(limits) + 1), np.int64)
        np.add.at(by_level, (places, levels), 1)
        held = np.cumsum(by_level, axis=1)[:, :-1]
        self.held = tuple(round(int(total) / self.rate) for total in held.sum(axis=0))
        self.shares = (held / np.maximum(1, held.sum(axis=0))).T.tolist()


@dataclass
class DictionaryUse:
    """How a trace uses the dictionaries; `add` may run beside others of the same dictionary."""

    dictionary: Dictionary
    tokens: int = 0
    served: NDArray[np.int64] = field(init=False)
    distinct: NDArray[np.int64] = field(init=False)

    def __post_init__(self) -> None:
        """Begin at nought."""
        orders, levels = len(self.dictionary.orders), len(self.dictionary.sizes) + 1
        self.served = np.zeros((orders, levels, 2), np.int64)
        self.distinct = np.zeros(orders, np.int64)

    def add(self, keys: NDArray[np.uint64], first: NDArray[np.bool_]) -> None:
        """Take in the next positions: keys uint64 (T, orders, 2), firsts bool (orders, T)."""
        self.tokens += len(keys)
        self.distinct += first.sum(axis=1)
        for number, counts in enumerate(self.dictionary.counts):
            counts.serve(keys[:, number], first[number], self.served[number])

    def document(self, scheme: Scheme) -> list[dict[str, Any]]:
        """Return one entry a size, the first without a dictionary; reads are of rows, a layer.

        `hit_rate` is of all look-ups, `hit_rate_after_dedup` of the first of each n-gram in its
        chunk; both by order. `reads_per_token_all_layers_after_dedup` has one read for an n-gram
        whose entry holds the rows of all layers.
        """
        return [self._at(level, scheme) for level in range(len(self.dictionary.sizes) + 1)]

    def _at(self, level: int, scheme: Scheme) -> dict[str, Any]:
        """Return what the dictionary of size number `level - 1` does, or none for 0."""
        rate = self.dictionary.rate
        lookups = np.stack([np.full_like(self.distinct, self.tokens), self.distinct], axis=1)
        missed = self.served[:, level:].sum(axis=1) if level else rate * lookups
        hits = np.clip(1 - missed / np.maximum(1e-9, rate * lookups), 0, 1)
        shares = self.distinct / max(1, self.tokens)
        heads, layers = scheme.heads_per_order, len(scheme.layers)
        raw, unique = hits[:, 0], hits[:, 1]
        return {
            "entries": self.dictionary.sizes[level - 1] if level else 0,
            "entries_held": self.dictionary.held[level - 1] if level else 0,
            "hit_rate": raw.tolist(),
            "hit_rate_after_dedup": unique.tolist(),
            "reads_per_token": float((heads * (1 - raw) + raw).sum()),
            "reads_per_token_after_dedup": float((shares * (heads * (1 - unique) + unique)).sum()),
            "reads_per_token_all_layers_after_dedup": float(
                (shares * (layers * heads * (1 - unique) + unique)).sum()
            ),
        }
