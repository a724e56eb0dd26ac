"""The gpu tier: the whole table in device memory, gathered and dequantised there.

Plain torch operations, so that any torch device can hold a table; a fused kernel comes later.
"""

from typing import Any

import numpy as np
import torch

from engramctl.errors import StorageError
from engramctl.storage.atomic import os_errors
from engramctl.storage.reader import ShardFile
from engramctl.storage.record import BLOCK_VALUES
from engramctl.storage.tiers.store import Request, Store

_CHUNK_UNITS = 1 << 16


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
        columns = {
            "records": slice(None),
            "weight": slice(0, record.weight_bytes),
            "scale": slice(record.weight_bytes, None),
        }
        for shard in self.table.shards(layer):
            self._copy(shard, records[shard.row_start : shard.row_stop, columns[shard.part]])
        return records

    def _copy(self, shard: ShardFile, target: torch.Tensor) -> None:
        """Stream one row file to its rows and columns of the device tensor."""
        unit = self.table.layout.unit(shard.part)
        width = target.shape[1]
        with os_errors("read", shard.path), shard.path.open("rb") as file:
            file.seek(shard.data_offset)
            row = 0
            while row < len(target):
                rows = min(_CHUNK_UNITS * unit.num_rows, len(target) - row)
                size = self.table.layout.data_bytes(shard.part, rows)
                data = np.fromfile(file, np.uint8, size)
                if len(data) != size:
                    raise StorageError(f"{shard.path} ended early")
                units = data.reshape(-1, unit.num_bytes)[:, : unit.num_rows * width]
                chunk = torch.from_numpy(units.reshape(-1, width)[:rows].copy())
                target[row : row + rows] = chunk.to(self.device)
                row += rows

    def start(self, requests: dict[int, Request]) -> None:
        """Nothing to begin: every row is on the device."""

    def finish(self, layer: int, request: Request, handle: Any, out: torch.Tensor) -> torch.Tensor:
        """Gather records, then widen them."""
        ids = torch.from_numpy(request.row_ids).to(self.device, non_blocking=True)
        records = self._records[layer].index_select(0, ids)
        record = self.table.record
        values = records[:, : record.weight_bytes].contiguous()
        if record.dtype == "f8_e4m3":
            scales = records[:, record.weight_bytes :].to(torch.int32)
            # 2^(byte - 127): a float32's exponent field, but for 0 (subnormal) and 255 (NaN)
            bits = torch.where(scales == 0, 0x00400000, scales << 23)
            bits = torch.where(scales == 255, 0x7FC00000, bits)
            factors = bits.view(torch.float32).repeat_interleave(BLOCK_VALUES, dim=1)
            rows = values.view(torch.float8_e4m3fn).to(torch.float32) * factors
        else:
            rows = values.view(torch.bfloat16 if record.dtype == "bf16" else torch.float32)
        return out.copy_(rows.reshape(out.shape))

    def release(self) -> None:
        """Free the device memory."""
        self._records.clear()
