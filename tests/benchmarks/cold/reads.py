"""How many reads rows cost: by layout, and for all rows of a real document."""

import tempfile
from contextlib import ExitStack
from functools import partial
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import torch

from engramctl.corpus.sample import write_sample_corpus
from engramctl.hashing import make_scheme
from engramctl.storage import open_store
from engramctl.storage.io.pages import PAGE
from engramctl.storage.reading.table import TableFiles
from tests.benchmarks.cold.peers import drop_files
from tests.benchmarks.cold.prefill import BUDGET_BYTES, chunk
from tests.benchmarks.cold.table import A_PAGE, LAYERS, SPEC, Rows, paired
from tests.benchmarks.harness import Row, row

TOKENS = 2048
NEIGHBOURS = 8


def layouts(tables: dict[str, TableFiles], count: int, samples: int, device: str) -> list[Row]:
    """The same rows from each layout, past the page cache.

    Args:
        tables: by form, `planar` among them, of the same rows.
        count: rows of a chunk.
        samples: chunks.
        device: what the disk can do, for the rows' bounds.
    """
    random = np.random.default_rng(5)
    layer = tables["planar"].layers[0]
    num_rows = tables["planar"].num_rows(layer)
    outs = {form: torch.empty(count, SPEC.row_dim, dtype=torch.bfloat16) for form in tables}

    def before(form: str, _: Rows) -> None:
        outs[form].fill_(-3.0e38)

    def after(form: str, _: Rows) -> None:
        done.append(form)
        if len(done) % len(tables) == 0:
            assert all(torch.equal(out, outs["planar"]) for out in outs.values()), "other rows"

    done: list[str] = []
    results = []
    with ExitStack() as stack:
        stores = {}
        for form, table in tables.items():
            drop_files(table.path)
            stores[form] = stack.enter_context(
                open_store(table.path, "ssd", budget_bytes=BUDGET_BYTES)
            )
        arms = {form: partial(chunk, store, outs[form]) for form, store in stores.items()}
        seconds = paired(
            arms, samples, lambda: {layer: random.integers(0, num_rows, count)}, before, after
        )
        reads = {form: s.stats().device_reads / (samples * count) for form, s in stores.items()}
        joined = neighbours(stores["paged"].table, BUDGET_BYTES, layer)
    for form in tables:
        if form != "planar":
            bound = (
                f"{reads[form]:.3f} against {reads['planar']:.3f} reads a row; {joined}; {device}"
            )
            results.append(
                row(f"cold chunk of {count:,} rows, {form} layout", "planar layout", seconds[form],
                    seconds["planar"], target=1.25, bound=bound, work=count, unit="rows/s")
            )  # fmt: skip
    return results


def neighbours(table: object, budget_bytes: int, layer: int) -> str:
    """Ask for rows of pages that touch, and say how many reads these were."""
    assert isinstance(table, TableFiles)
    ids = np.arange(NEIGHBOURS) * A_PAGE
    with open_store(table.path, "ssd", budget_bytes=budget_bytes) as store:
        store.gather(layer, ids)
        stats = store.stats()
    assert stats.device_bytes == NEIGHBOURS * PAGE
    assert stats.device_reads == 1
    return f"{NEIGHBOURS} pages that touch: {stats.device_reads} read"


def document(table: TableFiles, device: str) -> list[Row]:
    """All rows of one real document's tokens in one ticket: reads, against one a row."""
    slots = table.num_rows(LAYERS[0]) // 24 - 2000
    scheme = make_scheme("deepseek-v41", slots=slots)
    with tempfile.TemporaryDirectory() as name:
        found = pq.read_table(write_sample_corpus(Path(name)).parquet, columns=["input_ids"])
    lengths = [len(one) for one in found["input_ids"]]
    tokens = np.array(found["input_ids"][int(np.argmax(lengths))].as_py()[:TOKENS], np.int64)
    rows = {layer: scheme.row_ids(tokens[None], layer) for layer in LAYERS}
    pages = sum(len(np.unique(ids // A_PAGE)) for ids in rows.values())
    with open_store(table.path, "ssd", budget_bytes=BUDGET_BYTES) as store:
        ticket = store.prefetch(rows)
        for layer in LAYERS:
            ticket.wait(layer)
        stats = store.stats()
    assert stats.device_bytes == pages * PAGE, "a page was read that no row needs, or twice"
    bound = (
        f"{stats.device_reads / stats.rows_asked:.3f} reads a lookup, {pages:,} pages, none twice, "
        f"none unneeded; {device}"
    )
    return [
        row(f"{len(tokens):,} tokens of one document, {stats.rows_asked:,} rows", "a read a row",
            [stats.device_reads], [stats.rows_asked], target=1.3, bound=bound, unit="reads")
    ]  # fmt: skip
