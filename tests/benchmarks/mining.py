"""Counting n-grams exactly: `engramctl mine` against DuckDB.

Both read the same Parquet of token-id lists and write a Parquet of the n-grams that occur at least
twice; rows kept and the sum of their counts must agree. DuckDB gets its best form (spec/mining.md
sections 2 and 7): zipped unnests, one packed key, no insertion order, two threads. Ours includes
what a result needs: digests, the manifest and the syncs. The corpus is the standard library's own
source; for the long run it is repeated, each time under another permutation of the ids.
"""

import importlib.util
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from engramctl.corpus import Corpus
from engramctl.mining.local import MineOptions, mine
from engramctl.sample import VOCAB_SIZE, write_sample_corpus
from tests.benchmarks.harness import Row, interleave, row, skipped

ORDERS = (2, 3, 4)
MIN_COUNT = 2
THREADS = 2
COPIES = 5  # of the sample's two million tokens, in the long run
TARGETS = {(2,): None, (3,): 2.5, (4,): 4.0, ORDERS: 4.0}  # spec/mining.md section 8


def run(quick: bool) -> list[Row]:
    """Measure; one row a comparison. `ratio` is our speed over the peer's, above 1 faster."""
    if importlib.util.find_spec("duckdb") is None:
        return [
            skipped(_name(orders), "duckdb", "duckdb is not installed", TARGETS[orders])
            for orders in TARGETS
        ]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        source, tokens = _corpus(folder, 1 if quick else COPIES)
        corpus = Corpus.open([source])
        mine(corpus, folder / "warm", MineOptions(ORDERS))  # compiles
        bound = f"reading the Parquet alone: {_reading_speed(corpus, tokens):.0f} M tokens/s"
        rows = []
        for orders in TARGETS:
            arms = {
                "ours": _ours(corpus, folder, orders),
                "theirs": _theirs(source, folder, orders),
            }
            for arm in arms.values():
                arm()
            _check(folder, orders)
            seconds = interleave(arms, 3 if quick else 5)
            rows.append(
                row(
                    _name(orders),
                    "duckdb" if len(orders) == 1 else "duckdb, one query an order",
                    seconds["ours"],
                    seconds["theirs"],
                    target=TARGETS[orders],
                    bound=bound,
                    work=tokens,
                    unit="tokens/s",
                )
            )
        return rows


def _name(orders: tuple[int, ...]) -> str:
    names = ", ".join(str(order) for order in orders)
    return f"mine, order {names}" if len(orders) == 1 else f"mine, orders {names} in one run"


def _corpus(folder: Path, copies: int) -> tuple[Path, int]:
    sample = write_sample_corpus(folder)
    column = pq.read_table(sample.parquet, columns=["input_ids"])["input_ids"].combine_chunks()
    path = folder / "ids.parquet"
    random = np.random.default_rng(0)
    with pq.ParquetWriter(
        path, pa.schema({"input_ids": column.type}), compression="zstd"
    ) as writer:
        for number in range(copies):
            renamed = np.arange(VOCAB_SIZE, dtype=np.int32)
            if number:
                random.shuffle(renamed)
            ids = pa.array(renamed[column.flatten().to_numpy()])
            lists = pa.ListArray.from_arrays(column.offsets, ids)
            writer.write_table(pa.table({"input_ids": lists}), row_group_size=128)
    return path, copies * sample.tokens


def _reading_speed(corpus: Corpus, tokens: int) -> float:
    start = time.perf_counter()
    assert sum(len(batch.ids) for batch in corpus.batches()) == tokens
    return tokens / (time.perf_counter() - start) / 1e6


def _ours(corpus: Corpus, folder: Path, orders: tuple[int, ...]) -> Callable[[], object]:
    options = MineOptions(orders, min_count=MIN_COUNT, threads=THREADS)
    return partial(mine, corpus, folder / "ours", options, force=True)


def _theirs(source: Path, folder: Path, orders: tuple[int, ...]) -> Callable[[], object]:
    import duckdb

    database = duckdb.connect(config={"threads": THREADS, "preserve_insertion_order": False})
    queries = [_query(source, folder / f"theirs{order}.parquet", order) for order in orders]

    def count() -> None:
        for query in queries:
            database.execute(query)

    return count


def _query(source: Path, target: Path, order: int) -> str:
    bits = (VOCAB_SIZE - 1).bit_length()
    places = range(order)
    windows = ", ".join(
        f"unnest(input_ids[{place + 1} : len(input_ids) - {order - 1 - place}]) AS t{place}"
        for place in places
    )
    shifts = [bits * (order - 1 - place) for place in places]
    key = " | ".join(f"(t{place}::BIGINT << {shifts[place]})" for place in places)
    ids = ", ".join(f"((key >> {shift}) & {VOCAB_SIZE - 1})::UINTEGER" for shift in shifts)
    return (
        f"COPY (SELECT [{ids}] AS token_ids, times AS count FROM (SELECT key, count(*) AS times "
        f"FROM (SELECT {key} AS key FROM (SELECT {windows} FROM '{source}' "
        f"WHERE len(input_ids) >= {order})) GROUP BY key HAVING times >= {MIN_COUNT})) "
        f"TO '{target}' (FORMAT parquet)"
    )


def _check(folder: Path, orders: tuple[int, ...]) -> None:
    for order in orders:
        found = []
        for file in (folder / "ours" / f"order{order}.parquet", folder / f"theirs{order}.parquet"):
            counts = pq.read_table(file, columns=["count"])["count"].to_numpy()
            found.append((len(counts), int(counts.sum())))
        if found[0] != found[1]:
            raise AssertionError(f"order {order}: (rows, sum of counts) differ: {found}")


if __name__ == "__main__":
    import json
    import sys

    print(json.dumps(run("--quick" in sys.argv), indent=1))
