"""The same chunks off a disk, with the mined dictionary and without: does time follow the reads?

The table is small and written in full, its rows scattered, so reads are real and none is easier for
lying beside another. Neither arm sees a chunk twice, nor one of the other's: what a disk or its
host has kept of an earlier read helps nobody. Runs are short, many, in turn; both ratios are of the
same runs, and the disk's own rate stands beside them.
"""

import time
from collections.abc import Sequence
from itertools import islice
from pathlib import Path
from statistics import median, quantiles

from engramctl.hashing import Scheme
from engramctl.storage import Store
from tests.benchmarks.caching.mined_reads import PEER
from tests.benchmarks.caching.mining import Mined, chosen
from tests.benchmarks.caching.serving import Chunk, chunks, opened
from tests.benchmarks.caching.tables import scattered, with_data
from tests.benchmarks.caching.texts import Domain, Texts
from tests.benchmarks.cold.peers import drop_files
from tests.benchmarks.cold.table import device_of, with_device_after
from tests.benchmarks.harness import Row, row

RUN_TOKENS = 64
KEPT = 0.85  # of the reads' ratio, at least


def mined_times(
    served: Texts, mined: Mined, folder: Path, entries: int, num_rows: int, pairs: int
) -> list[Row]:
    """Time every domain's chunks.

    Args:
        served: the texts.
        mined: the counts, and the texts held out.
        folder: for the table.
        entries: n-grams of its dictionary.
        num_rows: of each layer.
        pairs: runs of each arm.
    """
    plan = chosen(served.scheme, mined.counts, entries)
    table = with_data(folder / "written", served.scheme, num_rows, plan)
    drop_files(table.path)
    file = table.regions(table.layers[0])[0].path
    device = device_of(file, None)
    made = []
    for text in mined.held_out:
        found = runs(served.scheme, text, num_rows, 2 * pairs)
        with opened(table.path) as store:
            seconds, reads = timed(store, found)
        fewer = sum(reads["without"]) / sum(reads["with"])
        each = [b / a for a, b in zip(seconds["with"], seconds["without"], strict=True)]
        low, _, high = quantiles(each, n=4)
        bound = (
            f"reads {fewer:.2f}, so {median(each) / fewer:.2f} of it, to be {KEPT}; quartiles "
            f"{low:.2f} to {high:.2f} of {len(each)} pairs of {RUN_TOKENS} tokens; {device}"
        )
        name = f"cold time, {len(plan.order_index):,} mined n-grams, {text.title}"
        one = row(name, PEER, seconds["with"], seconds["without"], target=KEPT * fewer, bound=bound)
        made.append(one | {"ratio": median(each), "reads_ratio": fewer})
    return with_device_after(made, device, file)


def runs(scheme: Scheme, text: Domain, num_rows: int, most: int) -> list[Chunk]:
    """Return short chunks spread over a text, their rows at their places in a small table."""
    every = max(1, len(text.ids) // RUN_TOKENS // most)
    return [
        ({layer: scattered(ids, layer, num_rows) for layer, ids in rows.items()}, keys)
        for rows, keys in islice(chunks(scheme, text, RUN_TOKENS, every), most)
    ]


def timed(
    store: Store, found: Sequence[Chunk]
) -> tuple[dict[str, list[float]], dict[str, list[int]]]:
    """Read pairs of chunks, one with keys and one without, in turn; returns seconds and reads."""
    names = ("with", "without")
    seconds: dict[str, list[float]] = {name: [] for name in names}
    reads: dict[str, list[int]] = {name: [] for name in names}
    for number in range(len(found) // 2):
        turn = names if number % 2 == 0 else names[::-1]
        for name, (rows, keys) in zip(turn, found[2 * number : 2 * number + 2], strict=True):
            before = store.stats().device_reads
            start = time.perf_counter()
            ticket = store.prefetch(rows, keys=keys if name == "with" else None)
            for layer in rows:
                ticket.wait(layer)
            seconds[name].append(time.perf_counter() - start)
            reads[name].append(store.stats().device_reads - before)
    return seconds, reads
