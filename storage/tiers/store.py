"""Store: the contract every tier keeps, and the bookkeeping they share.

A step's row ids are known when it starts, so one `prefetch` names the rows of all layers and
`wait` collects them layer by layer, each when its layer needs it.
"""

import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray

from engramctl.runtime.threads import renew_in_children
from engramctl.runtime.untraced import untraced
from engramctl.storage.io.gather_at_once import MOST_ROWS
from engramctl.storage.reading.source import Source
from engramctl.storage.record_log.self_filled import SelfFilled
from engramctl.storage.requests.checked_ids import RowIds, checked_request, plain_ids
from engramctl.storage.requests.distinct_ids import compile_counts
from engramctl.storage.requests.gives_slots import GivesSlots
from engramctl.storage.requests.keeps_rows import KeepsRows
from engramctl.storage.requests.output import output, output_width
from engramctl.storage.requests.stats import StoreStats
from engramctl.storage.requests.ticket import Request, Ticket
from engramctl.storage.requests.usage import ON_GPU, Call, Usage
from engramctl.storage.tiers.near_rows import Near, NearRows
from engramctl.storage.tiers.said_of_table import scheme_document
from engramctl.storage.tiers.tier_list import TierList


class Store(NearRows, GivesSlots, KeepsRows, ABC):
    """Rows of a table on one tier. Use as a context manager; safe from several threads."""

    whole: str  # the tier that holds every row

    def __init__(
        self,
        table: Source,
        dtype: torch.dtype,
        device: torch.device,
        budget_bytes: int | None = None,
        engine: str = "auto",
        scheme: Mapping[str, Any] | None = None,
        cache_bytes: int = 0,
        fill: SelfFilled | None = None,
        tiers: TierList | None = None,
    ) -> None:
        """Made by `open_store`, which has the arguments' meaning and the errors."""
        self.width = output_width(table.record, dtype)
        self.table, self.dtype, self.device = table, dtype, device
        self.tiers = tiers or TierList(self.whole)
        self._scheme = scheme
        self._num_rows = {layer: table.num_rows(layer) for layer in table.layers}
        self._stats = StoreStats()
        self.lock = threading.Lock()
        self.usage = Usage()
        self.near: dict[int, Near] = {}  # layers whose rows may all be in this process's memory
        self.wanted_engine, self.cache_bytes, self.fill = engine, cache_bytes, fill
        self.reopen: Callable[[], Any] | None = None  # set by who opened it by path
        bounded = budget_bytes if self.whole == "ssd" else None
        self._most_copied = max(256, (bounded - cache_bytes) >> 15) if bounded else None
        compile_counts(copied=self._most_copied is None)
        with torch.inference_mode(False):  # its tensors are written to in any mode
            self.load(budget_bytes)
        renew_in_children(self)

    def renew(self) -> None:
        """Go on in a forked child, where no other thread is; a store on a GPU cannot.

        Torch's own threads are not there either, and many rows would wait for them for ever; so
        the child's torch uses one, as in the workers of torch's DataLoader.
        """
        torch.set_num_threads(1)
        self.lock = threading.Lock()
        self.usage.renew(self.over_in_child())

    def over_in_child(self) -> str | None:
        """Return why a forked child cannot use the store, or None; its parts were renewed."""
        return ON_GPU if self.device.type == "cuda" else None

    def __reduce__(self) -> tuple[Callable[[], Any], tuple[()]]:
        """Be opened again in another process, by path: on the ssd tier, where nothing is copied."""
        if self.reopen is None or self.whole != "ssd":
            raise TypeError(f"a store of {self.tier} rows is not pickled: open one in each process")
        return self.reopen, ()

    @abstractmethod
    def load(self, budget_bytes: int | None) -> None:
        """Get hold of the table: copy it to memory, or map its files."""

    @property
    def tier(self) -> str:
        """The tier's name; of a mixture all of them, the fastest first: `host:1GiB,ssd`."""
        return self.tiers.name

    @property
    def layers(self) -> tuple[int, ...]:
        """Layers that have a table."""
        return self.table.layers

    @property
    def scheme(self) -> dict[str, Any]:
        """The document of the scheme these rows are for, as `scheme.json` has it.

        Raises:
            ConfigError: they are a checkpoint's, which does not say it.
        """
        return scheme_document(self.table, self._scheme)

    @property
    def row_dim(self) -> int:
        """E, values in a row."""
        return self.table.record.row_dim

    @property
    def mode(self) -> str:
        """`memory`; on the ssd tier `mapped` or `direct`."""
        return "memory"

    @property
    def uses_keys(self) -> bool:
        """Whether n-gram keys given to `prefetch` can save reads."""
        return False

    @property
    def engine(self) -> str:
        """What reads the rows, for results; on the gpu tier `triton` or `torch`."""
        return "memory"

    @property
    def engine_chosen_because(self) -> str | None:
        """Why it is this engine, in words; None where there was no choice."""
        return None

    def num_rows(self, layer: int) -> int:
        """Return the rows of a layer's table."""
        return self.table.num_rows(layer)

    @untraced
    def gather(self, layer: int, row_ids: RowIds, out: torch.Tensor | None = None) -> torch.Tensor:
        """Return rows now: as `prefetch({layer: row_ids}).wait(layer, out)`, without a ticket."""
        with Call(self.usage):
            if layer in self.near:
                flat, shape = plain_ids(row_ids)
                if len(flat) <= MOST_ROWS:
                    target = self.target(shape, out)
                    if self.gathered(layer, flat, target):
                        return target
            request = self.checked(layer, row_ids, self._most_copied, ahead=False)
            target = self.target(request.shape, out)
            handle = self.start({layer: request}, ahead=False)
            return self.collect(layer, request, handle, target, count=True)

    @untraced
    def prefetch(
        self, requests: Mapping[int, RowIds], keys: NDArray[np.uint64] | None = None
    ) -> Ticket:
        """Start reading the rows of a step, all layers together, and return at once.

        Args:
            requests: layer -> row ids, int32 or int64, (*S, H), on the CPU or the store's device.
                They are copied, but for more than the budget of an ssd tier has room for: such
                an array must stay as it is until its rows are waited for.
            keys: of the rows' n-grams, uint64 (*S, orders, 2), as `scheme.ngram_keys` gives them:
                equal keys mean equal rows in every layer. Where `uses_keys` they are copied, and
                a known n-gram is one read for its rows of all layers; else they are ignored.

        Returns:
            A ticket; at most 64 are open, then this call waits for one to end.

        Raises:
            ValueError: no such layer, ids of another type, or an id outside the table (the first
                one is named with its position), or keys that do not fit them, before any read. Of
                ids on a device of the gpu tier the next call that learns of one raises it, once:
                their rows are NaN.
            StorageError: the store is closed, or its files were changed.
        """
        with Call(self.usage):
            most = self._most_copied
            checked = {layer: self.checked(layer, ids, most) for layer, ids in requests.items()}
            place = object()
            try:
                self.usage.add_ticket(place)
                ticket = Ticket(self, place, checked, self.start(checked, keys))
            except BaseException:
                self.usage.end_ticket(place)
                raise
            self.count(checked.values())
        return ticket

    def count(self, requests: Iterable[Request]) -> None:
        """Count rows that were asked for."""
        with self.lock:
            for request in requests:
                self._stats.count(len(request.row_ids), request.distinct)

    def checked(
        self, layer: int, row_ids: RowIds, most_copied: int | None = None, *, ahead: bool = True
    ) -> Request:
        """Return the request for a layer's row ids; `ahead` as in `start`, errors of `prefetch`."""
        num_rows = self._num_rows.get(layer) or self.table.num_rows(layer)  # an error
        return checked_request(layer, row_ids, num_rows, most_copied)

    def target(self, ids_shape: tuple[int, ...], out: torch.Tensor | None) -> torch.Tensor:
        """Return the tensor to write the rows of ids to, checked when it is the caller's."""
        return output((*ids_shape, self.width), self.dtype, self.device, out)

    @abstractmethod
    def start(
        self,
        requests: dict[int, Request],
        keys: NDArray[np.uint64] | None = None,
        *,
        ahead: bool = True,
    ) -> Any:
        """Begin whatever must be read; the result is handed to `finish`.

        Args:
            requests: by layer.
            keys: see `prefetch`.
            ahead: the caller goes on meanwhile; else it waits at once.
        """

    @abstractmethod
    def finish(self, layer: int, request: Request, handle: Any, out: torch.Tensor) -> torch.Tensor:
        """Write one layer's rows into `out` and return it."""

    def bring(self, layer: int, row_ids: NDArray[np.int64], out: torch.Tensor) -> None:
        """Write rows to `out` that nobody asked for, counted nowhere and kept by no tier."""
        request = self.checked(layer, row_ids, ahead=False)
        self.finish(layer, request, self.start({layer: request}, ahead=False), out)

    def resident(self, layer: int, row_ids: NDArray[np.int64]) -> tuple[int, int] | None:
        """Return (pages of these rows in memory, pages of these rows); None where no page is."""
        with self.usage.call():
            return None

    def check_ids(self) -> None:
        """Wait for the device and look at row ids on it that were gathered by; see `prefetch`.

        Raises:
            ValueError: one was no row. Told once.
            StorageError: the store is closed.
        """
        with self.usage.call():
            self.raise_bad_ids(wait=True)

    def raise_bad_ids(self, *, wait: bool = False) -> None:
        """Raise ValueError for a bad row id that a device has told of; with `wait` all are."""

    def stats(self) -> StoreStats:
        """Return a copy of the counters."""
        with self.lock:
            copy = StoreStats(**self._stats.to_dict())
        copy.mode, copy.engine = self.mode, self.engine
        copy.rows_by_tier = self.by_tier(copy.rows_unique) if copy.rows_unique else {}
        copy.useful_bytes = copy.rows_unique * self.table.record.record_bytes
        return copy

    def by_tier(self, rows_unique: int) -> dict[str, int]:
        """Return how many of the distinct rows each tier served."""
        return {self.whole: rows_unique}

    def collect(
        self, layer: int, request: Request, handle: Any, out: torch.Tensor, *, count: bool = False
    ) -> torch.Tensor:
        """`finish`, its time counted as one that a caller waited; with `count` the rows too."""
        started = time.perf_counter_ns()
        try:
            return self.finish(layer, request, handle, out)
        finally:
            stall_ns = time.perf_counter_ns() - started
            with self.lock:
                self._stats.stall_ns += stall_ns
            if count:
                self.count([request])

    def close(self) -> None:
        """Let go of memory and files, once running calls are over; later calls are errors.

        Slots are closed; open tickets are cancelled; who waits for one in `prefetch` is told.
        """
        self.usage.close(partial(self.close_slots, self.release))

    @abstractmethod
    def release(self) -> None:
        """Let go of what the tier holds."""

    def __enter__(self) -> Self:
        """Use as a context manager."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close."""
        self.close()
