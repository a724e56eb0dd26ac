"""The engines that the benchmark `mining` compares, one a process: this file is its command.

`python -m tests.benchmarks.mining_engines ENGINE FOLDER SOURCE ORDERS` prints what one run took.
The peers get their best form: zipped unnests and one packed key, no insertion order; polars its
streaming engine. Timed is the query alone: no start-up, no compilation. Ours includes what a result
needs: digests, the manifest and the syncs.
"""

import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from engramctl.corpus.corpus import Corpus

KENLM = "ENGRAMCTL_KENLM"
ID_BITS = 17
MIN_COUNT = 2
THREADS = 2
Facts = dict[str, Any]
Times = tuple[float, float]  # seconds of the clock and of the processors


def child(name: str, folder: Path, source: Path, orders: tuple[int, ...]) -> Facts:
    """Run one engine once in this process; returns times, peak, disk and what was kept."""
    targets = {order: folder / f"{name}{order}.parquet" for order in orders}
    facts: Facts = {"disk_mib": 0.0}
    facts["seconds"], facts["cpu_s"] = ENGINES[name](source, targets, facts)
    facts["peak_gib"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    facts["kept"] = []
    for target in targets.values():
        if name == "kenlm":
            break  # counts its own markers too, and does not write Parquet
        counts = pq.read_table(target, columns=["count"])["count"].to_numpy()
        facts["kept"].append((len(counts), int(counts.sum())))
    return facts


def _ours(source: Path, targets: dict[int, Path], facts: Facts) -> Times:
    from engramctl.counting.spill import SpillStore
    from engramctl.mining.local import mine
    from engramctl.mining.options import MineOptions

    remove = SpillStore.remove

    def watched(store: SpillStore) -> None:
        facts["disk_mib"] = max(facts["disk_mib"], store.spilled_bytes / 2**20)
        remove(store)

    options = MineOptions(tuple(targets), min_count=MIN_COUNT, threads=THREADS)
    folder = source.parent / "ours"
    mine(Corpus.open([_tiny(source)]), folder, options, force=True)  # compiles
    with patch.object(SpillStore, "remove", watched):
        start = _now()
        mine(Corpus.open([source]), folder, options, force=True)
        times = _since(start)
    for order, target in targets.items():
        os.replace(folder / f"order{order}.parquet", target)
    return times


def _on_ray(source: Path, targets: dict[int, Path], facts: Facts) -> Times:
    import secrets

    os.environ.setdefault("RAY_AUTH_TOKEN", secrets.token_hex(16))
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    import ray

    from engramctl.mining.options import MineOptions
    from engramctl.mining.ray_engine import mine_on_ray

    ray.init(num_cpus=THREADS, include_dashboard=False, log_to_driver=False)
    options = MineOptions(tuple(targets), min_count=MIN_COUNT, threads=THREADS)
    folder = source.parent / "on_ray"
    mine_on_ray(Corpus.open([_tiny(source)]), folder, options, force=True)  # workers start
    start = _now()
    mine_on_ray(Corpus.open([source]), folder, options, force=True)
    times = _since(start)
    ray.shutdown()
    for order, target in targets.items():
        os.replace(folder / f"order{order}.parquet", target)
    return times


def _kenlm(source: Path, targets: dict[int, Path], facts: Facts) -> Times:
    (order,) = targets
    text = source.parent / "ids.txt"
    if not text.exists():
        with text.open("w") as file:
            for batch in Corpus.open([source]).batches():
                pieces = np.split(batch.ids, batch.offsets[1:-1])
                file.writelines(" ".join(map(str, piece.tolist())) + "\n" for piece in pieces)
    words = [os.environ[KENLM], "-o", str(order), "-S", "1G", "-T", str(source.parent / "kenlm.")]
    words += ["--write_vocab_list", str(source.parent / "kenlm.vocab")]
    start = _now()
    with text.open() as stdin, (source.parent / "kenlm.counts").open("wb") as stdout:
        subprocess.run(words, stdin=stdin, stdout=stdout, stderr=subprocess.DEVNULL, check=True)
    return _since(start)


def _duckdb_limited(source: Path, targets: dict[int, Path], facts: Facts) -> Times:
    return _duckdb(source, targets, facts, memory_limit="1200MB", temp_directory=str(source.parent))


def _duckdb(source: Path, targets: dict[int, Path], facts: Facts, **limits: str) -> Times:
    import duckdb

    settings: Any = {"threads": THREADS, "preserve_insertion_order": False, **limits}
    with duckdb.connect(config=settings) as database:
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


def _tiny(source: Path) -> Path:
    tiny = source.parent / "tiny.parquet"
    pq.write_table(pa.table({"input_ids": [[1, 2, 3, 1 << ID_BITS - 1]]}), tiny)
    return tiny


def _now() -> Times:
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.perf_counter(), time.process_time() + children.ru_utime + children.ru_stime


def _since(start: Times) -> Times:
    now = _now()
    return now[0] - start[0], now[1] - start[1]


def _shifts(order: int) -> Iterator[int]:
    return (ID_BITS * (order - 1 - place) for place in range(order))


ENGINES = {
    "ours": _ours,
    "duckdb": _duckdb,
    "duckdb_limited": _duckdb_limited,
    "polars": _polars,
    "on_ray": _on_ray,
    "kenlm": _kenlm,
}

if __name__ == "__main__":
    engine, place, file, numbers = sys.argv[1:]
    wanted = tuple(int(number) for number in numbers.split(","))
    print(json.dumps(child(engine, Path(place), Path(file), wanted)))
