"""The most frequent n-grams of one order, exactly, from rows that come in their order."""

import numpy as np

from engramctl.counting.count import Rows


class TopRows:
    """Keeps the `limit` most frequent rows; among equal counts the first ones.

    Exact because partitions are disjoint: a row that is not among the best of what came so far can
    not be among the best of all. Memory: two or three times `limit` rows.
    """

    def __init__(self, limit: int, order: int) -> None:
        """Begin with nothing; `limit` is 1 or more."""
        self._limit = limit
        self._ids = [np.empty((0, order), np.uint32)]
        self._counts = [np.empty(0, np.uint64)]
        self._held = 0
        self._least = np.uint64(0)  # rows need more than this once there are `limit`

    def add(self, rows: Rows) -> None:
        """Take in rows, which come after those before."""
        better = np.flatnonzero(rows.counts > self._least)
        self._ids.append(rows.ids[better])
        self._counts.append(rows.counts[better])
        self._held += len(better)
        if self._held >= 2 * self._limit:
            self._prune()

    def rows(self) -> Rows:
        """Return the best rows in the order of the result; `distinct` counts only them."""
        self._prune()
        counts = self._counts[0]
        return Rows(self._ids[0], counts, len(counts), int(counts.sum()))

    def _prune(self) -> None:
        ids, counts = np.concatenate(self._ids), np.concatenate(self._counts)
        if len(counts) > self._limit:
            least = np.partition(counts, len(counts) - self._limit)[len(counts) - self._limit]
            keep = counts > least
            equal = np.flatnonzero(counts == least)
            keep[equal[: self._limit - np.count_nonzero(keep)]] = True
            ids, counts = ids[keep], counts[keep]
        if len(counts) == self._limit:
            self._least = counts.min()
        self._ids, self._counts, self._held = [ids], [counts], len(counts)
