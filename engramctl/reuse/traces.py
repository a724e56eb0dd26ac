"""One trace of a text: its caches, chunks and dictionary look-ups, fed block by block."""

from collections.abc import Iterable
from typing import Any

import numpy as np

from engramctl.caches.lru import LruCurve
from engramctl.caches.s3fifo import S3Curve
from engramctl.reuse.dictionary import Dictionary, DictionaryUse
from engramctl.reuse.documents import Reader
from engramctl.reuse.interleave import Block, Interleaver, Piece
from engramctl.reuse.options import ReuseOptions, cache_sizes
from engramctl.reuse.unique import UniqueShares

ALL_ORDERS = 0


class CacheTrace:
    """LRU and S3-FIFO over the accesses of one order, or of all."""

    def __init__(self, rows: int, accesses: int, options: ReuseOptions) -> None:
        """Begin with empty caches.

        Args:
            rows: that can be read.
            accesses: that will come, about.
            options: how much is sampled.
        """
        rate = options.trace_rate(accesses)
        self.sizes = cache_sizes(rows, accesses)
        self.lru = LruCurve(self.sizes, rate, options.most_rows)
        self.s3fifo = S3Curve(self.sizes, rate)


class StreamTrace:
    """A text read by a number of streams in turn."""

    def __init__(
        self,
        streams: int,
        reader: Reader,
        tokens: int,
        options: ReuseOptions,
        dictionary: Dictionary | None,
    ) -> None:
        """Begin at the first document.

        Args:
            streams: documents that are interleaved.
            reader: scheme, layer and head.
            tokens: of the text, about.
            options: what to measure.
            dictionary: whose use is measured too; None: a dictionary is not.
        """
        orders = reader.scheme.orders
        self.streams = streams
        self.caches = {
            order: CacheTrace(rows, tokens, options)
            for order, rows in zip(orders, reader.rows, strict=True)
        }
        every = CacheTrace(sum(reader.rows), tokens * len(orders), options)
        self.caches = {ALL_ORDERS: every, **self.caches}
        self._interleaver = Interleaver(streams)
        looks = streams in options.chunk_streams
        self.unique = UniqueShares(orders) if looks else None
        self.use = DictionaryUse(dictionary) if looks and dictionary else None

    def add(self, block: Block) -> None:
        """Take in the next documents."""
        if self.unique is None:
            block = Block(block.rows, None, block.offsets)
        self._take(self._interleaver.add(block))

    def finish(self) -> None:
        """Take in what waits when there are no more documents."""
        self._take(self._interleaver.finish())

    def _take(self, pieces: Iterable[Piece]) -> None:
        for piece in pieces:
            rows = piece.rows.astype(np.int64)
            for number, cache in enumerate(self.caches.values()):
                part = (
                    rows.reshape(-1) if number == 0 else np.ascontiguousarray(rows[:, number - 1])
                )
                cache.lru.add(part)
                cache.s3fifo.add(part)
            if self.unique is not None and piece.keys is not None:
                first = self.unique.add(piece.keys)
                if self.use is not None:
                    self.use.add(piece.keys, first)

    def unique_document(self) -> list[dict[str, Any]]:
        """Return the shares of distinct n-grams in chunks, where they were looked at."""
        return [] if self.unique is None else self.unique.document()
