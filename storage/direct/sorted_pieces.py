"""Any number of rows read and widened in memory of a fixed size, piece by piece.

Some rows at a time are sorted, so that their pages are read once however small the memory is, and
read in turn into two halves: one is read into while rows are widened out of the other, so that the
disk is never without work.
"""

import threading
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from engramctl.errors import StorageError
from engramctl.runtime.kernel_cache import njit
from engramctl.storage.cache.row_cache import RowCache
from engramctl.storage.direct.page_reads import PageReads
from engramctl.storage.io.page_plan import PagePlan, rows_that_fit
from engramctl.storage.io.pages import PAGE, pages_for
from engramctl.storage.memory.slab import Slab
from engramctl.storage.readers.batch import Batch, NotBegun, Pending

if TYPE_CHECKING:
    import torch

_SORTED_PART = 8  # of the working memory, one in so many is for sorting rows
_LEAST_SORTED_PAGES = 1
_SORTED_WORDS = 4  # int64 a row: id and position, of two parts
_ROWS_A_PAGE = 2  # rows of one half, for each page of it; more lie closer than random ones
_KEY_BITS = 62


@njit(nogil=True, cache=True)
def make_keys(rows: Any, start: Any, keys: Any, bits: Any) -> None:
    """Join each row id of rows[start:start + len(keys)] with its place there, in one int64."""
    for i in range(keys.shape[0]):
        keys[i] = (np.int64(rows[start + i]) << bits) | i


@njit(nogil=True, cache=True)
def part_keys(keys: Any, start: Any, positions: Any, bits: Any) -> None:
    """Turn keys into row ids, in place, and positions in the request."""
    for i in range(keys.shape[0]):
        positions[i] = start + (keys[i] & ((1 << bits) - 1))
        keys[i] >>= bits


@dataclass(frozen=True)
class _Half:
    """Rows under way into one half of the working memory."""

    plan: PagePlan
    batch: Batch
    pending: Pending
    address: int
    turn: int
    rows: NDArray[np.int64]
    positions: NDArray[np.int64]
    cache: RowCache | None


def _half_words(pages: int, most: int) -> int:
    """Return the int64 that plans of a half take."""
    return max(1, _ROWS_A_PAGE * pages) * (2 + most) + 6 * max(most, pages)


def least_pages(most: int) -> int:
    """Return the pages of the least working memory, where a row can touch `most` pages."""
    room = pages_for(8 * _half_words(most, most))
    return 2 * (most + room) + _LEAST_SORTED_PAGES


class SortedPieces:
    """The working memory; one request at a time is served from it.

    Attributes:
        half_pages: pages that each half holds.
        num_pages: all pages of the working memory.
    """

    def __init__(
        self, reads: PageReads, slab: Slab, num_pages: int, cache: RowCache | None = None
    ) -> None:
        """Take the working memory from a slab, for ever.

        Args:
            reads: what reads.
            slab: what the memory is of.
            num_pages: how many, at least `least_pages`.
            cache: rows kept.
        """
        self._cache = cache
        self._reads, self._slab, self.num_pages = reads, slab, num_pages
        spare = num_pages - least_pages(reads.most)
        sorted_pages = _LEAST_SORTED_PAGES + min(spare, num_pages // _SORTED_PART)
        each = (num_pages - sorted_pages) // 2
        per_page = PAGE + 8 * (_ROWS_A_PAGE * (2 + reads.most) + 6)
        self.half_pages = max(reads.most, each * PAGE // per_page)
        first = slab.take(num_pages) or 0
        self._first = [first, first + each]
        self._rooms = [
            slab.words(one + self.half_pages, each - self.half_pages) for one in self._first
        ]
        words = slab.words(first + 2 * each, sorted_pages)
        rows = len(words) // _SORTED_WORDS
        most_rows = max(int(one.starts_S[-1]) for one in reads.maps.values())
        rows = min(rows, 1 << (_KEY_BITS - most_rows.bit_length()))
        self._sorted = words[: rows * _SORTED_WORDS].reshape(2, 2, rows)
        self._bits = rows.bit_length()
        self._working = threading.Lock()
        self._under_way: deque[_Half] = deque()  # at most two
        self._beginning = False  # a read that nobody could wait for yet

    def read(
        self,
        layer: int,
        row_ids: NDArray[np.int64],
        out: "torch.Tensor",
        *,
        counted: bool = True,
        kept: bool = True,
    ) -> None:
        """Write rows to `out`; see `DirectRows.finish`.

        Args:
            layer: whose rows.
            row_ids: int32 or int64 (n,).
            out: where they go.
            counted: whether somebody asked for them: hits and misses count.
            kept: whether the row cache serves them and takes them in.
        """
        flat = out.view(-1, out.shape[-1])
        with self._working:
            if self._beginning:
                raise StorageError(
                    "a read was interrupted while it began, so bytes may still come to its memory",
                    hint="close the store and open it again",
                )
            self._drain()
            try:
                self._read(layer, row_ids, flat, self._cache if kept else None, counted)
            finally:
                self._drain()

    def _drain(self) -> None:
        """Wait for rows that nobody wants any more: nothing may be read into a half that is used.

        Who is interrupted here leaves them to the next one.
        """
        while self._under_way:
            pending = self._under_way[0].pending
            try:
                pending.wait()
            except Exception:
                if not pending.over():  # bytes may still come
                    raise
            self._under_way.popleft()

    def _read(
        self,
        layer: int,
        row_ids: NDArray[np.int64],
        out: "torch.Tensor",
        cache: RowCache | None,
        counted: bool,
    ) -> None:
        reads, packed, files = self._reads, self._reads.maps[layer].packed, self._reads.files[layer]
        turn, step, under_way = 0, self._sorted.shape[2], self._under_way
        for number, start in enumerate(range(0, len(row_ids), step)):
            while under_way and under_way[0].turn % 2 == number % 2:
                self._widen(layer, out)
            rows, positions = self._sorted[number % 2, :, : min(step, len(row_ids) - start)]
            make_keys(row_ids, start, rows, self._bits)
            rows.sort()
            part_keys(rows, start, positions, self._bits)
            if cache is not None:
                kept = cache.serve(reads.maps[layer], rows, positions, out)
                if counted:
                    cache.count_sorted(rows[:kept], len(rows) - kept)
                rows, positions = rows[:kept], positions[:kept]
            at = 0
            while at < len(rows):
                most = min(len(rows), at + _ROWS_A_PAGE * self.half_pages)
                end = rows_that_fit(rows[:most], at, packed, files, self.half_pages)
                if len(under_way) == 2:
                    self._widen(layer, out)
                half = turn % 2
                plan = reads.plan({layer: rows[at:end]}, self._rooms[half])
                if len(plan.pages_P) > self.half_pages:
                    raise IndexError("a plan has more pages than there is room for")
                address = self._slab.at(self._first[half])
                batch = reads.batch(plan, address)
                self._beginning = True
                try:
                    pending = reads.start(batch)
                except NotBegun:
                    self._beginning = False
                    raise
                under_way.append(
                    _Half(
                        plan,
                        batch,
                        pending,
                        address,
                        number,
                        rows[at:end],
                        positions[at:end],
                        cache,
                    )
                )
                self._beginning = False
                reads.count(batch)  # while the disk works
                at, turn = end, turn + 1
        while under_way:
            self._widen(layer, out)

    def compile(self) -> None:
        """Compile the kernels that are these pieces' own."""
        rows, positions = self._sorted[0, :, :0]
        for kind in (np.int32, np.int64):
            make_keys(np.empty(0, kind), 0, rows, self._bits)
        part_keys(rows, 0, positions, self._bits)

    def _widen(self, layer: int, out: "torch.Tensor") -> None:
        """Wait for the older half and write its rows."""
        one = self._under_way[0]
        one.pending.wait()
        self._reads.arrived(one.batch)
        where = one.plan.addresses(layer, one.address)
        self._reads.widen(layer, one.rows, where, one.positions, self._slab, out)
        if one.cache is not None:
            one.cache.admit(layer, one.rows, where, self._slab.memory)
        self._under_way.popleft()
