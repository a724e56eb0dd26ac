"""Stored rows kept on a device, in memory of an exact size; which ones, S3-FIFO says on the host.

Who finds a row here copies its record away at once, on the stream on which records are written:
so what comes later cannot change what was found.
"""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from engramctl.errors import ConfigError
from engramctl.storage.cache.row_index import RowIndex, most_wanted
from engramctl.storage.cache.slots import MOST_SLOTS
from engramctl.storage.device.gathering import Gathering
from engramctl.storage.device.side_stream import SideStream
from engramctl.storage.reading.source import Source

_WARMED = 4096  # rows brought together


class DeviceCache:
    """A row cache in device memory. Safe from several threads.

    Attributes:
        capacity: rows it can hold.
        index: which rows are in which slots.
    """

    def __init__(
        self, source: Source, num_bytes: int, copies: Gathering, device: torch.device
    ) -> None:
        """Take the memory.

        Args:
            source: whose rows.
            num_bytes: bound of the records on the device; the index is in host memory.
            copies: moves records there, as they are.
            device: where.

        Raises:
            ConfigError: it is too small for a row.
        """
        self._record_bytes = source.record.record_bytes
        total = sum(source.num_rows(layer) for layer in source.layers)
        self.capacity = min(num_bytes // self._record_bytes, total, MOST_SLOTS)
        if self.capacity < 1:
            raise ConfigError(
                "the row cache of the device is too small",
                facts={"expected": f"at least {self._record_bytes:,} bytes, a row",
                       "found": f"{num_bytes:,} bytes"},
                hint="give it more: gpu:1GiB",
            )  # fmt: skip
        self._copies, self._device = copies, device
        self._records = self._room(self.capacity)
        self.index = RowIndex(source, self.capacity)
        self.index.compile(source.layers[0])
        self.stream = SideStream(device)
        self.stream.follow()  # its memory may be what work that is queued there still reads

    @property
    def num_bytes(self) -> int:
        """Bytes of device memory."""
        return self._records.nbytes

    @property
    def rows(self) -> int:
        """Rows held now."""
        return self.index.rows

    def take(
        self, layer: int, rows: NDArray[np.int64], room: torch.Tensor | None = None
    ) -> tuple[torch.Tensor, NDArray[np.int64], NDArray[np.int64]]:
        """Copy the records of rows that are here.

        Args:
            layer: whose rows.
            rows: row ids, int64 (n,).
            room: where to, uint8 (n, record_bytes) on the device; None: memory of their own.

        Returns:
            the records, uint8 (k, record_bytes), on the device once `stream` leads to whoever uses
            them; the positions in `rows` of these, and of the others, int64, ascending.
        """
        with self.index.lock:
            slots = self.index.slots_of(layer, rows)
            here = np.flatnonzero(slots >= 0)
            with self.stream.queue():
                held = self._room(len(here)) if room is None else room[: len(here)]
                if len(here):
                    self._copies.copy(self._records, self._there(slots[here]), held)
        return held, here, np.flatnonzero(slots < 0)

    def put(
        self, layer: int, rows: NDArray[np.int64], records: torch.Tensor, event: Any = None
    ) -> None:
        """Take in rows that came.

        Args:
            layer: whose rows.
            rows: row ids, int64 (n,).
            records: uint8 (n, record_bytes), on the device.
            event: behind which the records are there; None: they are, or come on `stream`.
        """
        self.stream.follow_event(event)
        with self.index.lock:
            try:
                self._write(self.index.admit(layer, rows), records)
            except BaseException:
                self.index.drop({layer: rows})  # their records may not be there
                raise
        self.stream.keep(records)

    def _write(self, slots: NDArray[np.int64], records: torch.Tensor) -> None:
        """Queue the writing of records to their slots."""
        kept = np.flatnonzero(slots >= 0)
        if not len(kept):
            return
        with self.stream.queue():
            some = records
            if len(kept) < len(slots):
                some = self._room(len(kept))
                self._copies.copy(records, self._there(kept), some)
            self._copies.put(self._records, self._there(slots[kept]), some)

    def _room(self, num_rows: int) -> torch.Tensor:
        shape = num_rows, self._record_bytes
        return torch.empty(shape, dtype=torch.uint8, device=self._device)

    def there(self, numbers: NDArray[np.int64]) -> torch.Tensor:
        """Return numbers on the device, once `stream` leads to whoever uses them."""
        with self.stream.queue():
            return self._there(numbers)

    def _there(self, numbers: NDArray[np.int64]) -> torch.Tensor:
        return torch.from_numpy(numbers).to(self._device, non_blocking=True)

    def warm(
        self,
        rows: Mapping[int, NDArray[np.int64]],
        bring: Callable[[int, NDArray[np.int64]], tuple[torch.Tensor, Any]],
    ) -> dict[int, NDArray[np.int64]]:
        """Fill the cache while it has room, the least wanted rows first.

        Args:
            rows: layer -> row ids, int64 (n,), each once, the most wanted first.
            bring: returns records of some rows of a layer, on the device, and their event.

        Returns:
            the rows that found no room.
        """
        kept = most_wanted(rows, self.capacity - self.rows)
        for layer, ids in kept.items():
            for start in reversed(range(0, len(ids), _WARMED)):
                some = ids[start : start + _WARMED]
                self.put(layer, some, *bring(layer, some))
        self.index.keep_all()
        return {layer: ids[len(kept[layer]) :] for layer, ids in rows.items()}

    def drop(self, rows: Mapping[int, NDArray[np.int64]] | None) -> None:
        """Hold none of these rows any more; None: no row at all."""
        if rows is None:
            self.index.clear()
        else:
            self.index.drop(rows)

    def release(self) -> None:
        """Free the device memory, once nothing queued here needs it."""
        self.stream.finish()
        self._records = self._records[:0].clone()
