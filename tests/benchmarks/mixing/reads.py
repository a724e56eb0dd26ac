"""What a mixture reads of its whole tier, against plain S3-FIFO on the same row ids.

The table has V4.1's own size and row ids, and no data: reads are counted, not timed. A text is
asked for chunk by chunk, every head of every layer, as a prompt is; the simulated cache sees every
row id one after the other, and has as many slots. Distinct rows that were read are held against
its misses; neighbours that one read brought count as two rows, so joining reads does not flatter.
"""

import shutil
from pathlib import Path

import numpy as np

from engramctl.caches.s3fifo import S3Fifo
from engramctl.hashing import Scheme
from engramctl.storage import open_store
from engramctl.storage.tiers.ssd import SsdStore
from tests.benchmarks.caching.serving import Chunk, chunks
from tests.benchmarks.caching.tables import without_data
from tests.benchmarks.caching.texts import Domain, Texts
from tests.benchmarks.harness import Row, row

MOST = 1.02
PEER = "plain S3-FIFO, one row id after the other"


def reads(served: Texts, folder: Path, tier: str, tokens: int) -> list[Row]:
    """Serve the first tokens of every domain.

    Args:
        served: the texts.
        folder: for the table, whose files take no room.
        tier: the mixture, `host:SIZE,ssd`.
        tokens: of a domain; rows of its second half are counted.
    """
    table = without_data(folder / "sparse", served.scheme, None)
    made = [of_domain(table.path, tier, one, served.scheme, tokens) for one in served.domains]
    shutil.rmtree(table.path)
    return made


def of_domain(path: Path, tier: str, text: Domain, scheme: Scheme, tokens: int) -> Row:
    """Serve one text to a mixture that is empty when it begins."""
    asked = list(chunks(scheme, text.first(tokens)))
    with open_store(path, tier) as store:
        assert isinstance(store, SsdStore)
        kept = store.read.cache  # type: ignore[union-attr]
        assert kept is not None
        served = counted(store, asked)
        plain = misses(asked, scheme, kept.capacity)
        stats = store.stats()
    name = f"rows read of ssd by {store.tier}, {text.title}"
    return row(
        name, PEER, [served], [plain], target=1 / MOST, unit="rows",
        bound=f"a cache of {kept.capacity:,} rows; {stats.device_reads:,} reads of "
        f"{stats.device_bytes:,} bytes in all; the second half of {len(asked):,} chunks",
    )  # fmt: skip


def counted(store: SsdStore, asked: list[Chunk]) -> int:
    """Ask for chunks, a ticket each; return the distinct rows read for the second half."""
    before = 0
    for number, (rows, _) in enumerate(asked):
        if number == len(asked) // 2:
            before = store.stats().rows_by_tier["ssd"]
        ticket = store.prefetch(rows)
        for layer in rows:
            ticket.wait(layer)
    return store.stats().rows_by_tier["ssd"] - before


def misses(asked: list[Chunk], scheme: Scheme, capacity: int) -> int:
    """Return what plain S3-FIFO misses of the same row ids in the second half."""
    cache, before, base = S3Fifo(capacity), 0, {}
    total = 0
    for layer in scheme.layers:
        base[layer] = total
        total += scheme.num_rows(layer)
    for number, (rows, _) in enumerate(asked):
        if number == len(asked) // 2:
            before = cache.misses
        for layer, ids in rows.items():
            cache.add(np.ascontiguousarray(ids.reshape(-1)) + base[layer])
    return cache.misses - before
