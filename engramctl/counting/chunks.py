"""Batches of documents -> chunks of equal size, whose n-grams are all n-grams once."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from engramctl.corpus.batch import TokenBatch
from engramctl.counts.ngrams import MAX_ORDER

CONTEXT = MAX_ORDER - 1


@dataclass(frozen=True)
class Chunk:
    """A piece of the corpus that is worked on at a time.

    Attributes:
        ids: uint32, flat.
        offsets: int64, documents + 1. A document that is cut goes on in the next chunk.
        tail: last ids of the chunk that only end n-grams here: the document is cut in them, and
            the n-grams that begin with them are counted in the next chunk, which repeats them.
    """

    ids: NDArray[np.uint32]
    offsets: NDArray[np.int64]
    tail: int


def cut_chunks(batches: Iterable[TokenBatch], size: int) -> Iterator[Chunk]:
    """Give chunks of `size` ids, the last one shorter; documents are cut where need be.

    Args:
        batches: documents, whole or in pieces.
        size: ids a chunk, context included; above `CONTEXT`.
    """
    assert size > CONTEXT
    parts: list[NDArray[np.uint32]] = []
    ends: list[NDArray[np.int64]] = []
    filled = 0
    for batch in batches:
        at = 0
        while at < len(batch.ids):
            stop = min(at + size - filled, len(batch.ids))
            known = batch.offsets[:-1] if batch.is_cut else batch.offsets
            inner = np.searchsorted(known, [at, stop], side="right")
            parts.append(batch.ids[at:stop])
            ends.append(known[inner[0] : inner[1]] - at + filled)
            filled += stop - at
            at = stop
            if filled == size:
                last = next((int(one[-1]) for one in reversed(ends) if len(one)), 0)
                chunk = _chunk(parts, ends, filled, min(CONTEXT, filled - last))
                yield chunk
                parts, ends, filled = [chunk.ids[filled - chunk.tail :]], [], chunk.tail
    if filled:
        yield _chunk(parts, ends, filled, 0)


def _chunk(
    parts: list[NDArray[np.uint32]], ends: list[NDArray[np.int64]], filled: int, tail: int
) -> Chunk:
    bounds = np.concatenate([[0], *ends, [filled]]).astype(np.int64)
    return Chunk(np.concatenate(parts), bounds, tail)
