"""Rows on a device from slower tiers: kept there, or read into memory of the host and copied once.

The tiers below give records as they are stored; they are dequantised on the device. A step's rows
are begun together: the fastest tier's are copied where they lie, a thread brings the others while
the step runs, and each layer's are joined in the order in which they were asked for.
"""

from collections import deque
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from engramctl.errors import ConfigError
from engramctl.storage.device.device_cache import DeviceCache
from engramctl.storage.device.gathering import Gathering
from engramctl.storage.device.side_stream import capturing
from engramctl.storage.pinned import driver
from engramctl.storage.pinned.arrivals import Arrivals
from engramctl.storage.pinned.rooms import Room, Rooms
from engramctl.storage.requests.output import STORED
from engramctl.storage.requests.slot import Closed, Shapes, Slot
from engramctl.storage.requests.staged_rows import Staged
from engramctl.storage.requests.stats import StoreStats
from engramctl.storage.requests.ticket import Request
from engramctl.storage.tiers.host import HostStore
from engramctl.storage.tiers.ssd import SsdStore
from engramctl.storage.tiers.staged_slot import StagedSlot
from engramctl.storage.tiers.store import Store
from engramctl.storage.tiers.tier_list import TierList


class StagedStore(Store):
    """Rows of the host or ssd tier, or a mixture, on a device."""

    def __init__(self, *words: Any, kernel: str = "auto") -> None:
        """Made by `open_store`, as any store; `kernel` gathers on the device, see `Gathering`."""
        self.whole, self._kernel = words[-1].whole, kernel
        super().__init__(*words)
        self._most_copied = None  # rows are taken into the device's cache by these ids, later

    def load(self, budget_bytes: int | None) -> None:
        """Open the tiers below, and take the device memory of the one on it."""
        spec, device = self.table.record, self.device
        if self.dtype is STORED:
            raise ConfigError(
                "rows are dequantised where they are staged on a device",
                facts={"found": "torch.uint8, rows as they are stored"},
                hint="open the store with device='cpu' for records",
            )
        self._values = Gathering(spec, device, self.dtype, self._kernel)
        self.below = self.opened_below(budget_bytes)
        self.cache: DeviceCache | None = None
        try:
            self.rooms = Rooms(spec.record_bytes, device)
            self.arrivals = Arrivals(device, queues=self._reads_in_place())
            size = self.tiers.cache_bytes("gpu")
            copies = Gathering(spec, device, STORED, self._kernel)
            if size:
                self.cache = DeviceCache(self.table, size, copies, device)
        except BaseException:
            self._let_go()
            raise
        self._scales = {layer: self.table.table_scale(layer) or 1.0 for layer in self.layers}
        self._to_keep: deque[tuple[Staged, torch.Tensor]] = deque()

    def opened_below(self, budget_bytes: int | None) -> HostStore | SsdStore:
        """Open what is below the device: it gives records, in memory of the host."""
        below = TierList(self.whole, tuple(one for one in self.tiers.caches if one[0] != "gpu"))
        opened = HostStore if self.whole == "host" else SsdStore
        return opened(
            self.table, STORED, torch.device("cpu"), budget_bytes, self.wanted_engine,
            self._scheme, self.cache_bytes, self.fill, below,
        )  # fmt: skip

    def _reads_in_place(self) -> bool:
        """Tell whether a kernel reads memory of the host: what waits for rows there must."""
        on_cuda = self.device.type == "cuda"
        reads = not on_cuda or driver.reads_registered(self.device.index or 0)
        return reads and self._values.kernel == "triton"

    @property
    def mode(self) -> str:
        """As of the tiers below."""
        return self.below.mode

    @property
    def engine(self) -> str:
        """As of the tiers below."""
        return self.below.engine

    @property
    def engine_chosen_because(self) -> str | None:
        """As of the tiers below."""
        return self.below.engine_chosen_because

    @property
    def gathers_because(self) -> str:
        """Why it is this kernel that dequantises on the device, in words."""
        return self._values.why

    @property
    def uses_keys(self) -> bool:
        """As of the tiers below; of a row cache on the device n-grams are not known."""
        return self.below.uses_keys and self.cache is None

    def start(
        self,
        requests: dict[int, Request],
        keys: NDArray[np.uint64] | None = None,
        *,
        ahead: bool = True,
    ) -> dict[int, Staged]:
        """Take what the device has, and begin to read the rest, all layers together."""
        self._refuse_capture()
        self.arrivals.raise_late()
        self.settle()
        parts = {layer: self._parted(layer, one) for layer, one in requests.items()}
        missed = {
            layer: part.rows.reshape(requests[layer].shape if part.gone is None else (-1,))
            for layer, part in parts.items()
            if len(part.rows) and not self._come_now(part)
        }
        if missed:
            ticket = self.below.prefetch(missed, keys if self.uses_keys else None)
            for layer, rows in missed.items():
                part = parts[layer]
                part.ticket, part.shape = ticket, rows.shape
                if ahead:
                    room = self.rooms.take(len(part.rows))
                    part.arrival = self.arrivals.begin(self._reading(part, room), room)
        return parts

    def _refuse_capture(self) -> None:
        if capturing(self.device):
            raise ConfigError(
                f"rows of the {self.tier} tier are read by the host, which a captured graph is not",
                hint="ask for them before the graph is replayed, with fixed outputs: store.slot()",
            )

    def _come_now(self, part: Staged) -> bool:
        """Bring a few rows that host memory has: a thread would take longer to begin."""
        room = self.rooms.take(len(part.rows))
        if not self.below.few_gathered(part.layer, part.rows, room.records):
            return False
        part.arrival = self.arrivals.here(room)
        return True

    def _parted(self, layer: int, request: Request) -> Staged:
        """Part a layer's rows into those that the device has, and the others."""
        if self.cache is None:
            return Staged(layer, request.row_ids)
        held, here, gone = self.cache.take(layer, request.row_ids)
        if not len(here):
            return Staged(layer, request.row_ids)
        places = self.cache.there(here), self.cache.there(gone)
        return Staged(layer, request.row_ids[gone], held, *places)

    def _reading(self, part: Staged, room: Room) -> Callable[[], object]:
        """Return what reads rows into a room, for any thread."""
        assert part.ticket is not None
        records = room.records.view(*part.shape, self.table.record.record_bytes)
        return partial(part.ticket.wait, part.layer, records)

    def finish(self, layer: int, request: Request, handle: Any, out: torch.Tensor) -> torch.Tensor:
        """Queue the joining of a layer's rows."""
        self._refuse_capture()
        part: Staged = handle[layer]
        rows = out.detach().view(-1, self.row_dim)
        if part.held is not None and self.cache is not None:
            self.cache.stream.lead(part.held, *part.places)
            self._joined(layer, part.held, rows, part.here)
        if part.ticket is not None and part.arrival is None:
            room = self.rooms.take(len(part.rows))
            self._reading(part, room)()
            part.arrival = self.arrivals.here(room)
        if part.arrival is not None:
            self.arrivals.wait(part.arrival)
            records = self._copied(part.arrival.room)
            self._joined(layer, records, rows, part.gone)
            if self.cache is not None:
                self._to_keep.append((part, records))
                self.settle()
        return out

    def _copied(self, room: Room) -> torch.Tensor:
        """Queue one copy of records to the device, and note when it is done."""
        if self.device.type != "cuda":
            return room.records.to(self.device)
        room.read = torch.cuda.Event()  # type: ignore[no-untyped-call]
        try:  # interrupted or not, it may be read
            return room.records.to(self.device, non_blocking=True)
        finally:
            room.read.record(torch.cuda.current_stream(self.device))

    def dequantise(
        self,
        layer: int,
        records: torch.Tensor,
        numbers: torch.Tensor,
        rows: torch.Tensor,
        targets: torch.Tensor | None,
    ) -> None:
        """Queue the writing of records' values to rows of an output; see `Gathering.gather`."""
        self._values.gather(records, numbers, self._scales[layer], rows, targets=targets)

    def _joined(
        self, layer: int, records: torch.Tensor, rows: torch.Tensor, targets: torch.Tensor | None
    ) -> None:
        every = torch.arange(len(records), device=self.device)
        self.dequantise(layer, records, every, rows, targets)

    def settle(self) -> None:
        """Take rows into the device's cache that are known to have come."""
        if self.cache is None:
            return
        for _ in range(len(self._to_keep)):
            try:
                part, records = self._to_keep.popleft()
            except IndexError:  # another thread does it too
                return
            assert part.arrival is not None
            if not part.arrival.done.is_set():
                self._to_keep.append((part, records))
            elif part.arrival.error is None:
                self.cache.put(part.layer, part.rows, records, part.arrival.room.read)

    def made_slot(self, shapes: Shapes, closed: Closed) -> Slot:
        """Return fixed outputs, and memory of the host that a graph reads."""
        return StagedSlot(self, shapes, closed)

    @property
    def cache_capacity(self) -> int:
        """Rows that the row caches hold, the device's and what is below."""
        return self.below.cache_capacity + (0 if self.cache is None else self.cache.capacity)

    def warm_rows(self, rows: Mapping[int, NDArray[np.int64]]) -> None:
        """Fill the row caches, the device's first; see `KeepsRows.warm`."""
        rest = rows if self.cache is None else self.cache.warm(rows, self._brought)
        self.below.warm(rest)

    def _brought(self, layer: int, row_ids: NDArray[np.int64]) -> tuple[torch.Tensor, Any]:
        """Return records of rows that nobody asked for, and behind which event they are there."""
        room = self.rooms.take(len(row_ids))
        self.below.bring(layer, row_ids, room.records)
        return self._copied(room), room.read

    def drop_rows(self, rows: Mapping[int, NDArray[np.int64]] | None) -> None:
        """Make rows cold; see `KeepsRows.drop`."""
        self.settle()
        if self.cache is not None:
            self.cache.drop(rows)
        self.below.drop(rows)

    def resident(self, layer: int, row_ids: NDArray[np.int64]) -> tuple[int, int] | None:
        """As of the tiers below."""
        with self.usage.call():
            return self.below.resident(layer, row_ids)

    def by_tier(self, rows_unique: int) -> dict[str, int]:
        """Return how many of the distinct rows each tier served, the device's cache first."""
        missed = min(rows_unique, self.below.stats().rows_unique)
        below = self.below.by_tier(missed)
        return below if self.cache is None else {"gpu": rows_unique - missed, **below}

    def stats(self) -> StoreStats:
        """Return a copy of the counters: rows as they were asked for, reads of the tiers below."""
        own, found = super().stats(), self.below.stats()
        found.mode, found.engine, found.rows_by_tier = own.mode, own.engine, own.rows_by_tier
        found.rows_asked, found.rows_unique = own.rows_asked, own.rows_unique
        found.useful_bytes, found.stall_ns = own.useful_bytes, own.stall_ns
        if self.cache is not None:
            found.index_bytes += self.cache.index.num_bytes
        return found

    def release(self) -> None:
        """Wait for what is read and queued; free all memory and close the tiers below."""
        try:
            self.arrivals.close()
            self._to_keep.clear()
            if self.device.type == "cuda" and not self.usage.generation:
                torch.cuda.synchronize(self.device)
        finally:
            self._let_go()

    def _let_go(self) -> None:
        """Let go of what `load` got hold of, as far as it came, whatever fails."""
        with ExitStack() as stack:
            stack.callback(self.below.close)
            kept = ("cache",) if not self.usage.generation else ()  # a forked child has no stream
            for name in ("rooms", "arrivals", *kept):
                held = getattr(self, name, None)
                if held is not None:
                    stack.callback(held.release)
