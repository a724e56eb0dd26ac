"""Rows read past the page cache, into memory that never exceeds a budget.

What a ticket needs is read ahead when it fits beside what other tickets hold. What does not fit is
read when it is waited for, piece by piece: one half of the working memory is read into while rows
are widened out of the other, so that the disk is never without work.
"""

import threading
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from engramctl.errors import StorageError
from engramctl.runtime.threads import renew_in_children
from engramctl.storage.io.gather import widen
from engramctl.storage.io.page_plan import PagePlan, file_numbers, most_pages, rows_that_fit
from engramctl.storage.io.pages import PAGE
from engramctl.storage.io.row_map import RowMap
from engramctl.storage.io.slab import Slab
from engramctl.storage.readers.batch import Batch, Pending
from engramctl.storage.readers.choose import Chosen, choose
from engramctl.storage.readers.willneed_engine import drop_ranges
from engramctl.storage.reading.region import pieces
from engramctl.storage.reading.source import Source

if TYPE_CHECKING:
    import torch

RowIds = Mapping[int, NDArray[np.int64]]
_OF_BUDGET = 0.92  # is pages; the rest is for plans: some 90 bytes a row
_SORTED_OF_BUDGET, _SORTED_ROW_BYTES = 0.04, 32  # what sorting rows takes beside the pages
_PLANNED_AT_MOST = 1.5  # pages that rows could touch, over pages there are, for a plan to be made


@dataclass
class Fetch:
    """Rows of a ticket on their way, or none: then they are read when they are waited for.

    Attributes:
        owner: whose they are.
        slab: what its pages are of; a forked child has another.
        first: the first of its pages.
        plan: what was planned; None: nothing is on its way.
        batch: what is read.
        pending: how far it is.
        left: layers that were not handed over.
    """

    owner: "DirectRows"
    slab: Slab
    left: set[int]
    plan: PagePlan | None = None
    first: int = 0
    batch: Batch | None = None
    pending: Pending | None = None
    checked: bool = False
    lock: threading.Lock = field(default_factory=threading.Lock)

    def release(self) -> None:
        """Give the memory back, when nothing is read into it any more."""
        plan, self.plan = self.plan, None
        if plan is not None and self.pending is not None:
            self.owner.over.append((self.slab, self.first, len(plan.pages_P), self.pending))

    def __del__(self) -> None:
        """A ticket that is dropped, in the middle of anything, gives back what it holds."""
        self.release()


class DirectRows:
    """The rows of a source, read with O_DIRECT where the file system lets us.

    Attributes:
        chosen: the engine, and why.
        maps: layer -> where rows lie in files.
        half_pages: pages of each half of the working memory.
        reads: ranges read so far.
        read_bytes: bytes of them.
        depth: most that were under way at once.
        over: memory of tickets that are over: slab, first page, pages, and what is still read.
    """

    def __init__(self, source: Source, budget_bytes: int, engine: str = "auto") -> None:
        """Open the files and reserve memory.

        Args:
            source: whose rows.
            budget_bytes: most memory that rows on their way may take.
            engine: see `choose`.

        Raises:
            StorageError: the budget is too small for two rows, or no engine can read.
            FormatError: rows that cannot be read in place.
        """
        self.maps = {layer: RowMap.in_files(source, layer) for layer in source.layers}
        self._most = max(most_pages(one) for one in self.maps.values())
        num_pages = int(budget_bytes * _OF_BUDGET) // PAGE
        if num_pages < 2 * self._most:
            raise StorageError(
                "the budget is too small to read rows in",
                facts={
                    "needed": f"{int(2 * self._most * PAGE / _OF_BUDGET) + PAGE:,} bytes",
                    "budget": f"{budget_bytes:,} bytes",
                },
            )
        regions = {layer: list(pieces(source.regions(layer))) for layer in source.layers}
        paths: dict[Path, int] = {}
        for layer_pieces in regions.values():
            for piece in layer_pieces:
                for region in piece:
                    paths.setdefault(region.path, len(paths))
        self._files = {layer: file_numbers(some, paths) for layer, some in regions.items()}
        self.chosen: Chosen = choose(tuple(paths), engine, direct=True)
        self._num_pages = num_pages
        self.half_pages = max(self._most, num_pages // 4)
        self._sorted_at_once = max(64, int(budget_bytes * _SORTED_OF_BUDGET) // _SORTED_ROW_BYTES)
        self.reads = self.read_bytes = self.depth = 0
        self._begin()
        renew_in_children(self)

    def renew(self) -> None:
        """Begin anew in a forked child: what is on its way is its parent's."""
        self._begin()

    def _begin(self) -> None:
        self.slab = Slab(self._num_pages)
        self._halves = [self.slab.take(self.half_pages) or 0, self.slab.take(self.half_pages) or 0]
        self._working = threading.Lock()
        self._lock = threading.Lock()
        self.over: deque[tuple[Slab, int, int, Pending]] = deque()

    def start(self, rows: RowIds) -> Fetch:
        """Begin to read a batch, when there is room for its pages."""
        fetch = Fetch(self, self.slab, set(rows))
        self._sweep()
        total = sum(len(ids) for ids in rows.values())
        if total and total * self._most <= _PLANNED_AT_MOST * self.slab.free_pages:
            plan = PagePlan.of(rows, self.maps, self._files)
            first = self.slab.take(len(plan.pages_P))
            if first is not None:
                fetch.plan, fetch.first = plan, first
                try:
                    fetch.batch = plan.batch(self.slab.at(first), self.chosen.files.sizes)
                    fetch.pending = self._read(fetch.batch)
                except BaseException:
                    fetch.plan = None
                    self.slab.give(first, len(plan.pages_P))
                    raise
        return fetch

    def finish(
        self, layer: int, row_ids: NDArray[np.int64], fetch: Fetch, out: "torch.Tensor"
    ) -> None:
        """Write a layer's rows to `out`, on the CPU.

        Raises:
            StorageError: a read failed, with file and offset.
            FormatError: a scale of a checkpoint is NaN or infinite.
        """
        if fetch.plan is None or fetch.batch is None or fetch.pending is None:
            self._in_pieces(layer, row_ids, out)
            return
        fetch.pending.wait()
        with fetch.lock:
            if not fetch.checked:
                self._arrived(fetch.batch)
                fetch.checked = True
        where = fetch.plan.addresses(layer, self.slab.at(fetch.first))
        self._widen(layer, row_ids, where, np.arange(len(row_ids)), out)
        with fetch.lock:
            fetch.left.discard(layer)
            if not fetch.left:
                fetch.release()

    def _in_pieces(self, layer: int, row_ids: NDArray[np.int64], out: "torch.Tensor") -> None:
        """Read and widen some rows at a time, in turn in the two halves of the working memory.

        In the order of row ids, so that pages are read once however small the memory is.
        """
        flat, row_map = out.view(-1, out.shape[-1]), self.maps[layer]
        under_way: deque[tuple[PagePlan, Batch, Pending, int, Any, Any]] = deque()

        def widen_oldest() -> None:
            plan, batch, pending, first, some, targets = under_way[0]
            pending.wait()
            self._arrived(batch)
            where = plan.addresses(layer, self.slab.at(first))
            self._widen(layer, some, where, targets, flat)
            under_way.popleft()

        turn = 0
        with self._working:
            try:
                for start in range(0, len(row_ids), self._sorted_at_once):
                    part = row_ids[start : start + self._sorted_at_once]
                    order = np.argsort(part)
                    ascending = part[order]
                    at = 0
                    while at < len(part):
                        files = self._files[layer]
                        end = rows_that_fit(ascending, at, row_map.packed, files, self.half_pages)
                        if len(under_way) == 2:
                            widen_oldest()
                        some = ascending[at:end]
                        plan = PagePlan.of({layer: some}, self.maps, self._files)
                        first = self._halves[turn % 2]
                        batch = plan.batch(self.slab.at(first), self.chosen.files.sizes)
                        reading = self._read(batch)
                        under_way.append((plan, batch, reading, first, some, start + order[at:end]))
                        at, turn = end, turn + 1
                while under_way:
                    widen_oldest()
            finally:
                for one in under_way:
                    one[2].wait()  # nothing may be read into a half that the next one uses

    def _read(self, batch: Batch) -> Pending:
        with self._lock:
            self.reads += len(batch.ranges_R5)
            self.read_bytes += int(batch.ranges_R5[:, 2].sum())
            self.depth = max(self.depth, min(len(batch.ranges_R5), self.chosen.engine.depth))
        return self.chosen.engine.start(batch)

    def _arrived(self, batch: Batch) -> None:
        """Check a batch; of one that came through the page cache, let the pages go."""
        self.chosen.files.check(batch)
        if not self.chosen.files.direct:
            drop_ranges(self.chosen.files.descriptors, batch.ranges_R5)

    def _widen(
        self,
        layer: int,
        row_ids: NDArray[np.int64],
        where: NDArray[np.int64],
        targets: NDArray[np.int64],
        out: "torch.Tensor",
    ) -> None:
        bad = widen(where, targets, self.slab.memory, self.maps[layer], out)
        if bad >= 0:
            raise self.maps[layer].bad_scale(int(row_ids[bad]))

    def _sweep(self) -> None:
        """Free the memory of tickets that are over, where nothing is read into it any more."""
        for _ in range(len(self.over)):
            try:
                one = self.over.popleft()
            except IndexError:  # another thread sweeps too
                return
            slab, first, num_pages, pending = one
            if slab is not self.slab:
                continue
            if pending.over():
                slab.give(first, num_pages)
            else:
                self.over.append(one)

    def compile(self, out: "torch.Tensor") -> None:
        """Compile every kernel now: not in a step, nor while another thread forks.

        Args:
            out: no rows, on the CPU, of any dtype that rows are read as.
        """
        for layer, row_map in self.maps.items():
            none = np.empty(0, np.int64)
            plan = PagePlan.of({layer: none}, self.maps, self._files)
            rows_that_fit(none, 0, row_map.packed, self._files[layer], 1)
            plan.batch(self.slab.address, self.chosen.files.sizes)
            widen(plan.addresses(layer, 0), none, self.slab.memory, row_map, out)

    def close(self) -> None:
        """Wait for reads under way and close the files."""
        self.chosen.close()
