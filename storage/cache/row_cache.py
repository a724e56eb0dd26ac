"""Rows that were read, kept as they are stored in memory that never exceeds a bound.

Row by row, where the page cache keeps pages, of which a row is a fifteenth; S3-FIFO says which. The
bound is of everything: records, keys, chains, queues and the ids of rows that left.
"""

from bisect import bisect_right
from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from engramctl.storage.cache.gathering import gather_cached
from engramctl.storage.cache.lookups import admit_rows, part_rows
from engramctl.storage.cache.parted import Parted
from engramctl.storage.cache.s3fifo import drop_keys, empty_slots, keep_all
from engramctl.storage.cache.shared_lock import SharedLock
from engramctl.storage.cache.slots import MOST_SLOTS, Slots, key_bases, key_words, slots_bytes
from engramctl.storage.io.gather import widen
from engramctl.storage.io.pages import PAGE, pages_for
from engramctl.storage.io.row_map import RowMap
from engramctl.storage.io.take_rows import distinct_rows
from engramctl.storage.memory.slab import Slab
from engramctl.storage.reading.source import Source

if TYPE_CHECKING:
    import torch

AT_ONCE = 1024  # rows for which other threads wait
NO_TAGS: NDArray[np.uint16] = np.empty(0, np.uint16)
_NO_HOLD: NDArray[np.uint8] = np.empty(0, np.uint8)


def cache_capacity(num_bytes: int, record_bytes: int, num_rows: int) -> int:
    """Return how many rows a cache of so many bytes holds, all it needs beside them included.

    Args:
        num_bytes: whole pages of it are used.
        record_bytes: of a stored row.
        num_rows: of all layers together; more are never held.
    """
    room = num_bytes // PAGE * PAGE
    words = key_words(num_rows)
    most = min(room // record_bytes, num_rows, MOST_SLOTS)
    return (
        bisect_right(range(most + 1), room, 1, key=lambda n: slots_bytes(n, words, record_bytes))
        - 1
    )


def cache_pages(num_bytes: int, record_bytes: int, num_rows: int) -> int:
    """Return the pages that a row cache of so many bytes has: no more than all rows need.

    Args:
        num_bytes: see `cache_capacity`, as the others.
        record_bytes: of a stored row.
        num_rows: of all layers together.
    """
    capacity = cache_capacity(num_bytes, record_bytes, num_rows)
    if capacity < min(num_rows, MOST_SLOTS):
        return num_bytes // PAGE
    return pages_for(slots_bytes(capacity, key_words(num_rows), record_bytes))


class RowCache:
    """A cache of stored rows of all layers; safe from several threads, a block of rows at a time.

    Attributes:
        capacity: rows it can hold.
        hits: row ids found in it.
        chance_hits: of these, rows that another n-gram had brought; told where n-grams are known.
        misses: row ids that were not.
        rows_missed: distinct ones of these, ticket by ticket and layer by layer.
        sharing: who reads it and who changes it; `lock` is its quick one.
        bases: layer -> what makes row ids keys, when it is added.
        arrays: `words` and `state` of `Slots`.
        memory: the words as bytes.
        num_bytes: of memory, all of it.
    """

    def __init__(self, source: Source, num_bytes: int, before: "RowCache | None" = None) -> None:
        """Reserve the memory; nothing is taken from the system before a row comes.

        Args:
            source: whose rows; a cache is for one.
            num_bytes: bound of everything; no more is reserved than all rows need.
            before: whose counts go on; a forked child has no memory of it.

        Raises:
            ValueError: it is too small for a row.
            StorageError: the system does not give so much.
        """
        record = source.record
        self.bases, total = key_bases(source)
        self.capacity = cache_capacity(num_bytes, record.record_bytes, total)
        if self.capacity < 1:
            raise ValueError(f"a row cache of {num_bytes:,} bytes holds no row")
        self.record_bytes = record.record_bytes
        self._sizes = np.array([record.weight_bytes, record.scale_bytes], np.int64)
        slab = Slab(cache_pages(num_bytes, record.record_bytes, total))
        slab.prefer_huge_pages()
        self._slab: Slab | None = slab
        self.num_bytes = slab.memory.nbytes
        self.sharing = SharedLock()
        self.lock = self.sharing.quick
        self.hits: int = 0 if before is None else before.hits
        self.chance_hits: int = 0 if before is None else before.chance_hits
        self.misses: int = 0 if before is None else before.misses
        self.rows_missed: int = 0 if before is None else before.rows_missed
        self._use(Slots.empty(self.capacity, key_words(total), self.record_bytes, slab.memory))

    def _use(self, slots: Slots) -> None:
        self._slots = slots
        self.arrays = slots.words, slots.state
        self.memory = slots.words.view(np.uint8)

    @property
    def rows(self) -> int:
        """Rows held now."""
        return self._slots.rows

    def close(self) -> None:
        """Give the memory back, once nobody uses it: no row is held, and what was counted stays."""
        self._use(Slots.empty(1))
        self._slab, self.num_bytes = None, 0

    def clear(self) -> None:
        """Hold no row."""
        self.sharing.alone(partial(empty_slots, *self.arrays))

    def drop(self, rows: Mapping[int, NDArray[np.int64]]) -> None:
        """Hold none of these rows any more.

        Args:
            rows: layer -> row ids, int64 (n,).
        """

        def work() -> None:
            for layer, ids in rows.items():
                drop_keys(ids, self.bases[layer], *self.arrays)

        self.sharing.alone(work)

    def keep_all(self) -> None:
        """Take the rows that are here for wanted: those that come once and never again go first."""
        self.sharing.alone(partial(keep_all, *self.arrays))

    def part(
        self,
        layer: int,
        rows: NDArray[Any],
        places: NDArray[np.int64],
        room: Parted,
        tags: NDArray[np.uint16] = NO_TAGS,
    ) -> None:
        """Part rows into hits, whose records are copied, and misses; see `part_rows`.

        Args:
            layer: whose rows.
            rows: row ids, int32 or int64 (n,).
            places: 0, 1, 2, ..., at least n.
            room: is filled.
            tags: of their n-grams.
        """
        for start in range(0, max(1, len(rows)), AT_ONCE):
            some = slice(start, min(start + AT_ONCE, len(rows)))
            with self.lock:
                part_rows(
                    rows[some], places[some], tags[some], self.bases[layer], *self.arrays,
                    self._sizes, room.hold, room.counts, room.rows, room.targets, room.where_N2,
                )  # fmt: skip

    def serve(
        self,
        row_map: RowMap,
        rows: NDArray[np.int64],
        places: NDArray[np.int64],
        out: "torch.Tensor",
    ) -> int:
        """Write the rows that are here to `out`; move the others to the front; count none.

        Args:
            row_map: of the layer.
            rows: row ids, int64 (n,), ascending; the misses stand in front then.
            places: their output rows, int64 (n,); likewise.
            out: see `widen`.

        Returns:
            how many were missed.

        Raises:
            FormatError: see `widen`.
        """
        counts = np.zeros(4, np.int64)
        targets = np.empty(AT_ONCE, np.int64)
        where_N2 = np.empty((AT_ONCE, 2), np.int64)
        kept = 0
        for start in range(0, max(1, len(rows)), AT_ONCE):
            ids = rows[start : start + AT_ONCE]
            counts[:] = 0
            with self.lock:
                part_rows(
                    ids, places[start : start + len(ids)], NO_TAGS, self.bases[row_map.layer],
                    *self.arrays, self._sizes, _NO_HOLD, counts, rows[kept:],
                    targets[: len(ids)], where_N2[: len(ids)],
                )  # fmt: skip
                missed = int(counts[0])
                here = slice(missed, len(ids))
                bad = widen(where_N2[here], targets[here], self.memory, row_map, out)
                assert bad < 0, "rows are widened before they are taken in"
            places[kept : kept + missed] = targets[:missed]
            kept += missed
        return kept

    def admit(
        self,
        layer: int,
        rows: NDArray[np.int64],
        where_N2: NDArray[np.int64],
        buffer: NDArray[np.uint8],
        tags: NDArray[np.uint16] = NO_TAGS,
    ) -> None:
        """Take in rows that were read into a buffer; see `admit_rows`.

        Args:
            layer: whose rows.
            rows: row ids, int64 (n,).
            where_N2: addresses of each row's values and scales, int64 (n, 2).
            buffer: holds them all.
            tags: of their n-grams.
        """
        low = buffer.ctypes.data
        for start in range(0, max(1, len(rows)), AT_ONCE):
            some = slice(start, start + AT_ONCE)
            self.sharing.alone(
                partial(
                    admit_rows, rows[some], tags[some], self.bases[layer], where_N2[some], low,
                    low + buffer.nbytes, *self.arrays, self._sizes,
                )
            )  # fmt: skip

    def gather(self, row_map: RowMap, row_ids: NDArray[Any], out: "torch.Tensor") -> int:
        """Gather a few rows when all are here; see `gather_cached`.

        Returns:
            how many are distinct, or -1.
        """
        with self.lock:
            distinct = int(
                gather_cached(
                    row_ids, self.bases[row_map.layer], row_map.packed, *self.arrays,
                    out.element_size(), out.data_ptr(), out.nbytes,
                )
            )  # fmt: skip
            if distinct >= 0:
                self.hits += len(row_ids)
        return distinct

    def compile(self, row_map: RowMap, out: "torch.Tensor") -> None:
        """Compile every kernel now, for both kinds of ids; `out` has no rows."""
        words = np.empty(0, np.int64)
        for kind in (np.int32, np.int64):
            none = np.empty(0, kind)
            self.gather(row_map, none, out)
            self.part(row_map.layer, none, words, Parted.of(0, words, _NO_HOLD))
        self.drop({row_map.layer: words})
        self.keep_all()
        self.serve(row_map, words, words, out)
        self.admit(row_map.layer, words, words.reshape(0, 2), self.memory)

    def count(self, parted: Parted) -> None:
        """Count rows that were parted, once they are sure to be served so."""
        missed = parted.rows[: parted.recorded.stop]
        self._count(len(missed), distinct_rows(missed), int(parted.counts[1]))
        with self.lock:
            self.chance_hits += int(parted.counts[2])

    def count_sorted(self, missed: NDArray[np.int64], hits: int) -> None:
        """Count rows that were served, of which these, ascending, were not here."""
        distinct = int(np.count_nonzero(np.diff(missed))) + (len(missed) > 0)
        self._count(len(missed), distinct, hits)

    def _count(self, misses: int, distinct: int, hits: int) -> None:
        with self.lock:
            self.misses += misses
            self.rows_missed += distinct
            self.hits += hits
