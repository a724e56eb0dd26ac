"""Order 1: the same id comes from several partitions, so its counts are added up."""

import numpy as np
from numpy.typing import NDArray

from engramctl.mining.count import Rows

MOST_WAITING = 1 << 18  # rows that wait to be added up: 3 MiB


class Unigrams:
    """Adds up the rows of order 1 of all partitions; holds one row an id."""

    def __init__(self) -> None:
        """Begin with nothing."""
        self._parts: list[tuple[NDArray[np.uint32], NDArray[np.uint64]]] = []
        self._waiting = 0

    def add(self, rows: Rows) -> None:
        """Take in the rows of one partition."""
        self._parts.append((rows.ids.reshape(-1), rows.counts))
        self._waiting += len(rows.counts)
        if self._waiting > MOST_WAITING:
            self._merge()
            self._waiting = 0

    def rows(self) -> Rows:
        """Return all ids with their counts, ids ascending."""
        ids, counts = self._merge()
        return Rows(ids.reshape(-1, 1), counts, len(ids), int(counts.sum()))

    def _merge(self) -> tuple[NDArray[np.uint32], NDArray[np.uint64]]:
        ids = np.concatenate([np.empty(0, np.uint32), *(part[0] for part in self._parts)])
        counts = np.concatenate([np.empty(0, np.uint64), *(part[1] for part in self._parts)])
        by_id = np.argsort(ids, kind="stable")
        ids, counts = ids[by_id], counts[by_id]
        begins = np.flatnonzero(np.append(True, ids[1:] != ids[:-1])[: len(ids)])
        merged = ids[begins], np.add.reduceat(counts, begins) if len(ids) else counts
        self._parts = [merged]
        return merged
