"""Tiers mixed under a budget: what a lookup that is split over them costs.

ENGRAMCTL_BENCH_CORPUS names the texts (caching/texts.py), and ENGRAMCTL_STORAGE_DIR the folder for
files (default: the system's for temporary files).
"""

import os
import tempfile
from dataclasses import dataclass
from pathlib import Path

from tests.benchmarks.caching.texts import texts
from tests.benchmarks.harness import Row
from tests.benchmarks.mixing.hit_split import hit_split


@dataclass(frozen=True)
class Work:
    """How much is done.

    Attributes:
        library_bytes: of the standard library's source, where no texts are named.
        table_rows: of the table that is served.
        cache_bytes: of the row cache over it.
        tokens: of the text whose rows are asked for.
        rounds: pairs of each.
    """

    library_bytes: int = 16_000_000
    table_rows: int = 4_000_000
    cache_bytes: int = 1 << 30
    tokens: int = 100_000
    rounds: int = 41


QUICK = Work(
    library_bytes=2_500_000, table_rows=500_000, cache_bytes=128 << 20, tokens=10_000, rounds=11
)


def run(quick: bool) -> list[Row]:
    """What rows cost that the cache has."""
    work = QUICK if quick else Work()
    with tempfile.TemporaryDirectory(dir=os.environ.get("ENGRAMCTL_STORAGE_DIR")) as name:
        folder = Path(name)
        served = texts(folder, work.library_bytes)
        found = hit_split(
            served, folder, work.table_rows, work.cache_bytes, work.tokens, work.rounds
        )
    return [one | {"map": served.map_says} for one in found]
