"""Order 1: the same id comes from several partitions, so its counts are added up.

Memory: MOST_HELD rows, and as many that wait to be added up. More ids than that go to disk, cut
into ranges of ids, and come back range by range: a range is so narrow that its counts are an array.
"""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from engramctl.counting.count import Rows
from engramctl.counting.spill import SpillStore
from engramctl.runtime.kernel_cache import compiled

MOST_WAITING = 1 << 18  # rows that wait to be added up: 3 MiB
MOST_HELD = 1 << 20  # rows that were: 12 MiB
RANGE_BITS = 20  # ids of a range: 8 MiB of counts
_ID_BITS = 32


@compiled
def _add(records: NDArray[np.uint64], counts: NDArray[np.uint64]) -> None:
    """Add records of two words, id and count, to the counts of a range."""
    mask = np.uint64(len(counts) - 1)
    for at in range(0, len(records), 2):
        counts[records[at] & mask] += records[at + 1]


class Unigrams:
    """Adds up the rows of order 1 of all partitions."""

    def __init__(self, folder: Path) -> None:
        """Begin with nothing; `folder` is where rows go that memory should not hold."""
        self._folder = folder
        self.parts: list[tuple[NDArray[np.uint32], NDArray[np.uint64]]] = []
        self._waiting = 0
        self._store: SpillStore | None = None

    def add(self, rows: Rows) -> None:
        """Take in the rows of one partition, in any pieces."""
        for first in range(0, len(rows.counts), MOST_WAITING):
            piece = slice(first, first + MOST_WAITING)
            self.parts.append((rows.ids[piece].reshape(-1), rows.counts[piece]))
            self._waiting += len(self.parts[-1][1])
            if self._waiting > MOST_WAITING:
                ids, counts = self._merge()
                if len(ids) > MOST_HELD:
                    self._spill(ids, counts)

    def rows(self) -> Iterator[Rows]:
        """Give all ids with their counts, ids ascending, in pieces."""
        ids, counts = self._merge()
        if self._store is None:
            yield _rows(ids, counts)
            return
        self._spill(ids, counts)
        sums = np.zeros(1 << RANGE_BITS, np.uint64)
        for number in self._store.filled():
            for records in self._store.partition(number):
                _add(records, sums)
            found = np.flatnonzero(sums)
            yield _rows((found + (number << RANGE_BITS)).astype(np.uint32), sums[found])
            sums[found] = 0

    def remove(self) -> None:
        """Delete what is on disk."""
        if self._store is not None:
            self._store.remove()

    def _merge(self) -> tuple[NDArray[np.uint32], NDArray[np.uint64]]:
        ids = np.concatenate([np.empty(0, np.uint32), *(part[0] for part in self.parts)])
        counts = np.concatenate([np.empty(0, np.uint64), *(part[1] for part in self.parts)])
        by_id = np.argsort(ids, kind="stable")
        ids, counts = ids[by_id], counts[by_id]
        begins = np.flatnonzero(np.append(True, ids[1:] != ids[:-1])[: len(ids)])
        merged = ids[begins], np.add.reduceat(counts, begins) if len(ids) else counts
        self.parts, self._waiting = [merged], 0
        return merged

    def _spill(self, ids: NDArray[np.uint32], counts: NDArray[np.uint64]) -> None:
        """Put ascending ids and their counts on disk."""
        ranges = 1 << (_ID_BITS - RANGE_BITS)
        if self._store is None:
            self._store = SpillStore(
                self._folder, partitions=ranges, record_words=2, memory_bytes=0, name="unigrams"
            )
        edges = np.arange(ranges + 1, dtype=np.uint64) << np.uint64(RANGE_BITS)
        bounds = np.searchsorted(ids.astype(np.uint64), edges).astype(np.uint32)
        self._store.add(np.column_stack([ids.astype(np.uint64), counts]).reshape(-1), bounds)
        self.parts = []


def _rows(ids: NDArray[np.uint32], counts: NDArray[np.uint64]) -> Rows:
    return Rows(ids.reshape(-1, 1), counts, len(ids), int(counts.sum()))
