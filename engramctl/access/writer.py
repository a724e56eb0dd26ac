"""`access.layer{LL}.parquet`: which rows are read, and how often."""

from concurrent.futures import Executor, Future
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from engramctl.corpus.parquet import LocalWriter

ROW_GROUP_ROWS = 1 << 20
_SCHEMA = pa.schema(
    [
        pa.field("row_id", pa.uint32(), nullable=False),
        pa.field("count", pa.uint64(), nullable=False),
    ]
)
# Ids ascend: their differences are small. Counts repeat. A reader that wants few rows finds their
# row group by the statistics of row_id.
_FORMAT = {
    "compression": "zstd",
    "compression_level": 1,
    "use_dictionary": ["count"],
    "column_encoding": {"row_id": "DELTA_BINARY_PACKED"},
    "write_statistics": ["row_id"],
}


class AccessWriter:
    """Writes one file in row groups of 2^20 rows, whatever pieces the rows come in."""

    def __init__(self, path: Path, pool: Executor) -> None:
        """Open the file; columns `row_id` uint32 ascending, `count` uint64 above 0.

        Args:
            path: the file to make.
            pool: where row groups are encoded, one of a file at a time.
        """
        self._pool = pool
        self._busy: Future[None] | None = None
        self._parquet = LocalWriter(path, _SCHEMA, **_FORMAT)
        self._waiting: list[tuple[NDArray[np.uint32], NDArray[np.uint64]]] = []
        self._num_waiting = 0

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
            if self._busy is not None:
                self._busy.result()
        finally:
            self._parquet.close()

    def append(self, row_ids: NDArray[np.uint32], counts: NDArray[np.uint64]) -> None:
        """Add rows, which lie above those that came before."""
        self._waiting.append((row_ids, counts))
        self._num_waiting += len(row_ids)
        while self._num_waiting >= ROW_GROUP_ROWS:
            self._write(ROW_GROUP_ROWS)

    def _write(self, amount: int) -> None:
        row_ids = np.concatenate([part[0] for part in self._waiting])
        counts = np.concatenate([part[1] for part in self._waiting])
        self._waiting = [(row_ids[amount:].copy(), counts[amount:].copy())]
        self._num_waiting -= amount
        if self._busy is not None:
            self._busy.result()
        self._busy = self._pool.submit(self._encode, row_ids[:amount], counts[:amount])

    def _encode(self, row_ids: NDArray[np.uint32], counts: NDArray[np.uint64]) -> None:
        table = pa.Table.from_arrays([pa.array(row_ids), pa.array(counts)], schema=_SCHEMA)
        self._parquet.write_table(table, row_group_size=ROW_GROUP_ROWS)
