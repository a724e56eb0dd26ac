"""Rows read past the page cache, into memory that never exceeds a budget.

What a ticket needs is read ahead when it fits beside what other tickets hold. What does not fit is
read when it is waited for, piece by piece. Pages and the plans of what is where in them stand in
one slab; what engines take themselves is left out of it.
"""

import threading
from collections import deque
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from engramctl.errors import StorageError
from engramctl.runtime.threads import renew_in_children
from engramctl.storage.direct.fetch import Fetch, Held
from engramctl.storage.direct.page_reads import PageReads, RowIds
from engramctl.storage.direct.slab import Slab
from engramctl.storage.direct.sorted_pieces import SortedPieces, least_pages
from engramctl.storage.direct.step_plan import MOST_ROWS
from engramctl.storage.io.page_plan import count_up, plan_words
from engramctl.storage.io.pages import PAGE
from engramctl.storage.io.row_map import RowMap
from engramctl.storage.readers.choose import Chosen
from engramctl.storage.reading.source import Source

if TYPE_CHECKING:
    import torch

_OF_BUDGET = 0.97  # is pages, plans and engines; the rest is for Python's objects
_PLANNED_AT_MOST = 1.5  # pages that rows could touch, over pages there are, for a plan to be made
_AHEAD_BYTES = 1 << 20  # of a budget, for each batch that may be read ahead, up to _MOST_AHEAD
_MOST_AHEAD = 64  # as many as tickets may be open
_THREAD_BYTES = 1 << 19  # of a budget, for each thread that reads
_NONE: NDArray[np.int64] = np.empty(0, np.int64)


class DirectRows:
    """The rows of a source, read with O_DIRECT where the file system lets us.

    Attributes:
        over: memory of tickets that are over: slab, runs of pages, and what is still read.
        slab: all memory of rows on their way.
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
        threads = max(4, min(64, budget_bytes // _THREAD_BYTES))
        self._page_reads = PageReads(source, engine, {"pread": threads})
        self._most_ahead = min(_MOST_AHEAD, budget_bytes // _AHEAD_BYTES)
        own = self._page_reads.chosen.engine.memory_bytes(self._most_ahead + 2)
        self._num_pages = (int(budget_bytes * _OF_BUDGET) - own) // PAGE
        least = least_pages(self._page_reads.most)
        if self._num_pages < least:
            self._page_reads.chosen.close()
            raise StorageError(
                "the budget is too small to read rows in",
                facts={
                    "needed": f"{int((least * PAGE + own) / _OF_BUDGET) + PAGE:,} bytes",
                    "budget": f"{budget_bytes:,} bytes",
                },
            )
        self._begin()
        renew_in_children(self)

    def renew(self) -> None:
        """Begin anew in a forked child: what is on its way is its parent's."""
        self._page_reads.renew()
        self._begin()

    def _begin(self) -> None:
        self.slab = Slab(self._num_pages)
        at_work = max(self._num_pages // 2, least_pages(self._page_reads.most))
        self._pieces = SortedPieces(self._page_reads, self.slab, at_work)
        self._ahead = 0
        self._lock = threading.Lock()
        self.over: deque[Held] = deque()

    @property
    def chosen(self) -> Chosen:
        """The engine, and why."""
        return self._page_reads.chosen

    @property
    def maps(self) -> Mapping[int, RowMap]:
        """Layer -> where rows lie in files."""
        return self._page_reads.maps

    @property
    def half_pages(self) -> int:
        """Pages of each half of the working memory."""
        return self._pieces.half_pages

    @property
    def pages_ahead(self) -> int:
        """Pages for what is read ahead, when nothing is."""
        return self._num_pages - self._pieces.num_pages

    @property
    def reads(self) -> int:
        """Ranges read so far."""
        return self._page_reads.reads

    @property
    def read_bytes(self) -> int:
        """Bytes of them."""
        return self._page_reads.read_bytes

    @property
    def depth(self) -> int:
        """Most that were under way at once."""
        return self._page_reads.depth

    def start(self, rows: RowIds) -> Fetch:
        """Begin to read a batch, when there is room for its pages.

        Args:
            rows: layer -> row ids, int32 or int64 (n,).
        """
        fetch = Fetch(self, self.slab, set(rows))
        total = sum(map(len, rows.values()))
        if 0 < total <= MOST_ROWS and self._begun(fetch, rows, self._plan_step):
            self._sweep()  # while the disk works
            return fetch
        self._sweep()
        at_most = total * self._page_reads.most
        if total and at_most <= _PLANNED_AT_MOST * self.slab.free_pages:
            wide = {layer: ids.astype(np.int64, copy=False) for layer, ids in rows.items()}
            self._begun(fetch, wide, self._plan)
        return fetch

    def _begun(self, fetch: Fetch, rows: RowIds, plan: Callable[[Fetch, RowIds], None]) -> bool:
        """Plan a batch and begin to read it, unless there is no room; tell whether there was."""
        if not self._enter():
            return False
        try:
            plan(fetch, rows)
        finally:
            if fetch.pending is None:
                self._leave(fetch.slab, fetch.runs)
                fetch.plan, fetch.runs = None, ()
        return fetch.pending is not None

    def _enter(self) -> bool:
        """Count one more that is read ahead, unless there are too many."""
        with self._lock:
            if self._ahead >= self._most_ahead:
                return False
            self._ahead += 1
        return True

    def _leave(self, slab: Slab, runs: tuple[tuple[int, int], ...]) -> None:
        """Free what one held that was read ahead, and count it off."""
        for first, num_pages in runs:
            slab.give(first, num_pages)
        with self._lock:
            self._ahead -= 1

    def _plan_step(self, fetch: Fetch, rows: RowIds) -> None:
        """The same for a few rows, quickly: in one run of as many pages as they could touch."""
        reads, slab = self._page_reads, fetch.slab
        total = sum(map(len, rows.values()))
        size = -(-total * (2 + 7 * reads.most) * 8 // PAGE)
        num_pages = size + total * reads.most
        at = slab.take(num_pages)
        if at is None:
            return
        fetch.runs = ((at, num_pages),)
        plan = reads.steps.plan(rows, slab.words(at, size), slab.at(at + size))
        fetch.plan, fetch.batch, fetch.places = plan, plan.batch, reads.places
        fetch.pending = reads.start(plan.batch)
        reads.count(plan.batch)  # while the disk works

    def _plan(self, fetch: Fetch, rows: RowIds) -> None:
        """Plan a batch and begin to read it, if its plan and its pages find room."""
        reads, slab = self._page_reads, fetch.slab
        words = sum(plan_words(reads.maps[layer], len(ids)) for layer, ids in rows.items())
        longest = max(len(ids) for ids in rows.values())
        words += longest
        size = -(-words * 8 // PAGE)
        at = slab.take(size)
        if at is None:
            return
        fetch.runs = ((at, size),)
        room = slab.words(at, size)
        plan = reads.plan(rows, room)
        first = slab.take(len(plan.pages_P))
        if first is None:
            return
        fetch.runs += ((first, len(plan.pages_P)),)
        fetch.address = slab.at(first)
        batch = reads.batch(plan, fetch.address)
        end = (batch.got_R.ctypes.data + batch.got_R.nbytes - slab.at(at)) // 8
        fetch.places = room[end : end + longest]
        count_up(fetch.places)
        used = -(-(end + longest) * 8 // PAGE)
        fetch.runs = ((at, used), (first, len(plan.pages_P)))
        slab.give(at + used, size - used)
        fetch.plan, fetch.batch = plan, batch
        fetch.pending = reads.start(batch)
        reads.count(batch)

    def finish(
        self, layer: int, row_ids: NDArray[np.int64], fetch: Fetch, out: "torch.Tensor"
    ) -> None:
        """Write a layer's rows to `out`, on the CPU.

        Raises:
            StorageError: a read failed, with file and offset.
            FormatError: a scale of a checkpoint is NaN or infinite.
        """
        if fetch.plan is None or fetch.batch is None or fetch.pending is None:
            self._pieces.read(layer, row_ids, out)
            return
        where = fetch.plan.addresses(layer, fetch.address)
        places = fetch.places[: len(row_ids)]
        needed = fetch.plan.ranges(layer)
        fetch.pending.wait(needed)
        with fetch.lock:
            if fetch.checked < needed:
                self._page_reads.arrived(fetch.batch.part(fetch.checked, needed))
                fetch.checked = needed
        self._page_reads.widen(layer, row_ids, where, places, fetch.slab, out)
        with fetch.lock:
            fetch.left.discard(layer)
            if not fetch.left:
                fetch.release()

    def _sweep(self) -> None:
        """Free the memory of tickets that are over, where nothing is read into it any more."""
        for _ in range(len(self.over)):
            try:
                one = self.over.popleft()
            except IndexError:  # another thread sweeps too
                return
            slab, runs, pending = one
            if slab is not self.slab:
                continue
            if pending.over():
                self._leave(slab, runs)
            else:
                self.over.append(one)

    def compile(self, out: "torch.Tensor") -> None:
        """Compile every kernel now: not in a step, nor while another thread forks.

        Args:
            out: no rows, on the CPU, of any dtype that rows are read as.
        """
        self._page_reads.compile(self.slab, out)
        self._pieces.compile()
        count_up(_NONE)

    def close(self) -> None:
        """Wait for reads under way and close the files."""
        self.chosen.close()
