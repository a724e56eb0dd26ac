"""What a store under test keeps of rows that it read, and how a sample's rows get there."""

from collections.abc import Mapping
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from engramctl.results.states import too_many_rows
from engramctl.storage import Store
from engramctl.storage.cache.all_hits import has_all
from engramctl.storage.cache.row_cache import RowCache
from engramctl.storage.device.device_cache import DeviceCache
from engramctl.storage.direct.direct_rows import DirectRows
from engramctl.storage.tiers.ssd import SsdStore
from engramctl.storage.tiers.staged import StagedStore

_PASSES = 8  # S3-FIFO keeps for long what is asked for again soon: the second or third does
Rows = Mapping[int, NDArray[np.int64]]


class Kept(Protocol):
    """Row caches of a store, together."""

    def has(self, rows: Rows) -> bool:
        """Tell whether every row is in one of them; no hit is counted."""


class _InMemory:
    """A row cache in host memory."""

    def __init__(self, cache: RowCache) -> None:
        self._cache = cache

    def has(self, rows: Rows) -> bool:
        return has_all(self._cache, rows)


class _OnDevice:
    """A row cache on a device, and maybe one in host memory below it."""

    def __init__(self, cache: DeviceCache, below: Kept | None) -> None:
        self._cache, self._below = cache, below

    def has(self, rows: Rows) -> bool:
        with self._cache.index.lock:
            gone = {
                layer: ids[self._cache.index.slots_of(layer, ids, counted=False) < 0]
                for layer, ids in rows.items()
            }
        gone = {layer: ids for layer, ids in gone.items() if len(ids)}
        return not gone or (self._below is not None and self._below.has(gone))


def on_disk_part(store: Store) -> SsdStore | None:
    """Return what of a store reads from disk: all of it, or what is below a device; None."""
    below = store.below if isinstance(store, StagedStore) else store
    return below if isinstance(below, SsdStore) else None


def kept_rows(store: Store) -> Kept | None:
    """Return the row caches of a store; None where it has none."""
    disk, below = on_disk_part(store), None
    if disk is not None and isinstance(disk.read, DirectRows) and disk.read.cache is not None:
        below = _InMemory(disk.read.cache)
    if isinstance(store, StagedStore) and store.cache is not None:
        return _OnDevice(store.cache, below)
    return below


def bring(store: Store, kept: Kept, rows: Rows) -> str | None:
    """Read rows until the row caches have them all; return why they cannot, or None.

    Args:
        store: of the caches.
        kept: its row caches.
        rows: layer -> row ids, int64 (n,).
    """
    distinct = {layer: np.unique(ids) for layer, ids in rows.items()}
    number = sum(map(len, distinct.values()))
    if number <= store.cache_capacity:
        for _ in range(_PASSES):
            if kept.has(distinct):
                return None
            ticket = store.prefetch(distinct)
            for layer in distinct:
                ticket.wait(layer)
        if kept.has(distinct):
            return None
    return too_many_rows(number, store.cache_capacity)
