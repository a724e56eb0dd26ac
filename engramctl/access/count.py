"""Distinct windows -> accesses of every row of every layer, a group of heads at a time.

    windows of an order -> row ids of some heads -> dense counters -> rows in order -> Parquet

As many heads as the memory holds are counted in one pass over the windows of their order; a head
that is too large alone is counted range by range. Every counter has one thread, and sums and maxima
do not hang on an order, so neither threads nor memory can change a result.
"""

from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from engramctl.access.tally import RowRange, RowsRead, RowSummary, Tally
from engramctl.access.windows import Windows
from engramctl.access.writer import AccessWriter
from engramctl.counts.accesses import access_name
from engramctl.errors import ConfigError
from engramctl.hashing.kernels.windows import WindowHash
from engramctl.hashing.scheme.scheme import Scheme
from engramctl.memory import give_back

HASHED_AT_A_TIME = 1 << 13  # windows: their row ids stay in the L2 cache
MAX_ROWS = 2**32  # row ids of the file are uint32

Summaries = dict[tuple[int, int], RowSummary]
"""(layer, column) -> what was counted."""


def count_access(
    scheme: Scheme,
    windows: Mapping[int, Windows],
    tokens: int,
    folder: Path,
    *,
    memory_bytes: int,
    threads: int,
    advance: Callable[[int], None] = lambda rows: None,
) -> Summaries:
    """Count what a model reads and write `access.layer{LL}.parquet` for every layer.

    Args:
        scheme: whose rows.
        windows: of every order of the scheme.
        tokens: positions, each of which reads one row a head.
        folder: where the files are made.
        memory_bytes: for counters.
        threads: that hash and count.
        advance: told of rows of tables that are done.

    Raises:
        ConfigError: a layer has more rows than a uint32 can number.
        CorpusError: the n-grams cannot be read, or do not fit the scheme.
    """
    check_rows(scheme)
    done: Summaries = {}
    with ExitStack() as stack:
        encoder = stack.enter_context(ThreadPoolExecutor(1))
        writers = {
            layer: stack.enter_context(AccessWriter(folder / access_name(layer), encoder))
            for layer in scheme.layers
        }
        for rows, read in count_rows(
            scheme, windows, tokens, memory_bytes=memory_bytes, threads=threads
        ):
            done.setdefault((rows.layer, rows.column), RowSummary()).merge(read.summary)
            writers[rows.layer].append(read.ids, read.counts)
            advance(int(read.summary.slots.sum()))
    return done


def count_rows(
    scheme: Scheme,
    windows: Mapping[int, Windows],
    tokens: int,
    *,
    memory_bytes: int,
    threads: int,
) -> Iterator[tuple[RowRange, RowsRead]]:
    """Give the rows that are read, in pieces; those of one layer ascend. As `count_access`."""
    with ExitStack() as stack:
        pools = [stack.enter_context(ThreadPoolExecutor(1)) for _ in range(threads)]
        for group in _groups(scheme, tokens, memory_bytes):
            give_back()
            yield from _count(scheme, windows, [Tally(rows, tokens) for rows in group], pools)


def _count(
    scheme: Scheme,
    windows: Mapping[int, Windows],
    tallies: Sequence[Tally],
    pools: Sequence[ThreadPoolExecutor],
) -> Iterator[tuple[RowRange, RowsRead]]:
    for order in sorted({tally.range.order for tally in tallies}):
        chosen = [tally for tally in tallies if tally.range.order == order]
        _pass(scheme, windows[order], chosen, pools)
    yield from _pieces(tallies, pools)


def check_rows(scheme: Scheme) -> None:
    """Refuse tables whose rows a file cannot number.

    Raises:
        ConfigError: names the first such layer.
    """
    for layer in scheme.layers:
        if scheme.num_rows(layer) > MAX_ROWS:
            raise ConfigError(
                f"layer {layer} has too many rows to count what is read",
                facts={"expected": f"at most {MAX_ROWS:,}", "found": f"{scheme.num_rows(layer):,}"},
                hint="give the scheme fewer slots",
            )


def _groups(scheme: Scheme, tokens: int, memory_bytes: int) -> Iterator[list[RowRange]]:
    """Cut all heads into passes that fit the memory, every layer's rows in ascending order."""
    group: list[RowRange] = []
    used = 0
    for rows in _ranges(scheme, tokens, memory_bytes):
        size = rows.counter_bytes(tokens)
        if group and used + size > memory_bytes:
            yield group
            group, used = [], 0
        group.append(rows)
        used += size
    yield group


def _ranges(scheme: Scheme, tokens: int, memory_bytes: int) -> Iterator[RowRange]:
    """Give the heads, first in the table first, in turn of all layers: orders stay together."""
    placed = []
    for layer in scheme.hashes:
        by_row = sorted(range(len(layer.heads)), key=lambda column: layer.heads[column].offset)
        placed += [(place, layer, column) for place, column in enumerate(by_row)]
    for _, layer, column in sorted(placed, key=lambda entry: entry[0]):
        head = layer.heads[column]
        whole = RowRange(layer.layer, column, head.order, head.offset, head.offset + head.modulus)
        parts = max(1, -(-whole.counter_bytes(tokens) // memory_bytes))
        edges = [head.offset + head.modulus * part // parts for part in range(parts + 1)]
        for begin, end in pairwise(edges):
            yield RowRange(layer.layer, column, head.order, begin, end)


def _pass(
    scheme: Scheme, windows: Windows, tallies: Sequence[Tally], pools: Sequence[ThreadPoolExecutor]
) -> None:
    """Read the windows of one order once; each thread counts some of the ranges."""
    turn = sorted(tallies, key=lambda tally: (tally.range.layer, tally.range.begin))
    shares = [
        turn[len(turn) * k // len(pools) : len(turn) * (k + 1) // len(pools)]
        for k in range(len(pools))
    ]
    workers = [
        (pool, _Worker(scheme, share)) for pool, share in zip(pools, shares, strict=True) if share
    ]
    waiting: deque[list[Future[None]]] = deque()
    for ids, counts in windows:
        waiting.append([pool.submit(worker.add, ids, counts) for pool, worker in workers])
        if len(waiting) > 2:
            _finish(waiting.popleft())
    while waiting:
        _finish(waiting.popleft())


def _pieces(
    tallies: Sequence[Tally], pools: Sequence[ThreadPoolExecutor]
) -> Iterator[tuple[RowRange, RowsRead]]:
    """Give what the tallies found, in their order and piece by piece; threads look ahead."""
    waiting: deque[tuple[RowRange, Future[RowsRead]]] = deque()
    number = 0
    for tally in tallies:
        for begin in tally.pieces():
            task = pools[number % len(pools)].submit(tally.piece, begin)
            waiting.append((tally.range, task))
            number += 1
            if len(waiting) > 2 * len(pools):
                rows, done = waiting.popleft()
                yield rows, done.result()
    for rows, done in waiting:
        yield rows, done.result()


def _finish(tasks: Sequence[Future[None]]) -> None:
    for task in tasks:
        task.result()


class _Worker:
    """One thread's ranges of one order."""

    def __init__(self, scheme: Scheme, tallies: Sequence[Tally]) -> None:
        self._parts: list[tuple[WindowHash, list[tuple[int, Tally]]]] = []
        for layer in dict.fromkeys(tally.range.layer for tally in tallies):
            mine = [tally for tally in tallies if tally.range.layer == layer]
            columns = sorted({tally.range.column for tally in mine})
            hashed = WindowHash(
                scheme.layer_hash(layer), scheme.mix, columns, scheme.canonical.num_canonical
            )
            self._parts.append(
                (hashed, [(columns.index(tally.range.column), tally) for tally in mine])
            )

    def add(self, ids: NDArray[np.uint32], counts: NDArray[np.uint64]) -> None:
        for begin in range(0, len(ids), HASHED_AT_A_TIME):
            part = slice(begin, begin + HASHED_AT_A_TIME)
            for hashed, tallies in self._parts:
                rows_MH = hashed(ids[part])
                for place, tally in tallies:
                    tally.add(rows_MH, place, counts[part])
