"""A ticket's rows handed over: waited for, proved, widened, and kept for the next who asks."""

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from engramctl.errors import StorageError
from engramctl.storage.cache.row_cache import RowCache
from engramctl.storage.direct.fetch import Fetch
from engramctl.storage.direct.page_reads import PageReads
from engramctl.storage.direct.recorded import NOT_READ
from engramctl.storage.direct.sorted_pieces import SortedPieces
from engramctl.storage.io.row_map import SCALE_BYTES, WEIGHT_BYTES
from engramctl.storage.readers.batch import Pending

if TYPE_CHECKING:
    import torch


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
            row_map = self._reads.maps[layer]
            if self._cache is None or self._cache.gather(row_map, row_ids, out) < 0:
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
        reads, slab, part = self._reads, fetch.slab, fetch.parted.get(layer)
        rows, targets = row_ids, fetch.places[: len(row_ids)]
        if part is not None:
            rows, targets, found = part.missed, part.missed_targets, part.found
            reads.widen(layer, row_ids, part.where_N2[found], part.targets[found], slab, out)
        if not self._arrived(layer, fetch, pending, len(rows)):
            return False
        where = None
        if fetch.plan is not None and len(rows):
            where = fetch.where[layer] = fetch.plan.addresses(layer, fetch.address)
        if fetch.recorded is not None and part is not None:
            packed = reads.maps[layer].packed
            sizes = packed[[WEIGHT_BYTES, SCALE_BYTES]]
            if not fetch.recorded.settle(layer, part, where, sizes, slab):
                if self._cache is not None and fetch.recorded.wrong:
                    self._cache.clear()  # it may have rows of records that were never compared
                return False
            of_records = part.recorded
            if part.counts[3]:
                recorded, at = part.rows[of_records], part.where_N2[of_records]
                self._write(layer, recorded, at, part.targets[of_records], fetch, out)
                if self._cache is not None and fetch.recorded.lost:
                    self._cache.drop({layer: recorded})  # they came behind those who cleared it
        if where is not None:
            self._write(layer, rows, where, targets, fetch, out)
        return True

    def _write(
        self,
        layer: int,
        rows: NDArray[np.int64],
        where_N2: NDArray[np.int64],
        targets: NDArray[np.int64],
        fetch: Fetch,
        out: "torch.Tensor",
    ) -> None:
        """Widen rows that lie in the slab, then keep them."""
        self._reads.widen(layer, rows, where_N2, targets, fetch.slab, out)
        if self._cache is not None:
            tags = fetch.tags[targets] if len(fetch.tags) else fetch.tags
            self._cache.admit(layer, rows, where_N2, fetch.slab.memory, tags)

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
