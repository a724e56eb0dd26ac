"""Cold reads with the mined dictionary and without, counted on a table of V4.1's size.

Reads are the store's own, of chunks spread over a text, after duplicates of a chunk are removed,
which serves much of what a dictionary knows; what it reads to compare records with rows is among
them. Beside them stands a plain count of every chunk, in which nothing is compared.
"""

from pathlib import Path

from engramctl.hashing import Scheme
from engramctl.storage.requests.stats import StoreStats
from tests.benchmarks.caching.mining import Mined, planned_reads
from tests.benchmarks.caching.serving import chunks, opened, serve
from tests.benchmarks.caching.tables import without_data
from tests.benchmarks.caching.texts import Domain, Texts
from tests.benchmarks.harness import Row, row

MIB = 1 << 20
MOST_ENTRIES, INDEX_BYTES = 1 << 20, 10 * MIB  # of so many entries the index is no larger
FEWER = {True: 1.5, False: 1.12}  # in-domain and unseen
LEAST_MINED_TOKENS = 4_000_000  # targets are of so much
PEER = "dedup alone, no dictionary"


def mined_reads(served: Texts, mined: Mined, folder: Path, tokens: int, every: int) -> list[Row]:
    """Count every domain's reads.

    Args:
        served: the texts.
        mined: the dictionary, and the texts held out.
        folder: for the tables, which take no room.
        tokens: of a domain.
        every: of so many chunks the store reads one.
    """
    entries, size = len(mined.plan.order_index), mined.plan.index.num_bytes
    assert entries > MOST_ENTRIES or size <= INDEX_BYTES, "the index is larger than 10 MiB"
    bare = without_data(folder / "bare", served.scheme, None).path
    known = without_data(folder / "known", served.scheme, mined.plan).path
    made = []
    for whole in mined.held_out:
        text = whole.first(tokens)
        without, found = (planned_reads(served.scheme, text, plan) for plan in (None, mined.plan))
        theirs, ours = (store_reads(path, served.scheme, text, every) for path in (bare, known))
        target = FEWER[whole.is_mined] if mined.tokens >= LEAST_MINED_TOKENS else None
        bound = (
            f"{theirs.device_bytes / ours.device_bytes:.2f} of bytes; {ours.record_reads:,} reads "
            f"of records, {ours.dictionary_compared:,} compared; plain count of "
            f"{len(text.ids):,} tokens {without.requests / found.requests:.2f}, of bytes "
            f"{without.num_bytes / found.num_bytes:.2f}; index {size / MIB:.1f} MiB; "
            f"{mined.tokens:,} tokens mined; holes, no device"
        )
        made.append(
            row(f"cold reads, {entries:,} mined n-grams, {whole.title}", PEER, [ours.device_reads],
                [theirs.device_reads], target=target, bound=bound, unit="reads")
            | {"plain": [found.requests, without.requests]}
        )  # fmt: skip
    return made


def store_reads(folder: Path, scheme: Scheme, text: Domain, every: int) -> StoreStats:
    """Ask a store for some chunks, no row kept; returns what it did."""
    with opened(folder) as store:
        serve(store, chunks(scheme, text, every=every))
        return store.stats()
