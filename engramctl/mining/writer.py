"""The files of a counts directory: rows to Parquet, facts to manifest and summary."""

from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import xxhash
from numpy.typing import NDArray

from engramctl.mining.count import Rows
from engramctl.sources import SourceFile

ROW_GROUP_ROWS = 1 << 20
MANIFEST_SCHEMA = "engramctl.counts/1"
_READ_BYTES = 1 << 22


@dataclass
class OrderTotals:
    """What is known of one order when all its rows are written.

    Attributes:
        order: ids of an n-gram.
        distinct: different n-grams.
        kept: those with at least `min_count` occurrences, the rows of the file.
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

    def add(self, rows: Rows) -> None:
        """Take in one partition; partitions come in ascending order."""
        self.distinct += rows.distinct
        self.occurrences += rows.occurrences
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
    """Writes `order{n}.parquet` in row groups of 2^20 rows, whatever pieces the rows come in."""

    def __init__(self, path: Path, order: int) -> None:
        """Open the file; columns `token_ids` fixed_size_list<uint32>[order], `count` uint64."""
        self._order = order
        item = pa.field("element", pa.uint32(), nullable=False)
        self._schema = pa.schema(
            [
                pa.field("token_ids", pa.list_(item, order), nullable=False),
                pa.field("count", pa.uint64(), nullable=False),
            ]
        )
        self._waiting: list[tuple[NDArray[np.uint32], NDArray[np.uint64]]] = []
        self._num_waiting = 0
        self._parquet = pq.ParquetWriter(
            path, self._schema, compression="zstd", compression_level=1, use_dictionary=["count"]
        )

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
                self._write(self._num_waiting)
        finally:
            self._parquet.close()

    def append(self, rows: Rows) -> None:
        """Add rows after those that came before."""
        self._waiting.append((rows.ids, rows.counts))
        self._num_waiting += len(rows.counts)
        while self._num_waiting >= ROW_GROUP_ROWS:
            self._write(ROW_GROUP_ROWS)

    def _write(self, amount: int) -> None:
        ids = np.concatenate([part[0] for part in self._waiting])
        counts = np.concatenate([part[1] for part in self._waiting])
        self._waiting = [(ids[amount:].copy(), counts[amount:].copy())]
        self._num_waiting -= amount
        values = pa.array(ids[:amount].reshape(-1))
        lists = pa.FixedSizeListArray.from_arrays(values, type=self._schema.field("token_ids").type)
        table = pa.Table.from_arrays([lists, pa.array(counts[:amount])], schema=self._schema)
        self._parquet.write_table(table, row_group_size=ROW_GROUP_ROWS)


def file_digest(file: SourceFile) -> str:
    """Return the xxh3-128 of a file as 32 hexadecimal digits, read in pieces."""
    digest = xxhash.xxh3_128()
    with file.open() as stream:
        while piece := stream.read(_READ_BYTES):
            digest.update(piece)
    return digest.hexdigest()


def file_facts(file: SourceFile) -> dict[str, Any]:
    """Return size in bytes and xxh3-128, as manifests have them."""
    return {"bytes": file.num_bytes, "xxh3_128": file_digest(file)}
