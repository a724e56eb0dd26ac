"""The gpu tier: the whole table in device memory, gathered and dequantised there.

Plain torch operations, so that any torch device can hold a table; a fused kernel comes later. A
gather queues its work on the current stream and never waits for the device.
"""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from engramctl.storage.device.torch_codecs import widen
from engramctl.storage.reading.source import RecordReader
from engramctl.storage.requests.ticket import Request
from engramctl.storage.tiers.said_of_table import refuse_above
from engramctl.storage.tiers.store import Store

_CHUNK_ROWS = 1 << 16  # rows copied, or widened, at a time: what bounds the memory beside the table


class GpuStore(Store):
    """Rows as packed records on the device, one tensor a layer."""

    whole = "gpu"

    def load(self, budget_bytes: int | None) -> None:
        """Copy the table to the device."""
        needed = sum(self.num_rows(layer) for layer in self.layers) * self.table.record.record_bytes
        hint = "use --tier host or --tier ssd"
        if budget_bytes is not None:
            refuse_above(self.tier, budget_bytes, needed, hint)
        try:
            self._records = {layer: self.allocated(layer) for layer in self.layers}
        except torch.OutOfMemoryError:
            refuse_above(self.tier, torch.cuda.mem_get_info(self.device)[0], needed, hint)
            raise
        with RecordReader(self.table) as reader:
            for layer, records in self._records.items():
                _fill(records, reader, layer)

    def allocated(self, layer: int) -> torch.Tensor:
        """Return room for one layer's records, uint8 (rows, record_bytes), on the device."""
        shape = (self.table.num_rows(layer), self.table.record.record_bytes)
        return torch.empty(shape, dtype=torch.uint8, device=self.device)

    def start(
        self,
        requests: dict[int, Request],
        keys: NDArray[np.uint64] | None = None,
        *,
        ahead: bool = True,
    ) -> None:
        """Nothing to begin: every row is on the device."""

    def finish(self, layer: int, request: Request, handle: Any, out: torch.Tensor) -> torch.Tensor:
        """Gather records, then widen them."""
        ids = torch.from_numpy(request.row_ids).to(self.device, non_blocking=True)
        scale = self.table.table_scale(layer) or 1.0
        rows = out.detach().view(-1, self.row_dim)
        for first in range(0, len(ids), _CHUNK_ROWS):
            part = slice(first, first + _CHUNK_ROWS)
            records = self._records[layer].index_select(0, ids[part])
            rows[part] = widen(self.table.record, records, scale)
        return out

    def release(self) -> None:
        """Free the device memory, once no stream reads it any more."""
        if self.device.type == "cuda" and not self.usage.generation:  # a forked child has no stream
            torch.cuda.synchronize(self.device)
        self._records.clear()


def _fill(records: torch.Tensor, reader: RecordReader, layer: int) -> None:
    """Copy a layer to the device; each copy waits, so that any stream may read it afterwards."""
    for row in range(0, len(records), _CHUNK_ROWS):
        chunk = np.empty((min(_CHUNK_ROWS, len(records) - row), records.shape[1]), np.uint8)
        reader.read(layer, row, chunk)
        records[row : row + len(chunk)].copy_(torch.from_numpy(chunk))
