"""Records of any rows as they are stored, in batches: every page is asked for before it is read."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any, Self

import numpy as np
from numba import carray, njit
from numpy.typing import NDArray

from engramctl.errors import StorageError
from engramctl.storage.io.gather import locate
from engramctl.storage.io.mapping import MappedLayer
from engramctl.storage.io.native import as_pointer
from engramctl.storage.io.pages import ask_for_pages
from engramctl.storage.reader import TableFiles


@njit(nogil=True, cache=True)
def _copy(
    rows: Any, starts_S: Any, weights_S: Any, scales_S: Any, geometry: Any, start: Any, out: Any
) -> None:
    weight_bytes = geometry[4]
    scale_bytes = out.shape[1] - weight_bytes
    for i in range(start, start + out.shape[0]):
        weight, scale = locate(rows[i], starts_S, weights_S, scales_S, geometry)
        values = carray(as_pointer(weight), (weight_bytes,), np.uint8)
        scales = carray(as_pointer(scale), (scale_bytes,), np.uint8)
        record = out[i - start]
        for j in range(weight_bytes):
            record[j] = values[j]
        for j in range(scale_bytes):
            record[weight_bytes + j] = scales[j]


class StoredRecords:
    """A table's records by row id, through mappings. A context manager; for one thread at a time.

    The plain way is `TableFiles.read_rows`.
    """

    def __init__(self, table: TableFiles, workers: int) -> None:
        """Map the row files.

        Args:
            table: whose records.
            workers: copying threads.
        """
        self.table = table
        self._layers = {layer: MappedLayer(table, layer) for layer in table.layers}
        self._workers = workers
        self._pool = ThreadPoolExecutor(workers, thread_name_prefix="records")

    def read(self, layer: int, row_ids: NDArray[np.int64]) -> NDArray[np.uint8]:
        """Return records, weights then scales, uint8 (n, record_bytes).

        Args:
            layer: whose rows.
            row_ids: int64 (n,), any order, repeats allowed.

        Raises:
            ValueError: a row id outside the table.
            StorageError: a file was changed meanwhile.
        """
        mapped = self._layers[layer]
        if row_ids.size and not 0 <= row_ids.min() <= row_ids.max() < mapped.num_rows:
            raise ValueError(f"row ids must lie in [0, {mapped.num_rows:,})")
        mapped.check_unchanged()
        if ask_for_pages(mapped.unseen(row_ids))[1]:
            raise StorageError("the kernel refused to read ahead (madvise WILLNEED failed)")
        out = np.empty((len(row_ids), self.table.record.record_bytes), np.uint8)
        rows = mapped.rows
        edges = [len(out) * k // self._workers for k in range(self._workers + 1)]

        def copy(first: int, last: int) -> None:
            _copy(
                row_ids, rows.starts_S, rows.weights_S, rows.scales_S, rows.geometry, first,
                out[first:last],
            )  # fmt: skip

        list(self._pool.map(copy, edges[:-1], edges[1:]))
        mapped.forget()
        return out

    def __enter__(self) -> Self:
        """Return itself; leaving unmaps."""
        return self

    def __exit__(self, *_: object) -> None:
        """Unmap the files."""
        self._pool.shutdown(cancel_futures=True)
        for layer in self._layers.values():
            layer.close()
