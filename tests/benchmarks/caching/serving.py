"""Chunks of a text served by a store, and what it read for them."""

import contextlib
from collections.abc import Iterable, Iterator
from dataclasses import astuple, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from engramctl.corpus.batch import TokenBatch
from engramctl.hashing import Scheme
from engramctl.reuse.documents import joined
from engramctl.storage import SelfFilled, Store, open_store
from engramctl.storage.requests.stats import StoreStats
from tests.benchmarks.caching.texts import Domain
from tests.benchmarks.caching.traces import CHUNK_TOKENS

READING_BYTES = 1 << 30
LOG_BYTES = 4 << 30
Chunk = tuple[dict[int, NDArray[np.int64]], NDArray[np.uint64]]


def chunks(
    scheme: Scheme, text: Domain, chunk_tokens: int = CHUNK_TOKENS, every: int = 1
) -> Iterator[Chunk]:
    """Give the rows of whole chunks, layer by layer, int64 (T, heads), and their n-grams' keys.

    Args:
        scheme: the model's.
        text: cut into chunks.
        chunk_tokens: T.
        every: of so many chunks one is given, the first.
    """
    ids, is_token = joined(TokenBatch(text.ids, text.offsets))
    places = np.flatnonzero(is_token)
    context = scheme.max_order - 1
    whole = len(places) // chunk_tokens * chunk_tokens
    for begin in range(0, whole, chunk_tokens * every):
        first, last = places[begin], places[begin + chunk_tokens - 1]
        start = max(0, first - context)
        window, kept = ids[start : last + 1], is_token[start : last + 1]
        kept[: first - start] = False
        rows = {
            layer: scheme.row_ids(window, layer)[kept].astype(np.int64) for layer in scheme.layers
        }
        yield rows, scheme.ngram_keys(window)[kept]


@dataclass(frozen=True)
class Served:
    """What a store read for some chunks.

    Attributes:
        tokens: that they have.
        reads: of pages and records, neighbours joined.
        record_reads: of these, of records.
        records: that served rows.
        num_bytes: of all reads.
    """

    tokens: int
    reads: int
    record_reads: int
    records: int
    num_bytes: int

    @property
    def reads_per_token(self) -> float:
        """Reads of all layers."""
        return self.reads / self.tokens


def serve(store: Store, asked: Iterable[Chunk]) -> Served:
    """Ask a store for chunks, a ticket each; returns what it read for them."""
    before = store.stats()
    tokens = 0
    for rows, keys in asked:
        ticket = store.prefetch(rows, keys=keys)
        for layer in rows:
            ticket.wait(layer)
        tokens += len(keys)
    after = store.stats()
    lost = after.dictionary_lost or after.log_stopped
    assert lost is None, lost
    return Served(
        tokens=tokens,
        reads=after.device_reads - before.device_reads,
        record_reads=after.record_reads - before.record_reads,
        records=known(after) - known(before),
        num_bytes=after.device_bytes - before.device_bytes,
    )


def total(parts: Iterable[Served]) -> Served:
    """Return what was read for all of them.

    Example:
        >>> total([Served(1, 2, 0, 0, 8192), Served(3, 4, 1, 5, 16384)])
        Served(tokens=4, reads=6, record_reads=1, records=5, num_bytes=24576)
    """
    return Served(*(sum(column) for column in zip(*map(astuple, parts), strict=True)))


def known(stats: StoreStats) -> int:
    """Return how many n-grams records served, of either dictionary."""
    return stats.dictionary_hits + stats.log_hits


def opened(table: Path, cache_bytes: int = 0, fill: SelfFilled | None = None) -> Store:
    """Open a table for reads past the page cache, none of them kept but in a row cache."""
    budget_bytes = READING_BYTES + cache_bytes
    return open_store(table, "ssd", budget_bytes=budget_bytes, cache_bytes=cache_bytes, fill=fill)


@contextlib.contextmanager
def new_log(folder: Path, scheme: Scheme) -> Iterator[SelfFilled]:
    """Give a dictionary that is empty and fills itself; its file is deleted afterwards."""
    file = folder / "records.log"
    try:
        yield SelfFilled(
            file, len(scheme.orders), scheme.heads_per_order, scheme.key_bits, LOG_BYTES
        )
    finally:
        file.unlink(missing_ok=True)
