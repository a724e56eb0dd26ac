"""Records of any rows as they are stored, in batches: all are asked for before the first is read.

With `pread`, not through a mapping: random rows of a mapped file map their neighbours too, up to
half a megabyte a row in our measurements, and all of it counts as this process's memory.
"""

import os
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from engramctl.runtime.kernel_cache import njit
from engramctl.storage.files.atomic import os_errors
from engramctl.storage.io.row_map import RowMap, locate, piece_of
from engramctl.storage.readers.system_calls import posix_fadvise, pread
from engramctl.storage.reading.region import pieces
from engramctl.storage.reading.table import TableFiles

_WILLNEED = os.POSIX_FADV_WILLNEED


@njit(nogil=True, cache=True)
def _each(rows: Any, packed: Any, files_SC: Any, widths: Any, target: Any) -> Any:
    """Ask for every row's parts, or read them.

    Args:
        rows: row ids, int64 (n,).
        packed: a RowMap of file offsets.
        files_SC: descriptors of each piece's values and scales, int32 (S, 2).
        widths: bytes of a row's first part and of its scales, if these lie apart, else 0.
        target: address of the first record to write; 0: ask only.

    Returns:
        the first row that did not come whole, or -1.
    """
    record_bytes = widths[0] + widths[1]
    for i in range(rows.shape[0]):
        piece = piece_of(rows[i], packed)
        offsets = locate(rows[i], piece, packed)
        at = target + i * record_bytes
        for part in range(2):
            size = widths[part]
            if size == 0:
                continue
            if target == 0:
                posix_fadvise(files_SC[piece, part], offsets[part], size, _WILLNEED)
            elif pread(files_SC[piece, part], at, size, offsets[part]) != size:
                return i
            at += size
    return -1


class StoredRecords:
    """A table's records by row id. A context manager; for one thread at a time.

    The plain way is `TableFiles.read_rows`.
    """

    def __init__(self, table: TableFiles, workers: int) -> None:
        """Open the row files.

        Args:
            table: whose records.
            workers: reading threads.

        Raises:
            StorageError: a file cannot be opened.
        """
        self.table = table
        self._open: dict[Path, int] = {}
        self._places: dict[int, tuple[NDArray[np.int64], NDArray[np.int32]]] = {}
        self._workers = workers
        record = table.record
        apart = table.layout.form == "planar"
        self._widths = np.array(
            [record.weight_bytes, record.scale_bytes] if apart else [record.record_bytes, 0]
        )
        try:
            for layer in table.layers:
                self._places[layer] = self._place(layer)
        except BaseException:
            self._close()
            raise
        self._pool = ThreadPoolExecutor(workers, thread_name_prefix="records")

    def _place(self, layer: int) -> tuple[NDArray[np.int64], NDArray[np.int32]]:
        rows = RowMap.in_files(self.table, layer)
        files = [
            [self._descriptor(piece[0].path), self._descriptor(piece[-1].path)]
            for piece in pieces(self.table.regions(layer))
        ]
        return rows.packed, np.array(files, np.int32)

    def _descriptor(self, path: Path) -> int:
        if path not in self._open:
            with os_errors("open", path):
                self._open[path] = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        return self._open[path]

    def read(self, layer: int, row_ids: NDArray[np.int64]) -> NDArray[np.uint8]:
        """Return records, weights then scales, uint8 (n, record_bytes).

        Args:
            layer: whose rows.
            row_ids: int64 (n,), any order, repeats allowed.

        Raises:
            ValueError: a row id outside the table.
            StorageError: a read failed or ended early.
        """
        num_rows = self.table.num_rows(layer)
        if row_ids.size and not 0 <= row_ids.min() <= row_ids.max() < num_rows:
            raise ValueError(f"row ids must lie in [0, {num_rows:,})")
        packed, files_SC = self._places[layer]
        out = np.empty((len(row_ids), self.table.record.record_bytes), np.uint8)

        def each(edges: tuple[int, int], target: int) -> None:
            some = row_ids[edges[0] : edges[1]]
            left = _each(some, packed, files_SC, self._widths, target)
            while left >= 0:  # cut short by a signal, or an error: the plain way tells
                row = self.table.read_rows(layer, some[left : left + 1])
                out[edges[0] + left] = np.concatenate(row, axis=1)
                edges = (edges[0] + left + 1, edges[1])
                some = row_ids[edges[0] : edges[1]]
                left = _each(some, packed, files_SC, self._widths, out[edges[0] :].ctypes.data)

        cuts = [len(out) * k // self._workers for k in range(self._workers + 1)]
        parts = [pair for pair in pairwise(cuts) if pair[0] < pair[1]]
        list(self._pool.map(lambda edges: each(edges, 0), parts))
        list(self._pool.map(lambda edges: each(edges, out[edges[0] :].ctypes.data), parts))
        return out

    def __enter__(self) -> Self:
        """Return itself; leaving closes the files."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the files."""
        self._pool.shutdown(cancel_futures=True)
        self._close()

    def _close(self) -> None:
        while self._open:
            os.close(self._open.popitem()[1])
