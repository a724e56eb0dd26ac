"""The dictionary that fills itself from what is served: reads after so many tokens, and writes.

It is empty when a domain begins, and what is counted is what follows in the same text: nothing is
served twice. The table is of V4.1's size and has no data, so its reads are counted and no more; the
dictionary's writes are real.
"""

from itertools import islice
from pathlib import Path

from engramctl.storage.tiers.stats import StoreStats
from tests.benchmarks.caching.mined_reads import PEER
from tests.benchmarks.caching.serving import Served, chunks, new_log, opened, serve
from tests.benchmarks.caching.tables import without_data
from tests.benchmarks.caching.texts import Domain, Texts
from tests.benchmarks.caching.traces import CHUNK_TOKENS
from tests.benchmarks.harness import Row, row

MIB = 1 << 20
FEWER = {True: 1.6, False: 1.45}  # in-domain and unseen
WRITTEN_BYTES = 1500  # a token, at most
LEAST_TOKENS = 1_300_000  # targets are of so much


def filled_reads(served: Texts, folder: Path, tokens: int, counted_chunks: int) -> list[Row]:
    """Fill a dictionary from every domain, and count what is read then.

    Args:
        served: the texts.
        folder: for the table, which takes no room, and what is filled.
        tokens: of a domain; half of them fill it.
        counted_chunks: how many of the chunks that follow are counted.
    """
    table = without_data(folder / "unfilled", served.scheme, None).path
    made = []
    for domain in served.domains:
        text = domain.first(tokens)
        asked = chunks(served.scheme, text)
        with new_log(folder, served.scheme) as fill:
            with opened(table, fill=fill) as store:
                first = serve(store, islice(asked, len(text.ids) // 2 // CHUNK_TOKENS))
                following = list(islice(asked, counted_chunks))
                ours = serve(store, following)
                stats = store.stats()
            rate = fill.write_bytes_per_token
        with opened(table) as store:
            theirs = serve(store, following)
        made += rows_of(domain, first.tokens, ours, theirs, stats, rate)
    return made


def rows_of(
    domain: Domain, before: int, ours: Served, theirs: Served, stats: StoreStats, rate: float
) -> list[Row]:
    """Return the row of reads and that of writes.

    Args:
        domain: what was served.
        before: tokens that filled the dictionary.
        ours: what was read then.
        theirs: the same chunks without it.
        stats: of the whole run.
        rate: bytes a token that could be written.
    """
    name = f"self-filled dictionary, {domain.title}"
    written = stats.log_bytes_written / (before + ours.tokens)
    is_long = before >= LEAST_TOKENS
    bound = (
        f"{theirs.num_bytes / ours.num_bytes:.2f} of bytes; {ours.reads_per_token:.1f} for "
        f"{theirs.reads_per_token:.1f} of 48 a token, {ours.record_reads:,} of them of "
        f"{ours.records:,} records; {ours.tokens:,} tokens after {before:,}; "
        f"{stats.log_entries:,} n-grams known, {stats.log_dropped:,} dropped; "
        f"{stats.index_bytes / MIB:.0f} MiB; holes, no device"
    )
    writes = f"whole run, {stats.log_bytes_written / MIB:,.0f} MiB; {rate:,.0f} a token allowed"
    return [
        row(name, PEER, [ours.reads], [theirs.reads], bound=bound, unit="reads",
            target=FEWER[domain.is_mined] if is_long else None),
        row(f"{name}, writes", f"{WRITTEN_BYTES:,} bytes a token", [written], [WRITTEN_BYTES],
            bound=writes, unit="bytes/token", target=1.0 if is_long else None),
    ]  # fmt: skip
