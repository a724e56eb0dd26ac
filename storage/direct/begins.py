"""A ticket's rows begun: parted by the row cache, planned, and what is missing under way.

All that a ticket needs is laid out in runs of pages of the slab. Where there is no room nothing is
begun, and the rows are read when they are waited for.
"""

import numpy as np
from numpy.typing import NDArray

from engramctl.storage.cache.ngram_records import LEAST_MISSED
from engramctl.storage.cache.parted import Parted
from engramctl.storage.cache.row_cache import RowCache
from engramctl.storage.direct.fetch import Fetch, Nothing
from engramctl.storage.direct.page_reads import PageReads, RowIds
from engramctl.storage.io.page_plan import count_up
from engramctl.storage.io.pages import pages_for
from engramctl.storage.memory.slab import Slab
from engramctl.storage.readers.batch import Batch, NotBegun

_PLANNED_AT_MOST = 1.5  # pages that rows could touch, over pages there are, for a plan to be made
_PARTED_AT_MOST = 3.0  # the same where rows are parted: a row that is repeated counts each time


class Begins:
    """Begins to read what tickets need."""

    def __init__(self, reads: PageReads, cache: RowCache | None) -> None:
        """Hold what reads and what is kept."""
        self._reads, self._cache = reads, cache

    def step(self, fetch: Fetch, rows: RowIds) -> None:
        """Begin a few rows, quickly: in one run of as many pages as they could need.

        Args:
            fetch: gets its runs, its plan and what is under way; `pending` stays None where there
                is no room. Its `recorded` says which n-grams they are of.
            rows: layer -> row ids, int32 or int64 (n,), at most MOST_ROWS together.
        """
        reads, slab = self._reads, fetch.slab
        total = sum(map(len, rows.values()))
        parted = self._cache is not None or fetch.recorded is not None
        entries = total // LEAST_MISSED if fetch.recorded is not None else 0
        words = total * (2 + 7 * reads.most) + entries * (2 + 7 * reads.most_of_record)
        words += Parted.words(total) if parted else 0
        hold = 0 if self._cache is None else pages_for(total * self._cache.record_bytes)
        size = pages_for(8 * words)
        num_pages = size + hold + total * reads.most + entries * reads.most_of_record
        at = slab.take(num_pages)
        if at is None:
            return
        fetch.runs = ((at, num_pages),)
        room = slab.words(at, size)
        if parted:
            used, _ = self._part(fetch, rows, room, slab.bytes(at + size, hold), reads.places)
            rows, room = _to_read(fetch), room[used:]
            if not rows:
                fetch.pending = Nothing()
                return
        plan = reads.steps.plan(rows, room, slab.at(at + size + hold))
        fetch.plan, fetch.places = plan, reads.places
        self._start(fetch, plan.batch)

    def batch(self, fetch: Fetch, rows: RowIds) -> None:
        """Begin any number of rows, if their plan and their pages find room; as `step`.

        Args:
            fetch: see `step`.
            rows: layer -> row ids, int64 (n,).
        """
        reads, slab = self._reads, fetch.slab
        longest = max(len(ids) for ids in rows.values())
        if self._cache is not None or fetch.recorded is not None:
            if not self._hold(fetch, rows, longest):
                return
            rows = _to_read(fetch)
            if not rows:
                fetch.pending = Nothing()
                return
        at_most = _PARTED_AT_MOST if fetch.parted else _PLANNED_AT_MOST
        if reads.pages_at_most(rows) > at_most * slab.free_pages:
            return
        words = reads.plan_words(rows) + longest
        size = pages_for(8 * words)
        at = slab.take(size)
        if at is None:
            return
        held = fetch.runs
        fetch.runs = (*held, (at, size))
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
        used = pages_for(8 * (end + longest))
        fetch.runs = (*held, (at, used), (first, len(plan.pages_P)))
        slab.give(at + used, size - used)
        fetch.plan = plan
        self._start(fetch, batch)

    def _start(self, fetch: Fetch, batch: Batch) -> None:
        """Begin to read; a fetch that has a batch has pages that bytes may come to."""
        fetch.batch = batch
        try:
            fetch.pending = self._reads.start(batch)
        except NotBegun:
            fetch.batch = None
            raise
        self._reads.count(batch)  # while the disk works

    def _hold(self, fetch: Fetch, rows: RowIds, longest: int) -> bool:
        """Part any number of rows in memory of their own; False: there is no room for it."""
        slab, total = fetch.slab, sum(map(len, rows.values()))
        size = pages_for(8 * (Parted.words(total) + longest))
        hold = 0 if self._cache is None else pages_for(total * self._cache.record_bytes)
        at = slab.take(size + hold)
        if at is None:
            return False
        fetch.runs = ((at, size + hold),)
        room = slab.words(at, size)
        places = room[-longest:]
        count_up(places)
        _, copied = self._part(fetch, rows, room, slab.bytes(at + size, hold), places)
        used = size + pages_for(copied)
        fetch.runs = ((at, used),)
        slab.give(at + used, size + hold - used)
        return True

    def _part(
        self,
        fetch: Fetch,
        rows: RowIds,
        room: NDArray[np.int64],
        hold: NDArray[np.uint8],
        places: NDArray[np.int64],
    ) -> tuple[int, int]:
        """Part the rows of every layer; returns the int64 of `room` and bytes of `hold` used."""
        used = copied = 0
        each = 0 if self._cache is None else self._cache.record_bytes
        if self._cache is not None and fetch.recorded is not None:
            fetch.tags = fetch.recorded.tags()
        for layer, ids in rows.items():
            words = Parted.words(len(ids))
            held = hold[copied : copied + len(ids) * each]
            part = Parted.of(len(ids), room[used : used + words], held)
            if self._cache is None:
                part.take_all(ids, places)
            else:
                self._cache.part(layer, ids, places, part, fetch.tags)
            fetch.parted[layer] = part
            used += words
            copied += int(part.counts[1]) * each
        return used, copied

    def compile(self, slab: Slab) -> None:
        """Compile now what a ticket needs: not in a step, nor while another thread forks."""
        count_up(slab.words(0, 0))


def _to_read(fetch: Fetch) -> dict[int, NDArray[np.int64]]:
    """Return the rows to be read, of layers that have any, and the entries of records."""
    entries = fetch.recorded.choose(fetch.parted) if fetch.recorded is not None else {}
    rows = {layer: part.missed for layer, part in fetch.parted.items() if part.counts[0]}
    return rows | entries
