"""The ssd tier: rows in files, read in one of two ways.

`mapped`: through a mapping, where the kernel's page cache is the cache, as large as it likes.
`direct`: past the page cache, into memory of the store's own that never exceeds its budget; a part
of it keeps rows that were read.
"""

import time
import warnings
from collections.abc import Mapping
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from engramctl.errors import StorageError
from engramctl.memory import available_bytes
from engramctl.runtime.callers import outside
from engramctl.storage.cache.gathering import TOGETHER
from engramctl.storage.dictionary.served import Served, served_records
from engramctl.storage.direct.direct_rows import DirectRows
from engramctl.storage.direct.gathered import gather_now
from engramctl.storage.io.gather import compile_gather
from engramctl.storage.io.gather_at_once import NO_PAGES, compile_at_once
from engramctl.storage.io.mapped_rows import MappedRows
from engramctl.storage.io.watched_maps import any_fault
from engramctl.storage.readers.medium import slow_medium
from engramctl.storage.requests.checked_ids import checked_keys
from engramctl.storage.requests.kept_stats import give_kept
from engramctl.storage.requests.stats import StoreStats
from engramctl.storage.requests.ticket import Request
from engramctl.storage.tiers.by_address import gather_into
from engramctl.storage.tiers.near_rows import Near
from engramctl.storage.tiers.said_of_table import refuse_cache_above
from engramctl.storage.tiers.store import Store

_WARMED = 1024  # rows read together
NOT_BEGUN = object()  # nothing was done yet for rows that are waited for at once


class SsdStore(Store):
    """Rows on disk; direct when a budget is given, else mapped."""

    whole = "ssd"

    def load(self, budget_bytes: int | None) -> None:
        """Open the row files; nothing is read but what an engine is tried with."""
        self.read = self._opened(budget_bytes)
        try:
            self.near = self._near()
            self._compile()
            slow = slow_medium(self.read.chosen)
            if slow is not None:
                warnings.warn(slow, RuntimeWarning, stacklevel=outside())
        except BaseException:  # nobody gets the store, so nobody closes it
            self.release()
            raise

    def _opened(self, budget_bytes: int | None) -> DirectRows | MappedRows:
        self.served: Served | None = None
        if budget_bytes is None:
            return MappedRows(self.table, self.wanted_engine)
        refuse_cache_above(self.tier, available_bytes(), self.cache_bytes, self.table)
        self.served = served = served_records(self.table, self.fill)
        records, filling = (None, None) if served is None else (served.records, served.filling)
        try:
            return DirectRows(
                self.table, budget_bytes, self.wanted_engine, self.cache_bytes, records, filling
            )
        except BaseException:
            if served is not None:
                served.close()
            raise

    def _near(self) -> dict[int, Near]:
        """Return what tells where rows in memory are, or no layer where none is kept."""
        if isinstance(self.read, MappedRows):
            return {layer: one.near for layer, one in self.read.layers.items()}
        maps = self.read.maps if self.read.cache is not None else {}
        return {layer: (one.packed, *NO_PAGES) for layer, one in maps.items()}

    def _compile(self) -> None:
        """Compile now: not in the middle of a step, nor while another thread forks."""
        none = {layer: np.empty(0, np.int64) for layer in self.layers}
        if isinstance(self.read, MappedRows):
            rows = self.read.layers[self.layers[0]].rows
            compile_gather(rows)
            compile_at_once(rows)
            self.read.start(none, ahead=False)
        else:
            self.read.compile(torch.empty((0, self.width), dtype=self.dtype))

    @property
    def mode(self) -> str:
        """`mapped` or `direct`."""
        return "mapped" if isinstance(self.read, MappedRows) else "direct"

    @property
    def uses_keys(self) -> bool:
        """Whether there are n-gram records: when direct, of a table with a dictionary."""
        return isinstance(self.read, DirectRows) and self.read.records is not None

    @property
    def engine(self) -> str:
        """The read engine: willneed, pread or io_uring."""
        return self.read.chosen.engine.name

    @property
    def engine_chosen_because(self) -> str:
        """Why it is this engine, and what could not be had; a sentence for people."""
        return self.read.chosen.why

    def at_once(self, layer: int, row_ids: NDArray[Any], out: torch.Tensor) -> int:
        """Gather rows that are in the row cache, or whose pages were all touched before."""
        if any_fault or (len(row_ids) > TOGETHER and isinstance(self.read, DirectRows)):
            return -1
        self.read.chosen.files.check_unchanged()
        if isinstance(self.read, DirectRows):
            assert self.read.cache is not None
            return self.read.cache.gather(self.read.maps[layer], row_ids, out)
        distinct = super().at_once(layer, row_ids, out)
        if any_fault:
            assert isinstance(self.read, MappedRows)
            _discard_broken(self.read, layer, out)
        return distinct

    def was_slow(self, layer: int, num_rows: int, took_ns: int) -> None:
        """Look whether pages were evicted."""
        if isinstance(self.read, MappedRows):
            self.read.was_evicted(layer, num_rows, took_ns)

    def start(
        self,
        requests: dict[int, Request],
        keys: NDArray[np.uint64] | None = None,
        *,
        ahead: bool = True,
    ) -> Any:
        """Begin to read what is not in memory, all layers in one batch."""
        if not ahead and _looks_first(self.read, requests):
            return NOT_BEGUN
        rows = {layer: request.row_ids for layer, request in requests.items()}
        if isinstance(self.read, DirectRows):
            flat = None
            if keys is not None and self.read.records is not None:
                shapes = {layer: request.shape for layer, request in requests.items()}
                flat = checked_keys(keys, shapes, self.read.records.shape)
            fetch = self.read.start(rows, flat, partial(_check_same, list(requests.values())))
            self.read.chosen.files.check_unchanged()  # while the disk works
            return fetch
        self.read.chosen.files.check_unchanged()
        return self.read.start(rows, ahead=ahead)

    def finish(self, layer: int, request: Request, handle: Any, out: torch.Tensor) -> torch.Tensor:
        """Hand over rows once their bytes are there."""
        read = self.read
        if isinstance(read, DirectRows):
            if handle is None or handle is NOT_BEGUN or handle.pending is None:
                request.check_same()  # they are read by the ids themselves, and now
            _hand_over(read, layer, request, handle, out)
            return out
        if handle is not None:
            handle.result()
            read.chosen.files.check_unchanged()
        started = time.perf_counter_ns()
        try:
            gather_into(request, read.layers[layer].rows, out)
        finally:  # whatever it raised: zeros in the place of bytes are the reason for that, too
            if any_fault:
                _discard_broken(read, layer, out)
        took_ns = time.perf_counter_ns() - started
        if handle is None:
            read.was_evicted(layer, len(request.row_ids), took_ns)
        return out

    def populate(self) -> None:
        """Read every page of the table into memory, without touching a row; nothing when direct.

        Raises:
            StorageError: there is not enough memory for all of them, one cannot be read, or the
                store is closed.
        """
        with self.usage.call():
            if isinstance(self.read, MappedRows):
                self.read.populate()

    def bring(self, layer: int, row_ids: NDArray[np.int64], out: torch.Tensor) -> None:
        """Read rows for a faster tier that will keep them; see `Store.bring`."""
        if isinstance(self.read, DirectRows):
            self.read.bring(layer, row_ids, out)
        else:
            super().bring(layer, row_ids, out)

    @property
    def cache_capacity(self) -> int:
        """Rows that the row cache holds; 0: there is none."""
        cache = self.read.cache if isinstance(self.read, DirectRows) else None
        return 0 if cache is None else cache.capacity

    def warm_rows(self, rows: Mapping[int, NDArray[np.int64]]) -> None:
        """Fill the row cache; see `KeepsRows.warm`."""
        if isinstance(self.read, DirectRows):
            self.read.warm(rows, torch.empty((_WARMED, self.width), dtype=self.dtype))

    def drop_rows(self, rows: Mapping[int, NDArray[np.int64]] | None) -> None:
        """Make rows cold; see `KeepsRows.drop`."""
        if isinstance(self.read, MappedRows):
            self.read.drop(rows)
        elif self.read.cache is not None and rows is not None:
            self.read.cache.drop(rows)
        elif self.read.cache is not None:
            self.read.cache.clear()

    def resident(self, layer: int, row_ids: NDArray[np.int64]) -> tuple[int, int] | None:
        """Ask the kernel which pages of these rows are in memory; None when direct."""
        with self.usage.call():
            if isinstance(self.read, MappedRows):
                return self.read.layers[layer].resident(row_ids)
            return None

    def by_tier(self, rows_unique: int) -> dict[str, int]:
        """Return how many of the distinct rows each tier served: of a mixture, the cache first."""
        if not self.tiers.caches or isinstance(self.read, MappedRows) or self.read.cache is None:
            return super().by_tier(rows_unique)
        missed = min(rows_unique, self.read.cache.rows_missed)
        return {"host": rows_unique - missed, "ssd": missed}

    def stats(self) -> StoreStats:
        """Return a copy of the counters."""
        copy = super().stats()
        copy.device_reads, copy.device_bytes = self.read.reads, self.read.read_bytes
        copy.queue_depth = self.read.depth
        copy.fallback = self.read.chosen.fallback
        if isinstance(self.read, DirectRows):
            give_kept(copy, self.read, self.served)
        return copy

    def over_in_child(self) -> str | None:
        """Return why a forked child cannot use the store: when direct, it may lack the memory."""
        over = self.read.over if isinstance(self.read, DirectRows) else None
        if over is not None:
            self.near.clear()  # its cache is its parent's
        return over or super().over_in_child()

    def release(self) -> None:
        """End the threads and close the files, whatever fails; the log above all."""
        self.near.clear()
        try:
            self.read.close()
        finally:
            if self.served is not None:
                self.served.close()


def _discard_broken(read: MappedRows, layer: int, out: torch.Tensor) -> None:
    """Raise when the mapping broke under a gather; its rows are NaN then, stored ones 0xFF."""
    try:
        read.refuse_broken(layer)
    except StorageError:
        out.fill_(float("nan") if out.is_floating_point() else 0xFF)
        raise


def _hand_over(
    read: DirectRows, layer: int, request: Request, handle: Any, out: torch.Tensor
) -> None:
    """Write a layer's rows to `out`, on the CPU."""
    if handle is NOT_BEGUN:
        read.chosen.files.check_unchanged()
        gather_now(read, layer, request.row_ids, out, request.check_same)
    else:
        read.finish(layer, request.row_ids, handle, out)


def _looks_first(read: DirectRows | MappedRows, requests: dict[int, Request]) -> bool:
    """Tell whether so many rows are asked for that they are looked for where they are needed."""
    total = sum(len(one.row_ids) for one in requests.values())
    return total > TOGETHER and isinstance(read, DirectRows) and read.cache is not None


def _check_same(requests: list[Request]) -> None:
    """Refuse ids that were changed since they were asked for; see `Request.check_same`."""
    for request in requests:
        request.check_same()
