"""A ticket's rows handed over: waited for, proved, widened, and kept for the next who asks."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from engramctl.errors import StorageError
from engramctl.storage.cache.all_hits import gather_hits
from engramctl.storage.cache.parted import Parted
from engramctl.storage.cache.record_lookups import copy_together
from engramctl.storage.cache.row_cache import RowCache
from engramctl.storage.direct.fetch import Fetch
from engramctl.storage.direct.page_reads import PageReads, RowIds
from engramctl.storage.direct.recorded import NOT_READ
from engramctl.storage.direct.sorted_pieces import SortedPieces
from engramctl.storage.readers.batch import Pending

if TYPE_CHECKING:
    import torch

Group = tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]


class HandOver:
    """Writes a layer's rows to an output, wherever they are."""

    def __init__(self, reads: PageReads, pieces: SortedPieces, cache: RowCache | None) -> None:
        """Hold what reads, ahead and piece by piece, and what is kept."""
        self._reads, self._pieces, self._cache = reads, pieces, cache

    def layer(
        self, layer: int, row_ids: NDArray[Any], fetch: Fetch | None, out: "torch.Tensor"
    ) -> None:
        """Write a layer's rows; see `DirectRows.finish`."""
        if fetch is None:  # all of them are in the cache, unless some were evicted since
            left = [(0, len(row_ids))]
            if self._cache is not None:
                left = gather_hits(self._cache, self._reads.maps[layer], row_ids, out)
            for start, stop in left:
                flat = out.view(-1, out.shape[-1])
                self._pieces.read(layer, row_ids[start:stop], flat[start:stop])
            return
        if fetch.staged is not None:
            with fetch.lock:
                came = fetch.staged.run(fetch.parted)
            if not came:
                fetch.staged.check()
                self._pieces.read(layer, row_ids, out)
                return
        pending = fetch.pending
        if pending is None or not self._handed_over(layer, row_ids, fetch, pending, out):
            self._pieces.read(layer, row_ids, out)

    def _handed_over(
        self,
        layer: int,
        row_ids: NDArray[Any],
        fetch: Fetch,
        pending: Pending,
        out: "torch.Tensor",
    ) -> bool:
        """Write rows that were begun; False: what came of records is not to be believed."""
        part = fetch.parted.get(layer)
        if part is not None:  # while the disk works
            where_N2, targets = part.where_N2[part.found], part.targets[part.found]
            self._reads.widen(layer, row_ids, where_N2, targets, fetch.slab, out)
        come = self._come(layer, row_ids, fetch, pending)
        if come is None:
            return False
        for rows, where_N2, targets in come:
            self._reads.widen(layer, rows, where_N2, targets, fetch.slab, out)
            self._keep(layer, rows, where_N2, targets, fetch)
        return True

    def copied(self, rows: RowIds, fetch: Fetch, parts: Mapping[int, Parted], first: int) -> bool:
        """Copy a ticket's records together; see `Staged`."""
        assert fetch.pending is not None
        slab, low = fetch.slab, fetch.slab.address
        for layer, row_ids in rows.items():
            come = self._come(layer, row_ids, fetch, fetch.pending)
            if come is None:
                return False
            for targets, where_N2 in fetch.come(layer):
                copy_together(
                    targets, where_N2, self._reads.sizes, low, low + slab.memory.nbytes, first,
                    parts[layer].hold,
                )  # fmt: skip
            for ids, where_N2, targets in come:
                self._keep(layer, ids, where_N2, targets, fetch)
        return True

    def _come(
        self, layer: int, row_ids: NDArray[Any], fetch: Fetch, pending: Pending
    ) -> list[Group] | None:
        """Wait for rows that had to be read; returns them: ids, addresses and output rows.

        None: what came of records is not to be believed.
        """
        part = fetch.parted.get(layer)
        rows, targets = row_ids, fetch.places[: len(row_ids)]
        if part is not None:
            rows, targets = part.missed, part.missed_targets
        if not self._arrived(layer, fetch, pending, len(rows)):
            return None
        where = None
        if fetch.plan is not None and len(rows):
            where = fetch.where[layer] = fetch.plan.addresses(layer, fetch.address)
        come: list[Group] = []
        if fetch.recorded is not None and part is not None:
            if not fetch.recorded.settle(layer, part, where, self._reads.sizes, fetch.slab):
                if self._cache is not None and fetch.recorded.wrong:
                    self._cache.clear()  # it may have rows of records that were never compared
                return None
            one = part.recorded
            if part.counts[3]:
                come.append((part.rows[one], part.where_N2[one], part.targets[one]))
        if where is not None:
            come.append((rows, where, targets))
        return come

    def _keep(
        self,
        layer: int,
        rows: NDArray[np.int64],
        where_N2: NDArray[np.int64],
        targets: NDArray[np.int64],
        fetch: Fetch,
    ) -> None:
        """Take rows that lie in the slab into the row cache."""
        if self._cache is not None:
            tags = fetch.tags[targets] if len(fetch.tags) else fetch.tags
            self._cache.admit(layer, rows, where_N2, fetch.slab.memory, tags)
            if fetch.recorded is not None and fetch.recorded.lost:
                self._cache.drop({layer: rows})  # they came behind those who cleared it

    def _arrived(self, layer: int, fetch: Fetch, pending: Pending, num_rows: int) -> bool:
        """Wait for what a layer needs; False: it is not to be believed.

        Raises:
            StorageError: a read failed, of the table's own files.
        """
        plan, batch, recorded = fetch.plan, fetch.batch, fetch.recorded
        if plan is None or batch is None:
            return True
        needed = plan.ranges(layer) if num_rows else 0
        if recorded is not None:
            needed = max(needed, recorded.ranges(plan))
        pending.wait(needed)
        with fetch.lock:
            if fetch.checked < needed:
                came = batch.part(fetch.checked, needed)
                try:
                    self._reads.arrived(came)
                except StorageError:
                    file = self._reads.is_copy(came)
                    if file is None or recorded is None:
                        raise
                    recorded.fail(file, NOT_READ)
                fetch.checked = needed
        if recorded is not None and not recorded.spoiled:
            recorded.arrived(self._reads, plan, fetch.address, fetch.slab)
        return recorded is None or not recorded.spoiled
