"""The host tier for a GPU: the table in pinned memory, read from there or copied.

A few rows: one kernel reads records over the bus and dequantises them, and nothing waits. Many: the
CPU gathers records into a pinned buffer, one copy brings them, a kernel on the device dequantises.
From how many on, is measured when the store is opened.
"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from engramctl.errors import ConfigError
from engramctl.memory import available_bytes
from engramctl.runtime.threads import default_workers
from engramctl.storage.device.bad_ids import BadIds
from engramctl.storage.device.gathering import KERNELS, Gathering
from engramctl.storage.io.gather import gather_rows
from engramctl.storage.io.gather_threads import in_pieces
from engramctl.storage.io.row_map import RowMap, View
from engramctl.storage.memory.host_memory import whole_pages
from engramctl.storage.pinned import crossover, driver
from engramctl.storage.pinned.pinned import PinnedMemory
from engramctl.storage.pinned.staging import Staging
from engramctl.storage.reading.region import Region
from engramctl.storage.reading.source import PlacedTables, RecordReader, Source
from engramctl.storage.requests.checked_ids import RowIds
from engramctl.storage.requests.device_ids import on_a_device
from engramctl.storage.requests.slot import Closed, Shapes, Slot
from engramctl.storage.requests.ticket import Request
from engramctl.storage.tiers.by_address import resident_of
from engramctl.storage.tiers.gpu import GpuStore
from engramctl.storage.tiers.said_of_table import refuse_above
from engramctl.storage.tiers.store import Store

_CHUNK_BYTES = 8 << 20  # read at a time
_STORED = 1  # for `gather_rows`: records as they are


class PinnedHostStore(GpuStore):
    """Rows as packed records in pinned host memory, gathered as the gpu tier's, or copied.

    Attributes:
        memory: that holds the table.
        staging: the buffers through which rows are copied.
        crossover: from how many rows on they are, and why.
    """

    whole = "host"

    def load(self, budget_bytes: int | None) -> None:
        """Choose a kernel, read the table into pinned memory, and measure the two ways."""
        width = self.table.record.record_bytes
        sizes = {layer: whole_pages(self.num_rows(layer) * width) for layer in self.layers}
        free = available_bytes()
        limit = free if budget_bytes is None else min(free, budget_bytes)
        hint = "use --tier ssd, or a table with fewer slots"
        refuse_above(self.tier, limit, sum(sizes.values()), hint)
        wanted = self.wanted_engine if self.wanted_engine in KERNELS else "auto"
        self._gathering = Gathering(self.table.record, self.device, self.dtype, wanted)
        on_gpu = self.device.type == "cuda"
        self.memory = PinnedMemory(sum(sizes.values()), device=self.device if on_gpu else None)
        try:
            self.staging = Staging(width, self.device, self.memory.numa_node)
            self._lay_out(sizes)
            self._bad = {layer: BadIds(self.device) for layer in self.layers}
            self._scales = {layer: self.table.table_scale(layer) or 1.0 for layer in self.layers}
            self._identity = torch.arange(self.staging.rows, dtype=torch.int32, device=self.device)
            self.crossover = self._measured()
            self._wait()  # what was made here is there for any stream
        except BaseException:
            self._let_go()
            raise

    def _lay_out(self, sizes: dict[int, int]) -> None:
        """Read every layer's records to their place."""
        packed = packed_rows(self.table)
        self._records: dict[int, torch.Tensor] = {}
        self._maps: dict[int, RowMap] = {}
        at = 0
        with RecordReader(self.table) as reader:
            for layer, size in sizes.items():
                rows = self.num_rows(layer)
                part = self.memory.array[at : at + rows * self.table.record.record_bytes]
                _fill(reader, layer, part.reshape(rows, -1))
                self._records[layer] = torch.from_numpy(part).view(rows, -1)
                self._maps[layer] = RowMap.in_memory(packed, layer, _is(part))
                at += size

    @property
    def facts(self) -> dict[str, Any]:
        """What results say of the pinned memory and of the two ways."""
        return {
            **self.memory.facts(),
            "staging_bytes": self.staging.memory.num_bytes,
            "staged_from_rows": self.crossover.rows,
            "crossover": [vars(one) for one in self.crossover.times],
        }

    @property
    def engine_chosen_because(self) -> str:
        """Why it is this kernel, from where pages come, and when rows are copied."""
        return f"{self._gathering.why}; {self.memory.numa_why}; {self.crossover.why}"

    @property
    def reads_in_place(self) -> bool:
        """Whether a kernel reads the pinned memory by itself."""
        return bool(self.crossover.times)

    def checked(
        self, layer: int, row_ids: RowIds, most_copied: int | None = None, *, ahead: bool = True
    ) -> Request:
        """Return the request for row ids; those on the device stay there if a kernel reads rows."""
        if self.reads_in_place or not on_a_device(row_ids):
            return super().checked(layer, row_ids, most_copied, ahead=ahead)
        return Store.checked(self, layer, row_ids, most_copied, ahead=ahead)

    def finish(self, layer: int, request: Request, handle: Any, out: torch.Tensor) -> torch.Tensor:
        """Gather in place, or copy and gather there: by the number of rows, of ids on the CPU."""
        ids = request.row_ids
        if not isinstance(ids, np.ndarray) or not self.crossover.staged(len(ids)):
            return super().finish(layer, request, handle, out)
        self.refuse_capture(ids)
        self.raise_bad_ids()
        self._staged(layer, ids, out.detach().view(-1, self.width))
        return out

    def _staged(self, layer: int, ids: NDArray[np.int64], rows: torch.Tensor) -> None:
        """Gather records on the CPU, copy them, and dequantise them on the device."""
        row_map, scale = self._maps[layer], self._scales[layer]

        def fill(start: int, stop: int, buffer: NDArray[np.uint8]) -> None:
            gather_records(ids[start:stop], row_map, buffer)

        def use(start: int, stop: int, records: torch.Tensor) -> None:
            part = self._identity[: stop - start]
            self._gathering.gather(records, part, scale, rows[start:stop])

        self.staging.copy(len(ids), fill, use)

    def made_slot(self, shapes: Shapes, closed: Closed) -> Slot:
        """Return fixed outputs, and row ids at a fixed place, for a kernel that reads in place.

        Raises:
            ConfigError: none does here: rows are gathered by the CPU.
        """
        if not self.reads_in_place:
            raise ConfigError(
                "rows of the host tier cannot be captured in a graph here",
                facts={"reason": self.crossover.why},
                hint="wait for tickets between the parts of a step that are captured",
            )
        return super().made_slot(shapes, closed)

    def _measured(self) -> crossover.Crossover:
        """Time both ways on random rows of the first layer."""
        if self._gathering.kernel != "triton" and self.device.type == "cuda":
            return crossover.without_choice(f"torch reads no host memory; {self._gathering.why}")
        if self.device.type == "cuda" and not driver.reads_registered(self.device.index or 0):
            return crossover.without_choice("the device does not read registered memory in place")
        layer, random = self.layers[0], np.random.default_rng(0)
        most = max(crossover.SIZES)
        ids = random.integers(0, self.num_rows(layer), 4 * most)
        turn = count()
        out = torch.empty((most, self.width), dtype=self.dtype, device=self.device)

        def drawn(rows: int) -> NDArray[np.int64]:  # others each time: nothing is in a cache
            start = next(turn) * most % (len(ids) - most + 1)
            return ids[start : start + rows]

        def uva(rows: int) -> None:
            there = torch.from_numpy(drawn(rows)).to(self.device, non_blocking=True)
            self._gathering.gather(self._records[layer], there, self._scales[layer], out[:rows])
            self._wait()

        def staged(rows: int) -> None:
            self._staged(layer, drawn(rows), out[:rows])
            self._wait()

        return crossover.measured(uva, staged)

    def _wait(self) -> None:
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)

    def resident(self, layer: int, row_ids: NDArray[np.int64]) -> tuple[int, int]:
        """Ask the kernel how much of the layer is in memory: pinned, it all is."""
        with self.usage.call():
            return resident_of(self._maps[layer].views)

    def release(self) -> None:
        """Unpin and unmap the table, once no stream reads it any more."""
        try:
            super().release()
        finally:
            self._let_go()

    def _let_go(self) -> None:
        """Let go of what `load` got hold of, as far as it came."""
        for name in ("_records", "_maps"):
            getattr(self, name, {}).clear()
        vars(self).pop("_identity", None)
        staging = getattr(self, "staging", None)
        try:
            if staging is not None:
                staging.close()
        finally:
            self.memory.close()


def _is(part: View) -> Callable[[Region], View]:
    return lambda region: part


def packed_rows(source: Source) -> PlacedTables:
    """Return a source's tables as they lie in memory: records back to back, one region a layer."""
    width = source.record.record_bytes
    tables = {
        layer: (Region(source.path, 0, width, 0, source.num_rows(layer), 0, 1, width),)
        for layer in source.layers
    }
    scales = {layer: source.table_scale(layer) for layer in source.layers}
    return PlacedTables(source.path, source.record, tables, scales)


def gather_records(ids: NDArray[np.int64], row_map: RowMap, out: NDArray[np.uint8]) -> None:
    """Copy records as they are stored, in several threads where there are many.

    Args:
        ids: int64 (n,).
        row_map: where they lie.
        out: uint8 (n, record_bytes), contiguous.

    Raises:
        IndexError: a row id outside the map, or an `out` of another size; nothing is read.
    """
    words = row_map.packed, _STORED, out.ctypes.data, out.nbytes
    in_pieces(len(ids), lambda start, stop: gather_rows(ids, start, stop, *words))


def _fill(reader: RecordReader, layer: int, records: NDArray[np.uint8]) -> None:
    """Read a layer's records, several threads at a time."""
    step = max(1, _CHUNK_BYTES // records.shape[1])

    def read(row: int) -> None:
        reader.read(layer, row, records[row : row + step])

    with ThreadPoolExecutor(default_workers()) as pool:
        for _ in pool.map(read, range(0, len(records), step)):
            pass
