"""The rows of a layer of a ticket, by where they come from."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Parted:
    """Rows of a layer of a ticket: first those that must be read, from the end on back the others.

    Attributes:
        counts: rows to be read, rows from the cache, of these by chance, rows that an n-gram's
            record serves: they stand behind those to be read; int64 (4,).
        rows: row ids to be read, int64 (n,).
        targets: the output row of each, of those to be read and of those that are here, int64 (n,).
        where_N2: addresses of values and scales of those that are here, int64 (n, 2).
        hold: their records, uint8.
    """

    counts: NDArray[np.int64]
    rows: NDArray[np.int64]
    targets: NDArray[np.int64]
    where_N2: NDArray[np.int64]
    hold: NDArray[np.uint8]

    @staticmethod
    def words(num_rows: int) -> int:
        """Return the int64 that a room for so many rows takes, without `hold`."""
        return 4 * num_rows

    @classmethod
    def of(cls, num_rows: int, words: NDArray[np.int64], hold: NDArray[np.uint8]) -> "Parted":
        """Lay a room out in memory; see `words`."""
        rows, targets = words[:num_rows], words[num_rows : 2 * num_rows]
        where_N2 = words[2 * num_rows : 4 * num_rows].reshape(-1, 2)
        return cls(np.zeros(4, np.int64), rows, targets, where_N2, hold)

    @property
    def missed(self) -> NDArray[np.int64]:
        """Row ids to be read."""
        return self.rows[: self.counts[0]]

    @property
    def missed_targets(self) -> NDArray[np.int64]:
        """Their output rows."""
        return self.targets[: self.counts[0]]

    @property
    def recorded(self) -> slice:
        """Where rows that records serve stand in `rows`, `targets` and `where_N2`."""
        first = int(self.counts[0])
        return slice(first, first + int(self.counts[3]))

    def take_all(self, rows: NDArray[np.int64], places: NDArray[np.int64]) -> None:
        """Part rows where there is no cache: all must be read."""
        self.rows[:] = rows
        self.targets[:] = places[: len(rows)]
        self.counts[0] = len(rows)

    @property
    def found(self) -> slice:
        """Where those that are here stand in `targets` and `where_N2`."""
        return slice(len(self.targets) - int(self.counts[1]), len(self.targets))
