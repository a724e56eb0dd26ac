"""`order{n}.parquet`: rows to Parquet, a thread behind those that count."""

from concurrent.futures import Executor, Future
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from engramctl.corpus.parquet import LocalWriter
from engramctl.counting.count import Rows

ROW_GROUP_ROWS = 1 << 20
# Bytes of ids apart compress as well as whole ids and a third faster (75 against 104 ns a row of
# order 4); counts repeat, so they get a dictionary. Nobody filters by either: no statistics.
_FORMAT = {
    "compression": "zstd",
    "compression_level": 1,
    "use_dictionary": ["count"],
    "column_encoding": {"token_ids.list.element": "BYTE_STREAM_SPLIT"},
    "write_statistics": False,
    "write_batch_size": 1 << 16,
}


@dataclass
class OrderTotals:
    """What is known of one order when all its rows are written.

    Attributes:
        order: ids of an n-gram.
        distinct: different n-grams.
        kept: the rows of the file.
        occurrences: n-grams in the corpus, repeats included.
        kept_occurrences: the sum of the counts that are kept.
        top_ids: the most frequent n-gram, the first in row order among equals.
        top_count: how often it occurs.
    """

    order: int
    distinct: int = 0
    kept: int = 0
    occurrences: int = 0
    kept_occurrences: int = 0
    top_ids: tuple[int, ...] = ()
    top_count: int = 0

    def see(self, rows: Rows) -> None:
        """Take in what was counted."""
        self.distinct += rows.distinct
        self.occurrences += rows.occurrences

    def keep(self, rows: Rows) -> None:
        """Take in what is written; rows come in their order."""
        self.kept += len(rows.counts)
        if len(rows.counts):
            self.kept_occurrences += int(rows.counts.sum())
            best = int(np.argmax(rows.counts))
            if int(rows.counts[best]) > self.top_count:
                self.top_count = int(rows.counts[best])
                self.top_ids = tuple(int(token) for token in rows.ids[best])

    def summary(self) -> dict[str, Any]:
        """Return this order's entry in summary.json; coverage is 0 to 1, None without n-grams."""
        coverage = self.kept_occurrences / self.occurrences if self.occurrences else None
        top = {"token_ids": list(self.top_ids), "count": self.top_count} if self.kept else None
        return {
            "order": self.order,
            "distinct": self.distinct,
            "kept": self.kept,
            "occurrences": self.occurrences,
            "kept_occurrences": self.kept_occurrences,
            "coverage": coverage,
            "top": top,
        }


class OrderWriter:
    """Writes one file in row groups of 2^20 rows, whatever pieces the rows come in."""

    def __init__(self, path: Path, order: int, pool: Executor) -> None:
        """Open the file; columns `token_ids` fixed_size_list<uint32>[order], `count` uint64.

        Args:
            path: the file to make.
            order: ids of an n-gram.
            pool: where row groups are encoded, one of a file at a time.
        """
        item = pa.field("element", pa.uint32(), nullable=False)
        self._schema = pa.schema(
            [
                pa.field("token_ids", pa.list_(item, order), nullable=False),
                pa.field("count", pa.uint64(), nullable=False),
            ]
        )
        self._pool = pool
        self._busy: Future[None] | None = None
        self._waiting: list[tuple[NDArray[np.uint32], NDArray[np.uint64]]] = []
        self._num_waiting = 0
        self._parquet = LocalWriter(path, self._schema, **_FORMAT)

    def __enter__(self) -> Self:
        """Return itself; leaving writes the rest."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Write what waits, unless an error is on its way, and close the file."""
        try:
            if kind is None and self._num_waiting:
                self._write()
            if self._busy is not None:
                self._busy.result()
        finally:
            self._parquet.close()

    def append(self, rows: Rows) -> None:
        """Add rows after those that came before."""
        ids, counts = rows.ids, rows.counts
        while self._num_waiting + len(counts) >= ROW_GROUP_ROWS:
            room = ROW_GROUP_ROWS - self._num_waiting
            self._waiting.append((ids[:room], counts[:room]))
            self._write()
            ids, counts = ids[room:], counts[room:]
        self._waiting.append((ids, counts))
        self._num_waiting += len(counts)

    def _write(self) -> None:
        if self._busy is not None:
            self._busy.result()
        self._busy = self._pool.submit(self._encode, self._waiting)
        self._waiting, self._num_waiting = [], 0

    def _encode(self, parts: list[tuple[NDArray[np.uint32], NDArray[np.uint64]]]) -> None:
        kind = self._schema.field("token_ids").type
        batches = []
        for ids, counts in parts:
            lists = pa.FixedSizeListArray.from_arrays(pa.array(ids.reshape(-1)), type=kind)
            arrays = [lists, pa.array(counts)]
            batches.append(pa.RecordBatch.from_arrays(arrays, schema=self._schema))
        table = pa.Table.from_batches(batches, self._schema)
        self._parquet.write_table(table, row_group_size=ROW_GROUP_ROWS)
