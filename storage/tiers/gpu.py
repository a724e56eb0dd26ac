"""The gpu tier: the whole table in device memory, gathered and dequantised there.

Plain torch operations, so that any torch device can hold a table; a fused kernel comes later.
"""

from typing import Any

import numpy as np
import torch

from engramctl.storage.source import RecordReader
from engramctl.storage.tiers.store import Store
from engramctl.storage.tiers.ticket import Request
from engramctl.storage.tiers.widen import widen

_CHUNK_ROWS = 1 << 16


class GpuStore(Store):
    """Rows as packed records on the device, one tensor a layer."""

    tier = "gpu"

    def load(self, budget_bytes: int | None) -> None:
        """Copy the table to the device."""
        needed = sum(self.num_rows(layer) for layer in self.layers) * self.table.record.record_bytes
        if budget_bytes is not None:
            self.refuse_above(budget_bytes, needed, "use --tier host or --tier ssd")
        self._records = {layer: self._copied(layer) for layer in self.layers}

    def _copied(self, layer: int) -> torch.Tensor:
        record = self.table.record
        shape = (self.table.num_rows(layer), record.record_bytes)
        records = torch.empty(shape, dtype=torch.uint8, device=self.device)
        with RecordReader(self.table) as reader:
            for row in range(0, len(records), _CHUNK_ROWS):
                chunk = np.empty((min(_CHUNK_ROWS, len(records) - row), shape[1]), np.uint8)
                reader.read(layer, row, chunk)
                records[row : row + len(chunk)] = torch.from_numpy(chunk).to(self.device)
        return records

    def start(self, requests: dict[int, Request]) -> None:
        """Nothing to begin: every row is on the device."""

    def finish(self, layer: int, request: Request, handle: Any, out: torch.Tensor) -> torch.Tensor:
        """Gather records, then widen them."""
        ids = torch.from_numpy(request.row_ids).to(self.device, non_blocking=True)
        records = self._records[layer].index_select(0, ids)
        scale = self.table.table_scale(layer) or 1.0
        rows = widen(self.table.record, records, scale)
        return out.copy_(rows.reshape(out.shape))

    def release(self) -> None:
        """Free the device memory."""
        self._records.clear()
