"""A row cache, the mined dictionary and the one that fills itself: what they save side by side.

Every arm serves the same text, held out from what was mined, and begins empty; counted are chunks
that follow its first half. The tables are of V4.1's size and have no data.
"""

import contextlib
from itertools import islice
from pathlib import Path

from tests.benchmarks.caching.mined_reads import PEER
from tests.benchmarks.caching.mining import Mined
from tests.benchmarks.caching.serving import chunks, new_log, opened, serve
from tests.benchmarks.caching.tables import without_data
from tests.benchmarks.caching.texts import Texts
from tests.benchmarks.caching.traces import CHUNK_TOKENS
from tests.benchmarks.harness import Row, row

CACHE_BYTES = 256 << 20


def together(
    served: Texts, mined: Mined, folder: Path, tokens: int, counted_chunks: int
) -> list[Row]:
    """Count what is read with the cache, and with one dictionary or both beside it.

    Args:
        served: the texts.
        mined: the dictionary, and the texts held out.
        folder: for the tables, which take no room, and what is filled.
        tokens: of a domain; half of them come before those that are counted.
        counted_chunks: how many of the chunks that follow are counted.
    """
    bare = without_data(folder / "plain", served.scheme, None).path
    known = without_data(folder / "known-too", served.scheme, mined.plan).path
    arms = {
        "row cache": (bare, False),
        "row cache, mined": (known, False),
        "row cache, self-filled": (bare, True),
        "row cache, mined, self-filled": (known, True),
    }
    made = []
    for whole in mined.held_out:
        text = whole.first(tokens)
        before = len(text.ids) // 2 // CHUNK_TOKENS
        asked = list(islice(chunks(served.scheme, text), before + counted_chunks))
        with opened(bare) as store:
            theirs = serve(store, asked[before:])
        for name, (table, is_filled) in arms.items():
            log = new_log(folder, served.scheme) if is_filled else contextlib.nullcontext()
            with log as fill, opened(table, CACHE_BYTES, fill) as store:
                serve(store, asked[:before])
                ours = serve(store, asked[before:])
            bound = (
                f"{theirs.num_bytes / ours.num_bytes:.2f} of bytes; reads of 48 a token; "
                f"{ours.tokens:,} tokens after {before * CHUNK_TOKENS:,}; cache "
                f"{CACHE_BYTES >> 20} MiB, {len(mined.plan.order_index):,} mined; holes, no device"
            )
            made.append(
                row(f"{name}, {text.title}", PEER, [ours.reads_per_token],
                    [theirs.reads_per_token], bound=bound, unit="reads/token")
            )  # fmt: skip
    return made
