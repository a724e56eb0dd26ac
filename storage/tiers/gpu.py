"""The gpu tier: the whole table in device memory, gathered and dequantised there.

One Triton kernel does both where it can be had, torch operations elsewhere: any torch device can
hold a table. A gather queues its work on the current stream and never waits for the device. Row ids
that are there stay there: whether one is no row is told by a flag, later.
"""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from engramctl.errors import ConfigError
from engramctl.storage.device.bad_ids import BadIds
from engramctl.storage.device.gathering import KERNELS, Gathering
from engramctl.storage.device.side_stream import capturing
from engramctl.storage.reading.source import RecordReader
from engramctl.storage.requests.checked_ids import RowIds
from engramctl.storage.requests.device_ids import device_request, on_a_device
from engramctl.storage.requests.slot import Closed, Shapes, Slot
from engramctl.storage.requests.stats import StoreStats
from engramctl.storage.requests.ticket import Request
from engramctl.storage.tiers.id_slot import IdSlot
from engramctl.storage.tiers.said_of_table import refuse_above
from engramctl.storage.tiers.store import Store

_CHUNK_ROWS = 1 << 16  # rows copied to the device at a time


class GpuStore(Store):
    """Rows as packed records on the device, one tensor a layer."""

    whole = "gpu"

    def load(self, budget_bytes: int | None) -> None:
        """Choose a kernel, and copy the table to the device."""
        needed = sum(self.num_rows(layer) for layer in self.layers) * self.table.record.record_bytes
        hint = "use --tier host or --tier ssd"
        if budget_bytes is not None:
            refuse_above(self.tier, budget_bytes, needed, hint)
        wanted = self.wanted_engine if self.wanted_engine in KERNELS else "auto"
        self._gathering = Gathering(self.table.record, self.device, self.dtype, wanted)
        try:
            self._records = {layer: self.allocated(layer) for layer in self.layers}
        except torch.OutOfMemoryError:
            refuse_above(self.tier, torch.cuda.mem_get_info(self.device)[0], needed, hint)
            raise
        self._bad = {layer: BadIds(self.device) for layer in self.layers}
        self._scales = {layer: self.table.table_scale(layer) or 1.0 for layer in self.layers}
        with RecordReader(self.table) as reader:
            for layer, records in self._records.items():
                _fill(records, reader, layer)

    def allocated(self, layer: int) -> torch.Tensor:
        """Return room for one layer's records, uint8 (rows, record_bytes), on the device."""
        shape = (self.table.num_rows(layer), self.table.record.record_bytes)
        return torch.empty(shape, dtype=torch.uint8, device=self.device)

    @property
    def engine(self) -> str:
        """What gathers and dequantises: `triton` or `torch`."""
        return self._gathering.kernel

    @property
    def engine_chosen_because(self) -> str:
        """Why it is this one, in words."""
        return self._gathering.why

    def checked(
        self, layer: int, row_ids: RowIds, most_copied: int | None = None, *, ahead: bool = True
    ) -> Request:
        """Return the request for a layer's row ids; of those on the device, the type is checked."""
        self.raise_bad_ids()
        if not isinstance(row_ids, torch.Tensor) or not on_a_device(row_ids):
            return super().checked(layer, row_ids, most_copied, ahead=ahead)
        if layer not in self._num_rows:
            self.num_rows(layer)  # an error
        return device_request(row_ids, self.device, copied=ahead)

    def start(
        self,
        requests: dict[int, Request],
        keys: NDArray[np.uint64] | None = None,
        *,
        ahead: bool = True,
    ) -> Any:
        """Nothing to begin: every row is on the device. Copies of ids on it are marked as made."""
        on_device = any(isinstance(one.row_ids, torch.Tensor) for one in requests.values())
        if not ahead or not on_device or self.device.type != "cuda":
            return None
        copied = torch.cuda.Event()  # type: ignore[no-untyped-call]
        copied.record(torch.cuda.current_stream(self.device))
        return copied

    def finish(self, layer: int, request: Request, handle: Any, out: torch.Tensor) -> torch.Tensor:
        """Gather and dequantise records."""
        self.refuse_capture(request.row_ids)
        self.raise_bad_ids()
        ids, told = request.row_ids, self._bad[layer]
        from_host = isinstance(ids, np.ndarray)
        if from_host:
            ids = torch.from_numpy(ids).to(self.device, non_blocking=True)
        elif handle is not None:  # copied in `prefetch`, maybe on another stream
            stream = torch.cuda.current_stream(self.device)
            stream.wait_event(handle)
            ids.record_stream(stream)
        self.queue(layer, ids, out)
        if not from_host:
            told.note()
        return out

    def refuse_capture(self, row_ids: Any) -> None:
        """Refuse row ids on the host where the step is captured: a replay would not read them.

        Raises:
            ConfigError: it is so.
        """
        if isinstance(row_ids, np.ndarray) and capturing(self.device):
            raise ConfigError(
                "row ids on the host cannot be captured in a graph",
                hint="give ids on the device, or say before each replay which: store.slot()",
            )

    def queue(self, layer: int, row_ids: torch.Tensor, out: torch.Tensor) -> None:
        """Queue a gather by row ids on the device, contiguous (n,): nothing but that kernel."""
        rows, told = out.detach().view(-1, self.width), self._bad[layer]
        records, scale = self._records[layer], self._scales[layer]
        self._gathering.queue(records, row_ids, scale, rows, None, told.tensor, len(records))

    def made_slot(self, shapes: Shapes, closed: Closed) -> Slot:
        """Return fixed outputs, and row ids at a fixed place."""
        return IdSlot(self, shapes, closed)

    def raise_bad_ids(self, *, wait: bool = False) -> None:
        """Raise ValueError for a bad row id that the device has told of, once."""
        if self.usage.generation:  # a forked child cannot ask the device
            return
        for layer, told in list(self._bad.items()):
            position = told.check() if wait else told.found()
            if position is not None:
                told.clear()
                raise ValueError(
                    f"a row id at position {position:,} of a request, counted in order, is outside "
                    f"[0, {self.num_rows(layer):,}) of layer {layer}; its rows were NaN"
                )

    def stats(self) -> StoreStats:
        """Return a copy of the counters."""
        self.raise_bad_ids()
        return super().stats()

    def release(self) -> None:
        """Free the device memory, once no stream reads it any more."""
        try:
            if self.device.type == "cuda" and not self.usage.generation:  # a child has no stream
                torch.cuda.synchronize(self.device)
        finally:
            self._records.clear()
            self._bad.clear()


def _fill(records: torch.Tensor, reader: RecordReader, layer: int) -> None:
    """Copy a layer to the device; each copy waits, so that any stream may read it afterwards."""
    for row in range(0, len(records), _CHUNK_ROWS):
        chunk = np.empty((min(_CHUNK_ROWS, len(records) - row), records.shape[1]), np.uint8)
        reader.read(layer, row, chunk)
        records[row : row + len(chunk)].copy_(torch.from_numpy(chunk))
