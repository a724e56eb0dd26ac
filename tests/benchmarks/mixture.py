"""Tiers mixed under a budget: what a lookup that is split over them reads, and what it costs.

ENGRAMCTL_BENCH_CORPUS names the texts (caching/texts.py), and ENGRAMCTL_STORAGE_DIR the folder for
files (default: the system's for temporary files).
"""

import os
import tempfile
from dataclasses import dataclass
from pathlib import Path

from engramctl.numbers import exact_size
from tests.benchmarks.caching.texts import texts
from tests.benchmarks.harness import Row
from tests.benchmarks.mixing.hit_split import hit_split
from tests.benchmarks.mixing.reads import reads


@dataclass(frozen=True)
class Work:
    """How much is done.

    Attributes:
        library_bytes: of the standard library's source, where no texts are named.
        table_rows: of the table that is served.
        cache_bytes: of the row cache over it.
        tokens: of the text whose rows are asked for, where all are in the cache.
        rounds: pairs of each.
        read_tokens: of each text whose reads are counted.
    """

    library_bytes: int = 16_000_000
    table_rows: int = 4_000_000
    cache_bytes: int = 1 << 30
    tokens: int = 100_000
    rounds: int = 41
    read_tokens: int = 400_000


QUICK = Work(
    library_bytes=2_500_000, table_rows=500_000, cache_bytes=128 << 20, tokens=10_000, rounds=5,
    read_tokens=30_000,
)  # fmt: skip


def run(quick: bool) -> list[Row]:
    """What is read of ssd, and what rows cost that the cache has."""
    work = QUICK if quick else Work()
    with tempfile.TemporaryDirectory(dir=os.environ.get("ENGRAMCTL_STORAGE_DIR")) as name:
        folder = Path(name)
        served = texts(folder, work.library_bytes)
        tier = f"host:{exact_size(work.cache_bytes)},ssd"
        found = reads(served, folder, tier, work.read_tokens)
        found += hit_split(
            served, folder, work.table_rows, work.cache_bytes, work.tokens, work.rounds
        )
    return [one | {"map": served.map_says} for one in found]
