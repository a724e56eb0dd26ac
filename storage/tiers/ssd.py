"""The ssd tier: rows in files, read through a mapping, misses asked for in batches.

Pages this store has touched are taken to be resident, so a warm gather makes no system call. The
others are asked for together before the first is needed, by a thread of the store's own, while the
caller computes. When a gather of touched pages is slow all the same, the kernel has evicted some:
then they count as untouched again.
"""

import time
from concurrent.futures import Future

import numpy as np
import torch
from numpy.typing import NDArray

from engramctl.errors import StorageError
from engramctl.memory import available_bytes
from engramctl.runtime.threads import Workers
from engramctl.storage.io.gather import compile_gather
from engramctl.storage.io.mapping import MappedLayer
from engramctl.storage.io.pages import PAGE, ask_for_pages
from engramctl.storage.tiers.by_address import gather_into
from engramctl.storage.tiers.store import Store
from engramctl.storage.tiers.ticket import Request

# A gather slower than this on touched pages means eviction (as oMLX has it).
EVICTED_NS = 500_000
EVICTED_ROW_NS = 2_000


class SsdStore(Store):
    """Rows on disk, in at most `budget_bytes` of page cache when a budget is given."""

    tier = "ssd"

    def load(self, budget_bytes: int | None) -> None:
        """Map the row files; nothing is read."""
        self.mappings: dict[int, MappedLayer] = {}
        try:
            for layer in self.layers:
                self.mappings[layer] = MappedLayer(self.table, layer)
        except BaseException:
            self._unmap()
            raise
        self._budget_pages = None if budget_bytes is None else max(1, budget_bytes // PAGE)
        self._touched_pages = 0
        first = self.mappings[self.layers[0]]
        ask_for_pages(first.unseen(np.empty(0, np.int64)))
        compile_gather(first.rows)
        self._reader = Workers("engramctl-willneed", 1)

    @property
    def engine(self) -> str:
        """The read engine: batched MADV_WILLNEED over a mapping."""
        return "willneed"

    def start(self, requests: dict[int, Request]) -> Future[None] | None:
        """Ask for every page not touched before, all layers in one batch."""
        wanted = []
        for layer in requests:
            self.mappings[layer].check_unchanged()
        for layer, request in requests.items():
            unseen = self.mappings[layer].unseen(request.row_ids)
            if len(unseen):
                wanted.append(unseen)
        if not wanted:
            return None
        pages = np.concatenate(wanted)
        self._touched_pages += len(pages)
        return self._reader.submit(self._ask, pages)

    def _ask(self, pages: NDArray[np.int64]) -> None:
        reads, all_asked = ask_for_pages(pages)
        if not all_asked:
            raise StorageError("the kernel refused to read ahead (madvise WILLNEED failed)")
        self.add_reads(reads, len(pages) * PAGE)

    def finish(
        self, layer: int, request: Request, handle: Future[None] | None, out: torch.Tensor
    ) -> torch.Tensor:
        """Gather from the mapping once every page was asked for."""
        if handle is not None:
            handle.result()
            self.mappings[layer].check_unchanged()
        started = time.perf_counter_ns()
        gather_into(request, self.mappings[layer].rows, out)
        took = time.perf_counter_ns() - started
        if handle is None and took > EVICTED_NS + EVICTED_ROW_NS * len(request.row_ids):
            self.mappings[layer].seen[:] = 0
        if self._budget_pages is not None and self._touched_pages > self._budget_pages:
            self._drop()
        return out

    def populate(self) -> None:
        """Read every page of the table into memory, without touching a row.

        Raises:
            StorageError: there is not enough memory for all of them, or the store is closed.
        """
        needed = self.data_bytes
        if needed > available_bytes():
            raise StorageError(
                "the table is larger than the memory that is free, so it cannot be made warm",
                facts={"needed": f"{needed:,} bytes", "free": f"{available_bytes():,} bytes"},
            )
        with self.usage.call():
            for layer in self.mappings.values():
                layer.populate()

    def drop(self) -> None:
        """Make every page of the table cold.

        Raises:
            StorageError: the store is closed.
        """
        with self.usage.call():
            self._drop()

    def _drop(self) -> None:
        self._touched_pages = 0
        for layer in self.mappings.values():
            layer.drop()

    def resident(self, layer: int, row_ids: NDArray[np.int64]) -> tuple[int, int]:
        """Ask the kernel which pages of these rows are in memory."""
        with self.usage.call():
            return self.mappings[layer].resident(row_ids)

    def release(self) -> None:
        """End the reader and unmap the files."""
        self._reader.shutdown()
        self._unmap()

    def _unmap(self) -> None:
        while self.mappings:
            self.mappings.popitem()[1].close()
