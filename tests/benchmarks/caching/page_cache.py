"""The row cache against the page cache of the same bytes, on the same rows in the same order.

The page cache is the kernel's own: a process in a memory cgroup reads a sparse file of the table's
geometry, 15 rows a page, and its holes fill pages as data would. What else the kernel and the
process take is given on top, and our cache's metadata is in its bytes; both favour the page cache.
One head of every order has a sixteenth of 1 GiB: the kernel takes microseconds a page.
"""

import subprocess
import sys
from pathlib import Path
from statistics import mean

import numpy as np

from engramctl.hashing import Scheme
from engramctl.storage.io.pages import PAGE
from tests.benchmarks.caching.groups import PageGroup, page_group
from tests.benchmarks.caching.policies import (
    COUNTED,
    GIB_SIZE,
    MIB,
    cache_rows,
    part_of_bytes,
    reached,
    s3_misses,
)
from tests.benchmarks.caching.texts import Texts
from tests.benchmarks.caching.traces import Trace, one_column, row_ids, trace
from tests.benchmarks.cold.table import A_PAGE
from tests.benchmarks.harness import Row, row, skipped

TARGET = 1.25
PEER = "page cache, equal bytes, memory cgroup"


def against_pages(served: Texts, folder: Path, tokens: int) -> list[Row]:
    """Count both on every domain, one stream.

    Args:
        served: the texts.
        folder: for the sparse file.
        tokens: of a domain; half of them warm the caches.
    """
    made = []
    columns = one_column(served.scheme)
    num_bytes = GIB_SIZE // part_of_bytes(served.scheme)
    for domain in served.domains:
        name = f"row cache misses, {GIB_SIZE // MIB:,} MiB, {domain.title}, 1 stream"
        with page_group() as group:
            if isinstance(group, str):
                made.append(skipped(name, PEER, group, TARGET))
                continue
            found = trace(row_ids(served.scheme, domain.first(tokens), columns))
            file = sparse_file(folder, served.scheme)
            absent, cached = page_misses(found, file, group, num_bytes)
        missed = s3_misses(found, cache_rows(num_bytes))
        pages = len(np.unique(found.rows[found.middle :] // A_PAGE))
        bound = (
            f"a 16th of the heads; the page cache had {cached / MIB:,.0f} MiB; {found.asked:,} "
            f"rows after dedup on {pages:,} pages of {PAGE:,} bytes, one a miss; after "
            f"{found.tokens:,} tokens; {COUNTED}"
        )
        target = reached(found, TARGET)
        made.append(row(name, PEER, [missed], [absent], target=target, bound=bound, unit="misses"))
    return made


def sparse_file(folder: Path, scheme: Scheme) -> Path:
    """Make a file as long as the table's pages, with no data."""
    file = folder / "pages"
    pages = sum(-(-scheme.num_rows(layer) // A_PAGE) for layer in scheme.layers)
    with file.open("wb") as handle:
        handle.truncate(pages * PAGE)
    return file


def page_misses(found: Trace, file: Path, group: PageGroup, num_bytes: int) -> tuple[int, float]:
    """Read a trace's pages in the group; returns what was absent in its second half, and the mean
    bytes of the page cache there.
    """
    words = [sys.executable, "-m", "tests.benchmarks.caching.page_child", str(file)]
    pages = (found.rows // A_PAGE).astype(np.int32)
    begins = [0, *found.ends[:-1].tolist()]
    absent, cached = [], []
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        assert child.stdin is not None
        assert child.stdout is not None
        assert child.stdout.readline() == b"ready\n", "the reading process did not start"
        group.join(child.pid)
        for begin, end in zip(begins, found.ends.tolist(), strict=True):
            cached.append(group.hold(num_bytes))
            child.stdin.write(np.int64(end - begin).tobytes() + pages[begin:end].tobytes())
            child.stdin.flush()
            absent.append(int(child.stdout.readline()))
        child.stdin.close()
    measured = len(absent) // 2
    return sum(absent[measured:]), mean(cached[measured:])
