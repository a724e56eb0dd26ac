"""Rows of all orders, a partition after the other -> the files, the totals and whoever listens."""

from collections.abc import Callable, Mapping
from concurrent.futures import Executor
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Self

from engramctl.access.recorder import Recorder
from engramctl.counting.count import Rows
from engramctl.counting.top import TopRows
from engramctl.counting.unigrams import Unigrams
from engramctl.mining.options import MineOptions
from engramctl.mining.writer import OrderTotals, OrderWriter

Sink = Callable[[int, Rows], None]


class CountsOutput:
    """Writes what is kept of every order. Rows come in row order, from one thread."""

    def __init__(
        self,
        folder: Path,
        options: MineOptions,
        pool: Executor,
        recorder: Recorder,
        sink: Sink | None,
        *,
        spill: Path | None = None,
    ) -> None:
        """Open the files.

        Args:
            folder: where they are made.
            options: the orders, and what is kept.
            pool: encodes row groups.
            recorder: sees all rows that come.
            sink: called with an order and its rows before pruning, in row order: every distinct
                n-gram of that order once.
            spill: where rows go for a while that memory should not hold; None: `folder`.
        """
        self.totals = {order: OrderTotals(order) for order in sorted(options.orders)}
        self._options = options
        self._recorder = recorder
        self._sink = sink
        self._unigrams = Unigrams(spill or folder)
        self._top = {order: TopRows(options.top_k, order) for order in self.totals if options.top_k}
        self._stack = ExitStack()
        with self._stack as opened:
            opened.callback(self._unigrams.remove)
            self._writers = {
                order: opened.enter_context(
                    OrderWriter(folder / f"order{order}.parquet", order, pool)
                )
                for order in self.totals
            }
            self._stack = opened.pop_all()

    def __enter__(self) -> Self:
        """Return itself; leaving closes the files."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Write row groups that wait, unless an error is on its way, and close the files."""
        self._stack.__exit__(kind, error, trace)

    @property
    def min_count(self) -> int:
        """What rows must have when they come: 1 while somebody listens."""
        listens = self._sink is not None or self._recorder.wants_all
        return 1 if listens else self._options.min_count

    def add(self, rows: Mapping[int, Rows]) -> None:
        """Take in the rows of a partition, or of a range of it, by order."""
        for order, part in rows.items():
            if order == 1:
                self._unigrams.add(part)
            else:
                self._take(order, part)

    def finish(self) -> list[OrderTotals]:
        """Write what had to wait for the last partition; returns the totals, orders ascending."""
        if 1 in self.totals:
            for rows in self._unigrams.rows():
                self._take(1, rows)
        for order, top in self._top.items():
            self._keep(order, top.rows())
        return list(self.totals.values())

    def _take(self, order: int, rows: Rows) -> None:
        self.totals[order].see(rows)
        self._recorder.see(order, rows)
        if self._sink is not None:
            self._sink(order, rows)
        rows = rows.pruned(self._options.min_count)  # they may come whole, see `min_count`
        if order in self._top:
            self._top[order].add(rows)
        else:
            self._keep(order, rows)

    def _keep(self, order: int, rows: Rows) -> None:
        self.totals[order].keep(rows)
        self._writers[order].append(rows)
