"""Dense counters of a range of rows: accesses, distinct windows, and the most frequent one's count.

What bounds it: one random access to memory for each window and head. The three counters of a row
lie together, so that it is one cache line and not three.
"""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engramctl.access.spectrum import Spectrum
from engramctl.runtime.kernel_cache import njit

MOST_SHOWN = 8  # slots with as many n-grams, or more, are one bucket
PIECE_ROWS = 1 << 18
_COUNTERS = 3


@njit(nogil=True, cache=True)
def _add(
    rows_MH: NDArray[np.signedinteger[Any]],
    column: int,
    begin: int,
    counts_M: NDArray[np.uint64],
    counters_K3: NDArray[Any],
) -> None:
    """Count the windows whose row is in the range; uint64 counts are cut to the counters' type."""
    size = np.uint64(len(counters_K3))
    for m in range(len(rows_MH)):
        at = np.uint64(rows_MH[m, column] - begin)  # a row before the range is far behind it
        if at < size:
            counters_K3[at, 0] += counts_M[m]
            counters_K3[at, 1] += np.uint64(1)
            if counters_K3[at, 2] < counts_M[m]:
                counters_K3[at, 2] = counts_M[m]


@njit(nogil=True, cache=True)
def _scan(
    counters_K3: NDArray[Any],
    begin: int,
    ids: NDArray[np.uint32],
    counts: NDArray[np.uint64],
    slots: NDArray[np.int64],
) -> tuple[np.int64, np.int64]:
    """Write rows that are read and their accesses, and add to `slots`.

    Returns:
        the number of rows, and the accesses by their top n-grams.
    """
    number, top = np.int64(0), np.int64(0)
    most = np.int64(len(slots) - 1)
    for at in range(len(counters_K3)):
        accesses = counters_K3[at, 0]
        if accesses:
            ids[number] = begin + at
            counts[number] = accesses
            number += np.int64(1)
            ngrams = np.int64(counters_K3[at, 1])
            slots[ngrams if ngrams < most else most] += 1
            top += np.int64(counters_K3[at, 2])
    slots[0] += len(counters_K3) - number
    return number, top


@dataclass(frozen=True)
class RowRange:
    """Rows of one head, or a part of them where a head is too large to count at a time.

    Attributes:
        layer: the layer.
        column: the head, by column of `row_ids`.
        order: of the head.
        begin: first row id.
        end: one behind the last.
    """

    layer: int
    column: int
    order: int
    begin: int
    end: int

    def counter_bytes(self, accesses: int) -> int:
        """Return the memory that counting takes."""
        return (self.end - self.begin) * _COUNTERS * counter_type(accesses).itemsize


def counter_type(accesses: int) -> np.dtype[np.unsignedinteger[Any]]:
    """Return the type that no counter can leave when the model reads `accesses` rows a head."""
    return np.dtype(np.uint32 if accesses < 2**32 else np.uint64)


class Tally:
    """Counts one range of rows."""

    def __init__(self, rows: RowRange, accesses: int) -> None:
        """Make the counters.

        Args:
            rows: which.
            accesses: as many as there can be.
        """
        self.range = rows
        shape = (rows.end - rows.begin, _COUNTERS)
        self._counters_K3 = np.zeros(shape, counter_type(accesses))

    def add(
        self, rows_MH: NDArray[np.signedinteger[Any]], place: int, counts_M: NDArray[np.uint64]
    ) -> None:
        """Take in distinct windows.

        Args:
            rows_MH: their row ids, of several heads.
            place: which of these columns is this head's.
            counts_M: how often they are read.
        """
        _add(rows_MH, place, self.range.begin, counts_M, self._counters_K3)

    def pieces(self) -> range:
        """Return where pieces of `PIECE_ROWS` begin, counted from the range's first row."""
        return range(0, len(self._counters_K3), PIECE_ROWS)

    def piece(self, begin: int) -> "RowsRead":
        """Return the rows of one piece that are read, and what is known of all its rows."""
        counters_K3 = self._counters_K3[begin : begin + PIECE_ROWS]
        ids = np.empty(len(counters_K3), np.uint32)
        counts = np.empty(len(counters_K3), np.uint64)
        found = RowSummary()
        number, top = _scan(counters_K3, self.range.begin + begin, ids, counts, found.slots)
        found.top_accesses = int(top)
        found.spectrum.add(counts[:number])
        return RowsRead(ids[:number].copy(), counts[:number].copy(), found)


@dataclass
class RowSummary:
    """What is known of some rows of one order; summaries add up.

    Attributes:
        spectrum: rows by how often they are read.
        slots: rows by how many distinct windows read them, 0 to `MOST_SHOWN` or more.
        top_accesses: accesses by the most frequent window of every row.
    """

    spectrum: Spectrum = field(default_factory=Spectrum)
    slots: NDArray[np.int64] = field(default_factory=lambda: np.zeros(MOST_SHOWN + 1, np.int64))
    top_accesses: int = 0

    def merge(self, other: "RowSummary") -> None:
        """Take in another summary."""
        self.spectrum.merge(other.spectrum)
        self.slots += other.slots
        self.top_accesses += other.top_accesses

    @property
    def reached(self) -> int:
        """Rows that some window reads."""
        return int(self.slots[1:].sum())


@dataclass(frozen=True)
class RowsRead:
    """Rows that are read.

    Attributes:
        ids: row ids, ascending.
        counts: accesses.
        summary: of these rows and of those between that are not read.
    """

    ids: NDArray[np.uint32]
    counts: NDArray[np.uint64]
    summary: RowSummary
