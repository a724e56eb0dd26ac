"""The row cache's policy against LRU at equal bytes, what each keeps beside the rows counted.

Counted, not timed: nothing is read; the queues are the row cache's own. Caches start empty, take
the first half of a text, and are counted on the second, so no text is seen twice. One head of every
order stands for all heads of both layers, with a sixteenth of the bytes; `part_of_bytes` gives that
share.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from engramctl.caches.s3fifo import S3Fifo
from engramctl.caches.stack import StackDistances
from engramctl.hashing import Scheme
from engramctl.storage.cache.row_cache import cache_capacity
from tests.benchmarks.caching.texts import Domain, Texts
from tests.benchmarks.caching.traces import Trace, all_columns, one_column, row_ids, trace, turns
from tests.benchmarks.cold.table import SPEC
from tests.benchmarks.harness import Row, row, skipped

MIB = 1 << 20
SIZES = tuple(MIB << power for power in range(6, 13))
GIB_SIZE = 1 << 30
STREAMS = (1, 64)
HIT = {True: 0.65, False: 0.45}  # of all lookups, in-domain and unseen
LRU_ROW_BYTES = 4 + 4 + 4 + 4 + 8  # key, next in the bucket, older, newer, two heads of buckets
COUNTED = "counted, no device read"
MOST_ROWS = 1 << 30  # of all layers of V4.1 together, rounded up: keys of four bytes
LEAST_TOKENS = 1_300_000  # seen before targets hold


def cache_rows(num_bytes: int) -> int:
    """Return the rows that our cache holds in so many bytes, its own metadata among them."""
    return cache_capacity(num_bytes, SPEC.record_bytes, MOST_ROWS)


def lru_rows(num_bytes: int) -> int:
    """Return the rows of an LRU cache: a chained hash table, a doubly linked list, 4-byte links."""
    return num_bytes // (SPEC.record_bytes + LRU_ROW_BYTES)


def part_of_bytes(scheme: Scheme) -> int:
    """Return how many times the bytes of one head of every order a cache of all heads has."""
    columns = (all_columns(scheme), one_column(scheme))
    whole, part = (sum(map(len, one.values())) for one in columns)
    return whole // part


def reached(found: Trace, target: float) -> float | None:
    """Return a target if the caches have seen as much text as it is meant for."""
    return target if found.tokens >= LEAST_TOKENS else None


def s3_misses(found: Trace, rows: int) -> int:
    """Count what S3-FIFO misses of the second half."""
    cache = S3Fifo(rows)
    cache.add(found.rows[: found.middle])
    before = cache.misses
    cache.add(found.rows[found.middle :])
    return cache.misses - before


def lru_misses(found: Trace, sizes: Sequence[int]) -> dict[int, int]:
    """Count what LRU misses of the second half, for every size in rows at once."""
    stack = StackDistances()

    def missed(rows: NDArray[np.int64]) -> dict[int, int]:
        stack.add(rows)
        return {size: round((1 - stack.hit_rate(size)) * stack.accesses) for size in sizes}

    before = missed(found.rows[: found.middle])
    after = missed(found.rows[found.middle :])
    return {size: after[size] - before[size] for size in sizes}


def policies(served: Texts, tokens: int, sizes: Sequence[int] = SIZES) -> list[Row]:
    """Every domain, one stream and 64 in turn: against LRU at every size, and what 1 GiB hits.

    Args:
        served: the texts.
        tokens: of a domain; half of them warm the caches.
        sizes: bytes of the caches.
    """
    made: list[Row] = []
    for domain in served.domains:
        text = domain.first(tokens)
        rows = row_ids(served.scheme, text, one_column(served.scheme))
        for streams in STREAMS:
            found = trace(rows if streams == 1 else rows[turns(text.offsets, streams)])
            made += of_trace(found, domain, streams, part_of_bytes(served.scheme), sizes)
    if all(domain.is_mined for domain in served.domains):
        made.append(skipped("row cache, unseen text", "LRU, equal bytes", "one text was named"))
    return made


def of_trace(
    found: Trace, domain: Domain, streams: int, share: int, sizes: Sequence[int]
) -> list[Row]:
    """The rows of one trace; `share` as `part_of_bytes`."""
    ours = {size: s3_misses(found, cache_rows(size // share)) for size in sizes}
    by_rows = lru_misses(found, [lru_rows(size // share) for size in sizes])
    theirs = {size: by_rows[lru_rows(size // share)] for size in sizes}
    where = f"{domain.title}, {streams} stream{'s' if streams > 1 else ''}"
    each = {size: theirs[size] / ours[size] for size in sizes}
    worst = min(each, key=lambda size: each[size])
    said = ", ".join(f"{size // MIB:,} MiB {ratio:.3f}" for size, ratio in each.items())
    against_lru = row(
        f"row cache misses, {where}, least of {len(sizes)} sizes", "LRU, equal bytes",
        [ours[worst]], [theirs[worst]], target=reached(found, 1.0), unit="misses",
        bound=f"{said}; after {found.tokens:,} tokens; {COUNTED}",
    )  # fmt: skip
    against_lru["misses"] = {size: [ours[size], theirs[size]] for size in sizes}
    size = min(sizes, key=lambda one: abs(one - GIB_SIZE))
    return [against_lru, *hits(found, where, size, ours[size], HIT[domain.is_mined])]


def hits(found: Trace, where: str, size: int, missed: int, least: float) -> list[Row]:
    """What a cache of one size serves: of all lookups, and of what dedup leaves."""
    overall, after = 1 - missed / found.lookups, 1 - missed / found.asked
    alone = 1 - found.asked / found.lookups
    name = f"row cache of {size // MIB:,} MiB, {where}"
    seen = f"after {found.tokens:,} tokens; {COUNTED}"
    made = [
        row(name, "every lookup a read", [missed], [found.lookups],
            target=reached(found, 1 / (1 - least)), unit="reads",
            bound=f"overall hit {overall:.3f}, to be {least}, dedup alone {alone:.3f}; {seen}"),
        row(name, "dedup alone", [missed], [found.asked], unit="reads",
            bound=f"hit {after:.3f} after dedup; {seen}"),
    ]  # fmt: skip
    return [one | {"hit": overall, "hit_after_dedup": after} for one in made]
