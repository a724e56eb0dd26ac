"""Which documents are mined and which are held out, and what a model reads at their positions."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from engramctl.corpus.batch import TokenBatch
from engramctl.corpus.corpus import Corpus
from engramctl.hashing import START, Scheme
from engramctl.reuse.interleave import Block

HELD_OUT_EVERY = 10
PIECE_TOKENS = 1 << 17
TENTH = "tenth"


@dataclass(frozen=True)
class Part:
    """Some of a corpus's documents.

    Attributes:
        name: None for the documents that are mined, `tenth` for those of the same corpus that are
            held out, else the name of another corpus that is.
        corpus: where they are.
        keep: whether a document belongs to the part, bool (documents,) from their numbers, int64.
    """

    name: str | None
    corpus: Corpus
    keep: Callable[[NDArray[np.int64]], NDArray[np.bool_]]

    def batches(
        self, progress: Callable[[int], None] | None = None
    ) -> Iterator[tuple[int, TokenBatch]]:
        """Give (number of the file, documents of the part), in order.

        Args:
            progress: told the tokens that were read, those of other documents included.
        """
        number = 0
        for file, path in enumerate(self.corpus.files):
            for batch in replace(self.corpus, files=(path,)).batches(progress):
                documents = len(batch.offsets) - 1
                keep = self.keep(np.arange(number, number + documents, dtype=np.int64))
                number += documents
                for piece in _pieces(_chosen(batch, keep)):
                    yield file, piece


def split(corpus: Corpus) -> tuple[Part, Part]:
    """Return the documents to mine, and every tenth one, by its number, which is held out.

    Documents are numbered from 0 through all files; those whose number ends in 9 are held out.
    """
    last = HELD_OUT_EVERY - 1
    return (
        Part(None, corpus, lambda numbers: numbers % HELD_OUT_EVERY != last),
        Part(TENTH, corpus, lambda numbers: numbers % HELD_OUT_EVERY == last),
    )


def whole(name: str, corpus: Corpus) -> Part:
    """Return all documents of a corpus."""
    return Part(name, corpus, lambda numbers: np.ones(len(numbers), np.bool_))


def _chosen(batch: TokenBatch, keep: NDArray[np.bool_]) -> TokenBatch:
    if keep.all():
        return batch
    lengths = np.diff(batch.offsets)
    offsets = np.concatenate([[0], np.cumsum(lengths[keep])]).astype(np.int64)
    return TokenBatch(batch.ids[np.repeat(keep, lengths)], offsets)


def _pieces(batch: TokenBatch) -> Iterator[TokenBatch]:
    """Cut a batch between documents, about every PIECE_TOKENS: a position needs 150 bytes here."""
    documents = len(batch.offsets) - 1
    start = 0
    while start < documents:
        reach = int(batch.offsets[start]) + PIECE_TOKENS
        stop = max(start + 1, int(np.searchsorted(batch.offsets, reach, side="right")) - 1)
        begin, end = int(batch.offsets[start]), int(batch.offsets[stop])
        yield TokenBatch(batch.ids[begin:end], batch.offsets[start : stop + 1] - begin)
        start = stop


def joined(batch: TokenBatch) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Join documents with START before each, so that one call of a scheme does for all.

    START is what a sequence's beginning means to a scheme.

    Returns:
        int64 (T + documents,), and which of them are tokens, bool.
    """
    lengths = np.diff(batch.offsets)
    ids = np.full(len(batch.ids) + len(lengths), START, np.int64)
    is_token = np.ones(len(ids), np.bool_)
    is_token[batch.offsets[:-1] + np.arange(len(lengths))] = False
    ids[is_token] = batch.ids
    return ids, is_token


@dataclass(frozen=True)
class Reader:
    """Reads rows and n-grams of documents as a model would, padding and boundaries included.

    Attributes:
        scheme: the model's.
        layer: whose table is read.
        head: of each order, from 0; heads of one order behave alike, measured.
    """

    scheme: Scheme
    layer: int
    head: int = 0

    @property
    def columns(self) -> list[int]:
        """The heads that are read, one an order, as columns of `Scheme.row_ids`."""
        heads = self.scheme.heads_per_order
        return [order * heads + self.head for order in range(len(self.scheme.orders))]

    @property
    def spans(self) -> list[tuple[int, int]]:
        """The row ids of each of these heads, [start, stop)."""
        heads = self.scheme.layer_hash(self.layer).heads
        chosen = [heads[column] for column in self.columns]
        return [(head.offset, head.offset + head.modulus) for head in chosen]

    @property
    def rows(self) -> tuple[int, ...]:
        """Rows of each of these heads."""
        return tuple(stop - start for start, stop in self.spans)

    def read(self, batch: TokenBatch) -> Block:
        """Return row ids and exact n-gram keys of every position."""
        ids, is_token = joined(batch)
        if not len(batch.ids):
            orders = len(self.scheme.orders)
            empty = np.empty((0, orders), np.int32)
            return Block(empty, np.empty((0, orders, 2), np.uint64), batch.offsets)
        rows = self.scheme.row_ids(ids, self.layer)[:, self.columns]
        return Block(rows[is_token], self.scheme.ngram_keys(ids)[is_token], batch.offsets)
