"""The dictionary that fills itself from what is served: reads after so many tokens, and writes.

It is empty when a domain begins. The first half of the text fills it; it goes on filling through
the whole second half, and reads are counted there, of chunks spread over it, against the same
chunks without it: without a cache these do not depend on what was served before. No arm is served
anything twice. The table is of V4.1's size and has no data, so its reads are counted and no more;
the dictionary's writes are real.
"""

from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from engramctl.storage.requests.stats import StoreStats
from tests.benchmarks.caching.mined_reads import PEER
from tests.benchmarks.caching.serving import Served, chunks, new_log, opened, serve, total
from tests.benchmarks.caching.tables import without_data
from tests.benchmarks.caching.texts import Domain, Texts
from tests.benchmarks.caching.traces import CHUNK_TOKENS
from tests.benchmarks.harness import Row, row

MIB = 1 << 20
FEWER = {True: 1.6, False: 1.45}  # in-domain and unseen
WRITTEN_BYTES = 1500  # a token, at most
LEAST_TOKENS = 1_300_000  # targets are of so much


def filled_reads(served: Texts, folder: Path, tokens: int, every: int) -> list[Row]:
    """Fill a dictionary from every domain, and count what is read in the second half.

    Args:
        served: the texts.
        folder: for the table, which takes no room, and what is filled.
        tokens: of a domain; half of them fill the dictionary before reads are counted.
        every: of so many of the chunks that follow the first is counted; all fill it on.
    """
    table = without_data(folder / "unfilled", served.scheme, None).path
    made = []
    for domain in served.domains:
        text = domain.first(tokens)
        asked = chunks(served.scheme, text)
        before = len(text.ids) // 2 // CHUNK_TOKENS
        after = len(text.ids) // CHUNK_TOKENS - before
        counted: list[Served] = []
        plain: list[Served] = []
        with new_log(folder, served.scheme) as fill, opened(table) as bare:
            with opened(table, fill=fill) as store:
                serve(store, islice(asked, before))
                for number, chunk in enumerate(asked):
                    found = serve(store, [chunk])
                    if number % every == 0:
                        counted.append(found)
                        plain.append(serve(bare, [chunk]))
                stats = store.stats()
            rate = fill.write_bytes_per_token
        half = Half(before * CHUNK_TOKENS, after * CHUNK_TOKENS, total(counted), total(plain))
        made += rows_of(domain, half, stats, rate)
    return made


@dataclass(frozen=True)
class Half:
    """What the second half read.

    Attributes:
        before: tokens that had filled the dictionary.
        after: tokens of the second half.
        ours: of the chunks that are counted.
        theirs: the same chunks without a dictionary.
    """

    before: int
    after: int
    ours: Served
    theirs: Served


def rows_of(domain: Domain, half: Half, stats: StoreStats, rate: float) -> list[Row]:
    """Return the row of reads and that of writes.

    Args:
        domain: what was served.
        half: what its second half read.
        stats: of the whole run.
        rate: bytes a token that could be written.
    """
    name = f"self-filled dictionary, {domain.title}"
    ours, theirs = half.ours, half.theirs
    written = stats.log_bytes_written / (half.before + half.after)
    is_long = half.before >= LEAST_TOKENS
    bound = (
        f"{theirs.num_bytes / ours.num_bytes:.2f} of bytes; {ours.reads_per_token:.1f} for "
        f"{theirs.reads_per_token:.1f} of 48 a token, {ours.record_reads:,} of them of "
        f"{ours.records:,} records; {ours.tokens:,} tokens of the {half.after:,} after "
        f"{half.before:,}; {stats.log_entries:,} n-grams known at the end, "
        f"{stats.log_dropped:,} dropped; {stats.index_bytes / MIB:.0f} MiB; holes, no device"
    )
    writes = f"whole run, {stats.log_bytes_written / MIB:,.0f} MiB; {rate:,.0f} a token allowed"
    return [
        row(name, PEER, [ours.reads], [theirs.reads], bound=bound, unit="reads",
            target=FEWER[domain.is_mined] if is_long else None),
        row(f"{name}, writes", f"{WRITTEN_BYTES:,} bytes a token", [written], [WRITTEN_BYTES],
            bound=writes, unit="bytes/token", target=1.0 if is_long else None),
    ]  # fmt: skip
