"""Rows read past the page cache, into memory that never exceeds a budget.

What a ticket needs is read ahead when it fits beside what other tickets hold. What does not fit is
read when it is waited for, piece by piece. Pages and the plans of what is where in them stand in
one slab; what engines take themselves is left out of it.
"""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from engramctl.errors import StorageError
from engramctl.runtime.threads import renew_in_children
from engramctl.storage.cache.all_hits import compile_hits, has_all
from engramctl.storage.cache.ngram_records import NgramRecords
from engramctl.storage.cache.parted import Parted
from engramctl.storage.cache.row_cache import NO_TAGS, RowCache
from engramctl.storage.direct.ahead import Ahead
from engramctl.storage.direct.begins import Begins
from engramctl.storage.direct.fetch import Fetch
from engramctl.storage.direct.hand_over import HandOver
from engramctl.storage.direct.offered import Offers
from engramctl.storage.direct.page_reads import PageReads, RowIds
from engramctl.storage.direct.recorded import Recorded, compile_recorded
from engramctl.storage.direct.sorted_pieces import SortedPieces, least_pages
from engramctl.storage.direct.staged import stage
from engramctl.storage.direct.step_plan import MOST_ROWS
from engramctl.storage.direct.warming import warm
from engramctl.storage.io.row_map import RowMap
from engramctl.storage.memory.budget import Budget
from engramctl.storage.memory.slab import Slab
from engramctl.storage.readers.choose import Chosen
from engramctl.storage.reading.source import Source
from engramctl.storage.record_log.filling import Filling

if TYPE_CHECKING:
    import torch


class DirectRows:
    """The rows of a source, read with O_DIRECT where the file system lets us.

    Attributes:
        maps: layer -> where rows lie in files.
        records: of n-grams; None: there are none.
        cache: rows kept; None: there is no room for any.
        slab: all memory of rows on their way.
        pieces: reads what does not fit there at a time.
        over: why no row is read any more; None: they are.
    """

    over: str | None = None
    cache: RowCache | None = None

    def __init__(
        self,
        source: Source,
        budget_bytes: int,
        engine: str = "auto",
        cache_bytes: int = 0,
        records: NgramRecords | None = None,
        filling: Filling | None = None,
    ) -> None:
        """Open the files and reserve memory.

        Args:
            source: whose rows.
            budget_bytes: most memory that rows may take, on their way and in the cache.
            engine: see `choose`.
            cache_bytes: of the budget, for a row cache; 0: there is none.
            records: of n-grams, for who asks with keys.
            filling: keeps n-grams whose rows had to be read, of who asks with keys; not in forked
                children.

        Raises:
            StorageError: the budget is too small for two rows or too large, or no engine can read.
            FormatError: rows that cannot be read in place.
        """
        self._source, self._cache_bytes = source, cache_bytes
        self.records = records
        self._offers: Offers | None = None
        budget = Budget(budget_bytes - cache_bytes, cache_bytes)
        threads, others = {"pread": budget.threads}, records.files if records is not None else ()
        self._page_reads = PageReads(source, engine, threads, others)
        self.maps: Mapping[int, RowMap] = self._page_reads.maps
        self._most_ngrams, self._most_ahead = budget.most_ngrams, budget.most_ahead
        try:
            own = self.chosen.engine.memory_bytes(self._most_ahead + 2)
            self._num_pages = budget.pages(own, least_pages(self._page_reads.most))
            self._begin()
            if records is not None and filling is not None:
                self._offers = Offers(self._page_reads, records.shape, filling)
        except BaseException:
            self.close()
            raise
        renew_in_children(self)

    def renew(self) -> None:
        """Begin anew in a forked child: what is on its way is its parent's, and so is its memory.

        Where there is no memory for another budget, no row is read: see `over`.
        """
        self._page_reads.renew()
        self._offers = None
        try:
            if self.over is None:
                self._begin()
        except (StorageError, MemoryError) as error:
            self.over = f"this forked child has no memory for the store's budget: {error}"
            self.cache = None
            self._forget()  # it is not mapped here

    def _begin(self) -> None:
        self.slab = Slab(self._num_pages)
        at_work = max(self._num_pages // 2, least_pages(self._page_reads.most))
        if self._cache_bytes:
            self.cache = RowCache(self._source, self._cache_bytes, self.cache)
        self._begins = Begins(self._page_reads, self.cache)
        self.pieces = SortedPieces(self._page_reads, self.slab, at_work, self.cache)
        self._hands = HandOver(self._page_reads, self.pieces, self.cache)
        self._ahead = Ahead(self.slab, self._most_ahead)

    @property
    def chosen(self) -> Chosen:
        """The engine, and why."""
        return self._page_reads.chosen

    @property
    def pages_ahead(self) -> int:
        """Pages for what is read ahead, when nothing is."""
        return self._num_pages - self.pieces.num_pages

    @property
    def reads(self) -> int:
        """Ranges read so far."""
        return self._page_reads.reads

    @property
    def read_bytes(self) -> int:
        """Bytes of them."""
        return self._page_reads.read_bytes

    @property
    def record_reads(self) -> int:
        """Of these, ranges of n-gram records."""
        return self._page_reads.record_reads

    @property
    def depth(self) -> int:
        """Most that were under way at once."""
        return self._page_reads.depth

    def start(
        self,
        rows: RowIds,
        keys_G2: NDArray[np.uint64] | None = None,
        check: Callable[[], None] = lambda: None,
    ) -> Fetch | None:
        """Begin to read a batch, when there is room for its pages; None: all of it is in the cache.

        Args:
            rows: layer -> row ids, int32 or int64 (n,).
            keys_G2: of their n-grams, order by order within a position, uint64 (G, 2); of more than
                the budget has room for, no record is read.
            check: raises when the row ids are not what they were; asked where they are read late.
        """
        total = sum(map(len, rows.values()))
        if keys_G2 is not None and self._offers is not None:
            self._offers.tokens(len(keys_G2))
        if self.cache is not None and total and has_all(self.cache, rows):
            return None
        fetch = self._fetch(rows, keys_G2)
        if 0 < total <= MOST_ROWS and self._begun(fetch, rows, self._begins.step):
            self._ahead.sweep()  # while the disk works
            return fetch
        self._ahead.sweep()
        if total:
            wide = {layer: ids.astype(np.int64, copy=False) for layer, ids in rows.items()}
            if not self._begun(fetch, wide, self._begins.batch):
                self._stage(fetch, rows, check)
                fetch.recorded = None  # parts have their own; piece by piece no record is taken
        return fetch

    def _fetch(self, rows: RowIds, keys_G2: NDArray[np.uint64] | None) -> Fetch:
        """Return a ticket's rows, of which nothing is begun."""
        if self.over is not None:
            raise StorageError(self.over)
        fetch = Fetch(self._ahead, self.slab, set(rows))
        if keys_G2 is not None and self.records is not None and len(keys_G2) <= self._most_ngrams:
            self._page_reads.give_up_lost()
            fetch.recorded = Recorded(self.records, keys_G2)
        return fetch

    def begin(self, rows: RowIds, keys_G2: NDArray[np.uint64] | None) -> Fetch | None:
        """Begin a part of a long request; None: there is no room. See `Staged`."""
        self._ahead.sweep()
        fetch = self._fetch(rows, keys_G2)
        return fetch if self._begun(fetch, rows, self._begins.batch) else None

    def copied(self, rows: RowIds, fetch: Fetch, parts: Mapping[int, Parted], first: int) -> bool:
        """Copy a part's records together; see `Staged`."""
        if not self._hands.copied(rows, fetch, parts, first):
            return False
        if self._offers is not None:
            self._offers.offer(fetch)
        return True

    def _stage(self, fetch: Fetch, rows: RowIds, check: Callable[[], None]) -> None:
        """Have a long request read in parts, where there is room for its records and a cache.

        Without one, a row that two parts have in common would be read twice.
        """
        recorded = fetch.recorded
        if self.cache is None or recorded is None or not self._ahead.enter():
            return
        stage(fetch, rows, recorded, check, self._page_reads, self)
        if fetch.pending is None:
            self._ahead.leave(fetch.slab, ())

    def _begun(self, fetch: Fetch, rows: RowIds, begin: Callable[[Fetch, RowIds], None]) -> bool:
        """Plan a batch and begin to read it, unless there is no room; tell whether there was."""
        if not self._ahead.enter():
            return False
        try:
            begin(fetch, rows)
        finally:
            if fetch.pending is None:
                # Interrupted while reads were handed over: bytes may come to these pages yet.
                runs = fetch.runs if fetch.batch is None else ()
                self._ahead.leave(fetch.slab, runs)
                fetch.plan, fetch.runs, fetch.parted, fetch.tags = None, (), {}, NO_TAGS
        if fetch.pending is None:
            return False
        if fetch.recorded is not None:
            fetch.recorded.count()
        if self.cache is not None:
            for part in fetch.parted.values():
                self.cache.count(part)
        return True

    def finish(
        self, layer: int, row_ids: NDArray[np.int64], fetch: Fetch | None, out: "torch.Tensor"
    ) -> None:
        """Write a layer's rows to `out`, on the CPU.

        Raises:
            StorageError: a read failed, with file and offset.
            FormatError: a scale of a checkpoint is NaN or infinite.
        """
        self._hands.layer(layer, row_ids, fetch, out)
        if fetch is not None and fetch.last(layer):
            if self._offers is not None:
                self._offers.offer(fetch)
            fetch.release()

    def bring(self, layer: int, row_ids: NDArray[np.int64], out: "torch.Tensor") -> None:
        """Write rows to `out`, as `finish`, for somebody who keeps them: the cache has no part."""
        if self.over is not None:
            raise StorageError(self.over)
        self.pieces.read(layer, row_ids, out, kept=False)

    def warm(self, rows: RowIds, out: "torch.Tensor") -> None:
        """Fill the row cache with rows, while it has room.

        Args:
            rows: layer -> row ids, int64 (n,), each once, the most wanted first.
            out: room for some rows, on the CPU, of any dtype that rows are read as.
        """
        if self.cache is not None:
            warm(self.cache, self.pieces, rows, out)

    def compile(self, out: "torch.Tensor") -> None:
        """Compile every kernel now: not in a step, nor while another thread forks.

        Args:
            out: no rows, on the CPU, of any dtype that rows are read as.
        """
        self._page_reads.compile(self.slab, out)
        self.pieces.compile()
        self._begins.compile(self.slab)
        if self.records is not None:
            compile_recorded(self.records, self.slab.memory)
        if self.cache is not None:
            for row_map in self.maps.values():
                self.cache.compile(row_map, out)
                compile_hits(self.cache, row_map, out)

    def close(self) -> None:
        """Wait for reads under way, close the files and give the memory back."""
        self.chosen.close()
        self.over = self.over or "the store is closed"  # children need no memory either
        if self.cache is not None:
            self.cache.close()
        self._forget()

    def _forget(self) -> None:
        for name in ("slab", "_begins", "pieces", "_hands", "_ahead"):
            vars(self).pop(name, None)
