"""Hit-rate curves from a sample of the rows, against the whole trace.

LRU: SHARDS at 1 % against the Fenwick tree over every access. S3-FIFO: caches in miniature against
exact simulation at every size. Both arms end with hit rates at the same cache sizes, from 1,024
rows to all that are read; errors are differences of hit rates, mean and largest over these sizes.

The rows are those that DeepSeek-V4.1's first head of an order reads, documents one after the other.
The text is the standard library's own source, or the Parquet files that ENGRAMCTL_BENCH_CORPUS
names (token ids below 129,280).
"""

import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from engramctl.caches.s3fifo import S3Curve, S3Fifo
from engramctl.caches.stack import StackDistances
from engramctl.corpus.corpus import Corpus
from engramctl.corpus.sample import write_sample_corpus
from engramctl.hashing import make_scheme
from engramctl.reuse.documents import Reader, whole
from engramctl.reuse.options import cache_sizes
from tests.benchmarks.harness import Row, interleave, row

RATE = 0.01
S3_RATE = 1 / 64
TARGET = 40.0
MEAN_ERROR = 0.01


def run(quick: bool) -> list[Row]:
    """Measure; one row an order and policy. `ratio` is the sample's speed over the whole's."""
    with _corpus() as corpus:
        reader = Reader(make_scheme("deepseek-v41"), layer=1)
        traces = _traces(corpus, reader)
    rounds = 3 if quick else 5
    rows = []
    for order, trace in traces.items():
        sizes = tuple(size for size in cache_sizes(sum(reader.rows)) if size <= len(trace))
        name = f"order {order}" if order else "all orders"
        rows.append(_lru(name, trace, sizes, rounds))
    for order in (3,) if quick else (2, 3, 4):
        sizes = tuple(size for size in cache_sizes(reader.rows[0]) if size <= len(traces[order]))
        rows.append(_s3fifo(f"order {order}", traces[order], sizes, rounds))
    return rows


def _lru(name: str, trace: NDArray[np.int64], sizes: tuple[int, ...], rounds: int) -> Row:
    arms: dict[str, Callable[[], dict[int, float]]] = {
        "ours": partial(_lru_rates, trace, sizes, RATE),
        "theirs": partial(_lru_rates, trace, sizes, 1.0),
    }
    return _row(f"LRU curve, SHARDS 1 %, {name}", "every access", arms, len(trace), rounds, TARGET)


def _s3fifo(name: str, trace: NDArray[np.int64], sizes: tuple[int, ...], rounds: int) -> Row:
    arms: dict[str, Callable[[], dict[int, float]]] = {
        "ours": partial(_s3_sampled, trace, sizes),
        "theirs": partial(_s3_exact, trace, sizes),
    }
    peer = "exact caches of the same sizes"
    return _row(f"S3-FIFO curve in miniature, {name}", peer, arms, len(trace), rounds, None)


def _row(
    name: str,
    peer: str,
    arms: dict[str, Callable[[], dict[int, float]]],
    accesses: int,
    rounds: int,
    target: float | None,
) -> Row:
    ours, theirs = arms["ours"](), arms["theirs"]()  # also compiles
    errors = [abs(ours[size] - theirs[size]) for size in theirs]
    mean = sum(errors) / len(errors)
    seconds = interleave(arms, rounds)
    made = row(
        name,
        peer,
        seconds["ours"],
        seconds["theirs"],
        target=target,
        bound=f"hashing every access; mean error {mean:.4f}, largest {max(errors):.4f}",
        work=accesses,
        unit="accesses/s",
    )
    return {**made, "mean_error": mean, "max_error": max(errors), "max_mean_error": MEAN_ERROR}


def _lru_rates(trace: NDArray[np.int64], sizes: tuple[int, ...], rate: float) -> dict[int, float]:
    lru = StackDistances(rate)
    lru.add(trace)
    return lru.hit_rates(sizes)


def _s3_sampled(trace: NDArray[np.int64], sizes: tuple[int, ...]) -> dict[int, float]:
    curve = S3Curve(sizes, S3_RATE)
    curve.add(trace)
    return curve.hit_rates()


def _s3_exact(trace: NDArray[np.int64], sizes: tuple[int, ...]) -> dict[int, float]:
    rates = {}
    for size in sizes:
        cache = S3Fifo(size)
        cache.add(trace)
        rates[size] = 1 - cache.misses / len(trace)
    return rates


@contextmanager
def _corpus() -> Iterator[Corpus]:
    named = os.environ.get("ENGRAMCTL_BENCH_CORPUS")
    if named:
        yield Corpus.open([named])
        return
    with tempfile.TemporaryDirectory() as folder:
        yield Corpus.open([write_sample_corpus(Path(folder)).parquet])


def _traces(corpus: Corpus, reader: Reader) -> dict[int, NDArray[np.int64]]:
    """Return the accesses of each order, and under 0 those of all orders."""
    blocks = [reader.read(batch).rows for _, batch in whole("all", corpus).batches()]
    rows = np.concatenate(blocks).astype(np.int64)
    orders = {
        order: np.ascontiguousarray(rows[:, number])
        for number, order in enumerate(reader.scheme.orders)
    }
    return {**orders, 0: rows.reshape(-1)}


if __name__ == "__main__":
    import json
    import sys

    print(json.dumps(run("--quick" in sys.argv), indent=1))
