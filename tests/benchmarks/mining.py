"""Counting n-grams exactly: `engramctl mine` against DuckDB and polars, each in its own process.

All read the same Parquet of token-id lists and write a Parquet of the n-grams that occur at least
twice; rows kept and the sum of their counts must agree. The peers get their best form
(spec/mining.md sections 2 and 7): zipped unnests and one packed key, no insertion order, two
threads; polars its streaming engine. Timed is the query alone: no start-up, no compilation. Ours
includes what a result needs: digests, the manifest and the syncs. Peak memory is the process's.

The corpus is the standard library's own source, or the files that ENGRAMCTL_MINING_CORPUS names
(column input_ids, ids below 2^17). It is repeated to about 100 M tokens, each time under another
permutation of the ids, so distinct n-grams grow with it: the worst case. The row "growth" is our
time on four times a quarter of it against that quarter; the ratio is its inverse of cost.
"""

import importlib.util
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from typing import Any
from unittest.mock import patch

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from engramctl.corpus import Corpus
from engramctl.sample import write_sample_corpus
from tests.benchmarks.harness import Row, interleave, row, skipped

ENVIRONMENT = "ENGRAMCTL_MINING_CORPUS"
ID_BITS = 17
MIN_COUNT = 2
THREADS = 2
LONG_TOKENS, QUICK_TOKENS = 100_000_000, 4_000_000
ORDERS = (2, 3, 4)
TARGETS = {(2,): None, (3,): 2.5, (4,): 4.0, ORDERS: 4.0}  # spec/mining.md section 8
MOST_GROWTH = 4.4
Facts = dict[str, Any]
Times = tuple[float, float]  # seconds of the clock and of the processors


def run(quick: bool) -> list[Row]:
    """Measure; one row a comparison. `ratio` is our speed over the better peer's."""
    peers = [name for name in ("duckdb", "polars") if importlib.util.find_spec(name)]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        source, tokens = _corpus(folder, QUICK_TOKENS if quick else LONG_TOKENS)
        speed = _reading_speed(source, tokens)
        bound = f"{tokens / 1e6:.0f} M tokens; reading alone {speed:.0f} M tokens/s, one thread"
        rows = []
        for orders, target in TARGETS.items():
            if not peers:
                reason = "neither duckdb nor polars is installed"
                rows.append(skipped(_name(orders), "duckdb, polars", reason, target))
                continue
            rows.append(_compare(folder, source, orders, peers, 1 if quick else 3, bound, tokens))
        return [*rows, _growth(folder, source, tokens)]


def _compare(
    folder: Path,
    source: Path,
    orders: tuple[int, ...],
    peers: list[str],
    rounds: int,
    bound: str,
    tokens: int,
) -> Row:
    taken: dict[str, list[Facts]] = {name: [] for name in ("ours", *peers)}

    def arm(name: str) -> Any:
        return lambda: taken[name].append(_child(name, folder, source, orders))

    interleave({name: arm(name) for name in taken}, rounds)
    kept = {name: runs[0]["kept"] for name, runs in taken.items()}
    if any(found != kept["ours"] for found in kept.values()):
        raise AssertionError(f"orders {orders}: (rows, sum of counts) differ: {kept}")
    seconds = {name: [facts["seconds"] for facts in runs] for name, runs in taken.items()}
    best = min(peers, key=lambda name: median(seconds[name]))
    peaks = ", ".join(
        f"{name} {max(facts['peak_gib'] for facts in runs):.2f}" for name, runs in taken.items()
    )
    cpu = ", ".join(
        f"{name} {median(facts['cpu_s'] for facts in runs):.1f}" for name, runs in taken.items()
    )
    spilled = max(facts["disk_mib"] for facts in taken["ours"])
    return row(
        _name(orders),
        best if len(orders) == 1 else f"{best}, one query an order",
        seconds["ours"],
        seconds[best],
        target=TARGETS[orders],
        bound=f"{bound}; cpu s: {cpu}; peak GiB: {peaks}; temporary disk {spilled:.0f} MiB",
        work=tokens,
        unit="tokens/s",
    )


def _growth(folder: Path, source: Path, tokens: int) -> Row:
    quarter = folder / "quarter.parquet"
    groups = pq.ParquetFile(source)
    with pq.ParquetWriter(quarter, groups.schema_arrow, compression="zstd") as writer:
        for number in range(groups.num_row_groups // 4):
            writer.write_table(groups.read_row_group(number))
    small, large = (
        [_child("ours", folder, path, (3,))["seconds"] for _ in range(3)]
        for path in (quarter, source)
    )
    share = pq.read_metadata(quarter).num_rows / groups.metadata.num_rows
    growth = median(large) / median(small)
    return row(
        f"cost of {tokens / 1e6:.0f} M tokens, order 3",
        f"ours on {share:.0%} of the documents",
        large,
        small,
        target=1 / MOST_GROWTH,
        bound=f"cost grows by {growth:.2f}",
    )


def _name(orders: tuple[int, ...]) -> str:
    names = ", ".join(str(order) for order in orders)
    return f"mine, order {names}" if len(orders) == 1 else f"mine, orders {names} in one run"


def _corpus(folder: Path, least: int) -> tuple[Path, int]:
    named = os.environ.get(ENVIRONMENT)
    if named:
        files = [Path(file.path) for file in Corpus.open([named]).files]
    else:
        files = [write_sample_corpus(folder).parquet]
    columns = [pq.read_table(file, columns=["input_ids"])["input_ids"] for file in files]
    path = folder / "ids.parquet"
    random = np.random.default_rng(0)
    renamed = np.arange(1 << ID_BITS, dtype=np.int32)
    schema = pa.schema({"input_ids": pa.list_(pa.int32())})
    tokens = 0
    with pq.ParquetWriter(path, schema, compression="zstd") as writer:
        while tokens < least:
            for chunk in (chunk for column in columns for chunk in column.chunks):
                ids = pa.array(renamed[chunk.flatten().to_numpy()])
                offsets = np.append(0, np.cumsum(chunk.value_lengths().to_numpy())).astype(np.int32)
                lists = pa.ListArray.from_arrays(pa.array(offsets), ids)
                writer.write_table(pa.table({"input_ids": lists}), row_group_size=128)
                tokens += len(ids)
            random.shuffle(renamed)
    return path, tokens


def _reading_speed(source: Path, tokens: int) -> float:
    start = time.perf_counter()
    assert sum(len(batch.ids) for batch in Corpus.open([source]).batches()) == tokens
    return tokens / (time.perf_counter() - start) / 1e6


def _child(name: str, folder: Path, source: Path, orders: tuple[int, ...]) -> Facts:
    words = [name, str(folder), str(source), ",".join(map(str, orders))]
    command = [sys.executable, "-m", "tests.benchmarks.mining", *words]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    facts: Facts = json.loads(done.stdout)
    return facts


def child(name: str, folder: Path, source: Path, orders: tuple[int, ...]) -> Facts:
    """Run one engine once in this process; returns times, peak, disk and what was kept."""
    import resource

    targets = {order: folder / f"{name}{order}.parquet" for order in orders}
    facts: Facts = {"disk_mib": 0.0}
    engines = {"ours": _ours, "duckdb": _duckdb, "polars": _polars}
    facts["seconds"], facts["cpu_s"] = engines[name](source, targets, facts)
    facts["peak_gib"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    facts["kept"] = []
    for target in targets.values():
        counts = pq.read_table(target, columns=["count"])["count"].to_numpy()
        facts["kept"].append((len(counts), int(counts.sum())))
    return facts


def _ours(source: Path, targets: dict[int, Path], facts: Facts) -> Times:
    from engramctl.mining.local import mine
    from engramctl.mining.options import MineOptions
    from engramctl.mining.spill import SpillStore

    remove = SpillStore.remove

    def watched(store: SpillStore) -> None:
        facts["disk_mib"] = max(facts["disk_mib"], store.spilled_bytes / 2**20)
        remove(store)

    options = MineOptions(tuple(targets), min_count=MIN_COUNT, threads=THREADS)
    folder = source.parent / "ours"
    tiny = source.parent / "tiny.parquet"
    pq.write_table(pa.table({"input_ids": [[1, 2, 3, 1 << ID_BITS - 1]]}), tiny)
    mine(Corpus.open([tiny]), folder, options, force=True)  # compiles
    with patch.object(SpillStore, "remove", watched):
        start = _now()
        mine(Corpus.open([source]), folder, options, force=True)
        times = _since(start)
    for order, target in targets.items():
        os.replace(folder / f"order{order}.parquet", target)
    return times


def _duckdb(source: Path, targets: dict[int, Path], facts: Facts) -> Times:
    import duckdb

    with duckdb.connect(config={"threads": THREADS, "preserve_insertion_order": False}) as database:
        start = _now()
        for order, target in targets.items():
            database.execute(_query(source, target, order))
        return _since(start)


def _query(source: Path, target: Path, order: int) -> str:
    shifts = list(_shifts(order))
    windows = ", ".join(
        f"unnest(input_ids[{place + 1} : len(input_ids) - {order - 1 - place}]) AS t{place}"
        for place in range(order)
    )
    kind = "BIGINT" if order * ID_BITS < 64 else "HUGEINT"
    key = " | ".join(f"(t{place}::{kind} << {shift})" for place, shift in enumerate(shifts))
    ids = ", ".join(f"((key >> {shift}) & {(1 << ID_BITS) - 1})::UINTEGER" for shift in shifts)
    return (
        f"COPY (SELECT [{ids}] AS token_ids, times AS count FROM (SELECT key, count(*) AS times "
        f"FROM (SELECT {key} AS key FROM (SELECT {windows} FROM '{source}' "
        f"WHERE len(input_ids) >= {order})) GROUP BY key HAVING times >= {MIN_COUNT})) "
        f"TO '{target}' (FORMAT parquet)"
    )


def _polars(source: Path, targets: dict[int, Path], facts: Facts) -> Times:
    os.environ["POLARS_MAX_THREADS"] = str(THREADS)  # read when polars is imported
    import polars as pl

    start = _now()
    for order, target in targets.items():
        ids = pl.col("input_ids")
        windows = [
            ids.list.slice(place, ids.list.len() - (order - 1)).alias(f"t{place}")
            for place in range(order)
        ]
        long = pl.scan_parquet(source).filter(ids.list.len() >= order).select(windows)
        flat = long.explode([f"t{place}" for place in range(order)])
        keys: list[Any] = [pl.col(f"t{place}") for place in range(order)]
        if order * ID_BITS < 64:
            packed = pl.lit(0, pl.Int64)
            for key in keys:
                packed = packed * (1 << ID_BITS) + key.cast(pl.Int64)
            flat, keys = flat.select(packed.alias("key")), [pl.col("key")]
        counted = flat.group_by(keys).agg(pl.len().alias("count"))
        counted.filter(pl.col("count") >= MIN_COUNT).sink_parquet(target, engine="streaming")
    return _since(start)


def _now() -> Times:
    return time.perf_counter(), time.process_time()


def _since(start: Times) -> Times:
    return time.perf_counter() - start[0], time.process_time() - start[1]


def _shifts(order: int) -> Iterator[int]:
    return (ID_BITS * (order - 1 - place) for place in range(order))


if __name__ == "__main__":
    engine, place, file, numbers = sys.argv[1:]
    wanted = tuple(int(number) for number in numbers.split(","))
    print(json.dumps(child(engine, Path(place), Path(file), wanted)))
