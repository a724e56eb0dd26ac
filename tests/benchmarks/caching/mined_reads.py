"""Cold reads with the mined dictionary and without, counted on a table of V4.1's size.

Reads are counted after duplicates of a chunk are removed, which serves much of what a dictionary
knows. What the store reads of some chunks is held against the plain count of all of them.
"""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from engramctl.corpus.batch import TokenBatch
from engramctl.hashing import Scheme
from engramctl.reuse.documents import joined
from engramctl.storage import Store, open_store
from tests.benchmarks.caching.mining import Mined, planned_reads
from tests.benchmarks.caching.tables import without_data
from tests.benchmarks.caching.texts import Domain, Texts
from tests.benchmarks.caching.traces import CHUNK_TOKENS
from tests.benchmarks.harness import Row, row

MIB = 1 << 20
BUDGET_BYTES = 1 << 30
INDEX_BYTES = 10 * MIB  # to be at most
FEWER = {True: 1.5, False: 1.12}  # in-domain and unseen
LEAST_MINED_TOKENS = 4_000_000  # targets are of so much
PEER = "dedup alone, no dictionary"


def mined_reads(
    served: Texts, mined: Mined, folder: Path, tokens: int, store_chunks: int
) -> list[Row]:
    """Count every domain's reads.

    Args:
        served: the texts.
        mined: the dictionary, and the texts held out.
        folder: for the tables, which take no room.
        tokens: of a domain.
        store_chunks: of a domain that a store reads too.
    """
    entries, size = len(mined.plan.order_index), mined.plan.index.num_bytes
    tables = {
        name: without_data(folder / name, served.scheme, plan)
        for name, plan in {"without": None, "with": mined.plan}.items()
    }
    made = []
    for whole in mined.held_out:
        text = whole.first(tokens)
        without, found = (planned_reads(served.scheme, text, plan) for plan in (None, mined.plan))
        some = text.first(store_chunks * CHUNK_TOKENS)
        own = {name: store_reads(table.path, served.scheme, some) for name, table in tables.items()}
        for name, plan in {"without": None, "with": mined.plan}.items():
            told = planned_reads(served.scheme, some, plan)
            assert own[name][1] == told.num_bytes, "the store reads other pages than it need"
        target = FEWER[whole.is_mined] if mined.tokens >= LEAST_MINED_TOKENS else None
        made.append(
            row(f"cold reads, {entries:,} mined n-grams, {whole.title}", PEER, [found.requests],
                [without.requests], target=target, unit="reads",
                bound=f"{without.num_bytes / found.num_bytes:.2f} of bytes, whole pages; "
                f"{found.records:,} records; the store's own reads of {len(some.ids):,} tokens "
                f"{own['without'][0] / own['with'][0]:.2f}; index {size / MIB:.1f} MiB; "
                f"{mined.tokens:,} tokens mined; holes, no device")
        )  # fmt: skip
    assert entries > (1 << 20) or size <= INDEX_BYTES, "the index is larger than 10 MiB"
    return made


def store_reads(folder: Path, scheme: Scheme, text: Domain) -> tuple[int, int]:
    """Ask a store for whole chunks, no row kept; returns its reads and their bytes."""
    with open_store(folder, "ssd", budget_bytes=BUDGET_BYTES, cache_bytes=0) as store:
        for rows, keys in chunks(scheme, text):
            fetch(store, rows, keys)
        stats = store.stats()
    return stats.device_reads, stats.device_bytes


def chunks(
    scheme: Scheme, text: Domain, chunk_tokens: int = CHUNK_TOKENS, every: int = 1
) -> Iterator[tuple[dict[int, NDArray[np.int64]], NDArray[np.uint64]]]:
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


def fetch(store: Store, rows: dict[int, NDArray[np.int64]], keys: NDArray[np.uint64]) -> None:
    """One chunk: a ticket, and its rows."""
    ticket = store.prefetch(rows, keys=keys)
    for layer in rows:
        ticket.wait(layer)
