"""Slots of rows that slower tiers bring: a graph waits for them itself, and reads them in place."""

import time
from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray

from engramctl.errors import ConfigError, StorageError
from engramctl.storage.device.side_stream import capturing
from engramctl.storage.memory.host_memory import whole_pages
from engramctl.storage.pinned.arrivals import Arrival
from engramctl.storage.pinned.pinned import PinnedMemory
from engramctl.storage.pinned.rooms import Room
from engramctl.storage.requests.checked_ids import RowIds
from engramctl.storage.requests.slot import Closed, Shapes, Slot
from engramctl.storage.requests.ticket import Ticket

if TYPE_CHECKING:
    from engramctl.storage.tiers.staged import StagedStore

NEVER_S = 60.0  # until a step that does not read its rows is taken for one that never will
_PAUSE_S = 5e-6
_PLACE_BYTES = 16  # of a row: where it goes, from either place


class _Line:
    """The fixed memory of a layer.

    Attributes:
        records: rows that slower tiers brought, in memory of the host that the device reads.
        held: rows that the device had.
        places: the output rows of `held` and of `records`, on the host, int64 (2, n); -1: none.
        there: the same on the device.
        came: word whose number says that rows have come.
        taken: word whose number says that the device has read them.
        seen: what the device has seen of `came`.
        owed: whether rows were asked for and not waited for, but by a captured graph.
        missed: row ids of `records`.
        arrival: of the last rows; None: none were asked for, or the device had all.
    """

    def __init__(self, store: "StagedStore", memory: NDArray[np.uint8], num_rows: int) -> None:
        record_bytes, device = store.table.record.record_bytes, store.device
        places, records = np.split(memory, [_PLACE_BYTES * num_rows])
        shape = num_rows, record_bytes
        self.places: NDArray[np.int64] = places.view(np.int64).reshape(2, num_rows)
        self.records = torch.from_numpy(records[: num_rows * record_bytes]).view(shape)
        self.held = torch.empty(shape, dtype=torch.uint8, device=device)
        self.there = torch.full((2, num_rows), -1, dtype=torch.int64, device=device)
        self.numbers = torch.arange(num_rows, device=device)
        self.missed: NDArray[np.int64] = np.empty(0, np.int64)
        self.arrival: Arrival | None = None
        self.seen = torch.zeros(1, dtype=torch.int32, device=device)
        self.owed = False
        self.came, self.taken = store.arrivals.reserve(), store.arrivals.reserve()
        first = store.arrivals.number(self.came)
        store.arrivals.write(self.taken, first)
        self.seen.fill_(first)

    def room(self, num_rows: int) -> Room:
        """Return the first of `records`, as rows on their way take it."""
        return Room(self.records[:num_rows], None, (0, 0))

    @staticmethod
    def bytes(store: "StagedStore", num_rows: int) -> int:
        """Return the host memory of a line, whole pages."""
        return whole_pages((_PLACE_BYTES + store.table.record.record_bytes) * num_rows)


class StagedSlot(Slot):
    """Rows of a mixture, or of a tier below the device, at fixed addresses."""

    def __init__(self, store: "StagedStore", shapes: Shapes, closed: Closed) -> None:
        """As `Slot`.

        Raises:
            ConfigError: the device cannot read memory of the host.
        """
        if store.device.type == "cuda" and not store.arrivals.queues:
            raise ConfigError(
                f"rows of the {store.tier} tier cannot be captured in a graph here",
                facts={"reason": store.gathers_because},
                hint="wait for tickets between the parts of a step that are captured",
            )
        super().__init__(store, shapes, closed)
        self._store = store
        self._sizes = {layer: int(np.prod(shape)) for layer, shape in self.shapes.items()}
        needed = {layer: _Line.bytes(store, size) for layer, size in self._sizes.items()}
        pinned = store.device if store.device.type == "cuda" else None
        self._memory = PinnedMemory(max(1, sum(needed.values())), device=pinned)
        self._lines: dict[int, _Line] = {}
        at = 0
        try:
            for layer, size in self._sizes.items():
                memory = self._memory.array[at : at + needed[layer]]
                self._lines[layer] = _Line(store, memory, size)
                self._join(layer, self._lines[layer])  # no row: it compiles what a capture may not
                at += needed[layer]
        except BaseException:
            self.let_go()
            raise

    def ask(self, requests: Mapping[int, RowIds], keys: Any) -> None:
        """Begin to bring the rows of a step, once the one before has read its own."""
        store = self._store
        if capturing(store.device):
            raise ConfigError(
                "which rows a step reads is said before its graph is replayed, not captured",
                hint="capture slot.wait(); call slot.prefetch() before each replay",
            )
        for line in self._lines.values():
            self._until_taken(line)
        store.arrivals.raise_late()
        try:
            self._ask(requests, keys)
        except BaseException:
            for line in self._lines.values():
                self._pass_over(line)
            raise

    def _ask(self, requests: Mapping[int, RowIds], keys: Any) -> None:
        store = self._store
        checked = {layer: store.checked(layer, ids, ahead=False) for layer, ids in requests.items()}
        self._keep()
        rows = {layer: self._part(layer, one.row_ids) for layer, one in checked.items()}
        later = {
            layer: ids.reshape(checked[layer].shape)
            if len(ids) == len(checked[layer].row_ids)
            else ids
            for layer, ids in rows.items()
            if not self._come_now(layer, ids)
        }
        ticket = store.below.prefetch(later, keys if store.uses_keys else None) if later else None
        for layer, line in self._lines.items():
            if ticket is not None and layer in later:
                line.arrival = self._begun(ticket, layer, later[layer])
            line.missed = rows[layer]
            line.there.copy_(torch.from_numpy(line.places), non_blocking=True)
            line.owed = True
        if store.cache is not None:
            store.cache.stream.lead()
        store.count(checked.values())

    def _come_now(self, layer: int, rows: NDArray[np.int64]) -> bool:
        """Bring a few rows that host memory has, or none."""
        line, store = self._lines[layer], self._store
        room, line.arrival = line.room(len(rows)), None  # `records` may be written over
        if len(rows) and not store.below.few_gathered(layer, rows, room.records):
            return False
        line.arrival = store.arrivals.here(room, line.came)
        return True

    def _begun(self, ticket: Ticket, layer: int, rows: NDArray[np.int64]) -> Arrival:
        """Have a layer's rows brought by the thread."""
        line, arrivals = self._lines[layer], self._store.arrivals
        room = line.room(rows.size)
        records = room.records.view(*rows.shape, self._store.table.record.record_bytes)
        arrival = arrivals.begin(partial(ticket.wait, layer, records), room, line.came)
        arrivals.watch(arrival)
        return arrival

    def _until_taken(self, line: _Line) -> None:
        """Wait, on the host, until the device has read the rows of the step before."""
        arrivals = self._store.arrivals
        deadline = time.monotonic() + NEVER_S
        while arrivals.told(line.taken) != arrivals.number(line.came):
            if time.monotonic() > deadline:
                raise StorageError(
                    f"the rows of a slot were not taken within {NEVER_S:.0f} s",
                    hint="wait for every layer of the slot once after each prefetch, or replay "
                    "the graph that does",
                )
            time.sleep(_PAUSE_S)

    def _pass_over(self, line: _Line) -> None:
        """Leave out rows that were begun, of a step that is not to be run."""
        arrivals, line.owed = self._store.arrivals, False
        number = arrivals.number(line.came)
        if arrivals.told(line.taken) == number:
            return
        arrivals.end(line.came)  # a thread may still write to `records`
        line.arrival = None
        line.seen.fill_(number)
        arrivals.write(line.taken, number)

    def _part(self, layer: int, rows: NDArray[np.int64]) -> NDArray[np.int64]:
        """Copy what the device has to its fixed memory; returns the row ids that are missed."""
        line, cache = self._lines[layer], self._store.cache
        here, gone = np.empty(0, np.int64), np.arange(len(rows))
        if cache is not None:
            _, here, gone = cache.take(layer, rows, line.held)
        line.places[:] = -1
        line.places[0, : len(here)], line.places[1, : len(gone)] = here, gone
        return rows[gone]

    def _keep(self) -> None:
        """Take the rows of the step before into the device's cache."""
        cache = self._store.cache
        if cache is None:
            return
        for layer, line in self._lines.items():
            arrival = line.arrival
            if arrival is not None and arrival.error is None and len(line.missed):
                with cache.stream.queue():
                    records = arrival.records.to(self._store.device, non_blocking=True)
                cache.put(layer, line.missed, records)
        cache.stream.finish()  # `records` is read into again now

    def fill(self, layer: int) -> None:
        """Queue the wait for the rows, and their dequantising."""
        line, arrivals = self._lines[layer], self._store.arrivals
        captured = capturing(self._store.device)
        if not captured and not line.owed:  # a device would wait until the next rows come
            raise ValueError(
                f"no rows of layer {layer} are on their way to this slot: call prefetch before "
                "every step, and wait for each layer once"
            )
        if arrivals.queues:
            arrivals.wait_next(line.came, line.seen)
            line.owed = line.owed and captured
            try:
                self._join(layer, line)
            finally:  # `seen` goes on in any case, and `ask` waits for as much
                arrivals.tell(line.seen, line.taken)
            return
        assert line.arrival is not None  # it is owed
        line.arrival.done.wait()
        line.owed = False
        arrivals.write(line.taken, arrivals.number(line.came))
        line.arrival.raise_error()
        self._join(layer, line)

    def _join(self, layer: int, line: _Line) -> None:
        """Queue the writing of all rows to the output, from wherever they are."""
        rows = self.out[layer].view(-1, self._store.row_dim)
        for records, places in zip((line.held, line.records), line.there, strict=True):
            self._store.dequantise(layer, records, line.numbers, rows, places)

    def let_go(self) -> None:
        """Wait for what is queued, and free the memory."""
        store = self._store
        try:
            if not store.usage.generation:  # a forked child has neither thread nor stream
                self._give_words_back()
        finally:
            self._lines.clear()
            self._memory.close()

    def _give_words_back(self) -> None:
        store, arrivals = self._store, self._store.arrivals
        for line in self._lines.values():
            arrivals.end(line.came)
            arrivals.let_through(line.came)  # a graph may be queued whose rows nobody asked for
        if store.device.type == "cuda":
            torch.cuda.synchronize(store.device)
        for line in self._lines.values():
            arrivals.free(line.came)
            arrivals.free(line.taken)
