"""The n-grams of a counts folder as a scheme sees them."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from engramctl.counts.manifest import read_counts_manifest
from engramctl.counts.ngrams import num_ngrams, order_file, read_ngrams
from engramctl.hashing import Scheme
from engramctl.hashing.walk.window import window
from engramctl.vocabulary.fingerprints import counts_are_canonical


@dataclass(frozen=True)
class Seen:
    """Some n-grams of one order, oldest token first.

    Attributes:
        tokens: token ids that give them; of canonical counts the smallest of each, int64 (m, n).
        ids: their canonical ids, int64 (m, n).
        counts: uint64 (m,).
    """

    tokens: NDArray[np.int64]
    ids: NDArray[np.int64]
    counts: NDArray[np.uint64]


class SeenNgrams:
    """What of a counts folder look-back can see; read as often as need be, from any thread."""

    def __init__(self, scheme: Scheme, counts: Path) -> None:
        """Look at the folder's manifest.

        Raises:
            CorpusError: counts of another tokenizer or token map.
            ConfigError: counts of token ids, and a scheme that takes canonical ids.
            FormatError: not a counts folder.
        """
        self.scheme, self.counts = scheme, counts
        self._map = scheme.canonical.token_map
        self._canonical = counts_are_canonical(
            scheme.canonical, f"scheme {scheme.name}", counts, read_counts_manifest(counts)
        )
        self.orders = [order for order in scheme.orders if order_file(counts, order).is_file()]
        if self._canonical and self._map is not None:
            self._first = np.full(scheme.canonical.num_canonical, -1)
            seen, where = np.unique(self._map, return_index=True)
            self._first[seen] = where

    @property
    def canonical(self) -> bool:
        """Whether the folder holds canonical ids, and not token ids."""
        return self._canonical

    @property
    def joins(self) -> bool:
        """Whether several n-grams of the folder may be one to the scheme."""
        return self._map is not None and not self._canonical

    def num_ngrams(self, order: int) -> int:
        """Return how many n-grams of an order the folder holds."""
        return num_ngrams(self.counts, order)

    def read(self, order: int) -> Iterator[tuple[int, Seen]]:
        """Give the n-grams of one order, batch by batch, in the folder's order.

        Those that look-back never sees whole, because something in them stops it, are left out.

        Yields:
            how many n-grams of the folder were looked at, and what of them is seen.

        Raises:
            CorpusError: broken counts, or ids outside the vocabulary.
        """
        scheme = self.scheme
        bound = scheme.canonical.num_canonical if self._canonical else scheme.vocab_size
        for found, counts in read_ngrams(self.counts, order, bound):
            tokens = found.astype(np.int64)
            if self._canonical and self._map is not None:
                tokens = self._first[tokens]
                there = (tokens >= 0).all(axis=1)
                tokens, counts = tokens[there], counts[there]
            ids = tokens if self._map is None else self._map[tokens].astype(np.int64)
            seen = Seen(tokens, ids, counts)
            if scheme.boundary.stop or scheme.boundary.block:
                walk = window(ids, scheme.boundary, order)
                whole = (np.concatenate(walk[::-1], axis=1) == ids).all(axis=1)
                seen = Seen(tokens[whole], ids[whole], counts[whole])
            yield len(found), seen
