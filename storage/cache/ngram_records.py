"""Files of n-gram records, and which of them serve the rows that a batch misses.

A record holds the stored rows of all heads of one n-gram, in all layers: one read instead of one a
row. Where at least two rows of an n-gram are missed and a file knows it, its record is read.

Records are a cache of bytes and must never decide what a row is. They are compared with the table's
own rows: all of the first few, later one in some hundreds.
"""

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from engramctl.runtime.threads import renew_in_children

LEAST_MISSED = 2  # rows of an n-gram, for one read of its record to be fewer
TRUSTED_AFTER = 32  # records that were compared before any is served unseen
COMPARED_ONE_IN = 256
OTHER_BYTES = "a record of it has other bytes than the table's rows"
FROM_OTHERS = "it may have rows of a file whose records have other bytes than the table's rows"

Find = Callable[[NDArray[np.integer], NDArray[np.uint64]], NDArray[np.int64]]


@dataclass(frozen=True)
class RecordShape:
    """How the rows of an n-gram stand in its record: layer by layer, head by head.

    Attributes:
        num_orders: of the scheme; heads follow each other order by order.
        layers: of the rows, as they follow.
        heads_per_order: rows an n-gram has in a layer.
        row_bytes: of a stored row.
    """

    num_orders: int
    layers: tuple[int, ...]
    heads_per_order: int
    row_bytes: int

    @property
    def record_bytes(self) -> int:
        """Bytes of a record."""
        return len(self.layers) * self.heads_per_order * self.row_bytes

    @property
    def num_heads(self) -> int:
        """H, rows of a position in a layer."""
        return self.num_orders * self.heads_per_order

    def offset(self, layer: int) -> int:
        """Return where the rows of a layer begin in a record."""
        return self.layers.index(layer) * self.heads_per_order * self.row_bytes

    def packed(self, layer: int) -> NDArray[np.int64]:
        """Return how a layer's rows stand in a record, as the kernels of records take it."""
        return np.array(
            [self.num_heads, self.heads_per_order, self.num_orders, self.row_bytes,
             self.offset(layer)],
            np.int64,
        )  # fmt: skip


class Proof(Protocol):
    """Says whether an entry that was read is what it was looked up as."""

    def __call__(
        self, number: int, order_index: int, key: NDArray[np.uint64], entry: memoryview
    ) -> bool:
        """Return whether the entry is whole, and this n-gram's."""


class Forget(Protocol):
    """Forgets entries that were not what they were looked up as."""

    def __call__(
        self,
        order_index: NDArray[np.int64],
        keys: NDArray[np.uint64],
        numbers: NDArray[np.int64],
    ) -> None:
        """Find these entries, (n,), no more."""


class RecordFile:
    """One file of records, at places that never change; what is in it may.

    Attributes:
        lost: why nothing is taken from it any more, or None.
        hits: n-grams whose rows it served.
        compared: entries that were compared with the table's rows.
    """

    def __init__(
        self,
        path: Path,
        find: Find,
        *,
        entries: int,
        entry_bytes: int,
        first_offset: int,
        head_bytes: int = 0,
        unit_entries: int = 1,
        unit_bytes: int | None = None,
        index_bytes: int = 0,
        proof: Proof | None = None,
        forget: Forget | None = None,
        given_up: Callable[[str, bool], None] | None = None,
    ) -> None:
        """Hold what is known of the file.

        Args:
            path: of it.
            find: gives the numbers of the entries of n-grams, orders and keys, -1: none.
            entries: numbers lie below.
            entry_bytes: of an entry.
            first_offset: of the first one in the file.
            head_bytes: before the record.
            unit_entries: entries that stand together.
            unit_bytes: from such a unit to the next; None: that of an entry.
            index_bytes: memory that `find` takes.
            proof: of an entry, asked before it is used; None: there is none.
            forget: what it refuses.
            given_up: of a file that traffic fills: told why, and whether its records are wrong.
        """
        self.path, self.find, self.index_bytes = path, find, index_bytes
        self.proof, self.forget, self._given_up = proof, forget, given_up
        self.entries, self.entry_bytes, self.head_bytes = entries, entry_bytes, head_bytes
        self.first_offset, self.unit_entries = first_offset, unit_entries
        self.unit_bytes = entry_bytes if unit_bytes is None else unit_bytes
        self.lost: str | None = None
        self.hits = self.compared = 0
        self._seen: set[int] = set()
        self._turn = 0
        self.renew()
        renew_in_children(self)

    def renew(self) -> None:
        """Make the lock anew in a forked child."""
        self.lock = threading.Lock()

    @property
    def from_traffic(self) -> bool:
        """Whether its records were put together from rows that were served."""
        return self._given_up is not None

    def count(self, hits: int) -> None:
        """Count n-grams whose rows were served."""
        with self.lock:
            self.hits += hits

    def fail(self, why: str, *, wrong: bool = False) -> None:
        """Take nothing from it any more; what is `wrong` for the table is thrown away."""
        with self.lock:
            first = self.lost is None
            self.lost = self.lost or why
        if (first or wrong) and self._given_up is not None:
            self._given_up(why, wrong)

    def to_compare(self, numbers: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Return which of these entries, (n,), the table's rows are to be read beside."""
        chosen = np.zeros(len(numbers), np.bool_)
        with self.lock:
            if not self.trusted:
                chosen[:] = True
            else:
                chosen = (self._turn + np.arange(len(numbers))) % COMPARED_ONE_IN == 0
            self._turn += len(numbers)
        return chosen

    def were_compared(self, numbers: NDArray[np.int64]) -> None:
        """Learn that these entries, (n,), are the table's rows: not before they were looked at."""
        with self.lock:
            self.compared += len(numbers)
            if not self.trusted:
                self._seen.update(numbers[: 2 * TRUSTED_AFTER].tolist())

    @property
    def trusted(self) -> bool:
        """Whether so many entries were compared that others are served unseen."""
        return len(self._seen) >= TRUSTED_AFTER


@dataclass(frozen=True)
class Chosen:
    """Entries that serve a batch.

    Attributes:
        entry_G: of each n-gram of the batch, a place in all that are read, or -1; int64 (G,).
        compared_G: whether its rows are read from the table too, and served from there.
        numbers: of the entries to be read, file by file, int64 (k,) each.
        ngrams: whose they are, places in the batch, int64, of all files together.
    """

    entry_G: NDArray[np.int64]
    compared_G: NDArray[np.bool_]
    numbers: list[NDArray[np.int64]]
    ngrams: NDArray[np.int64]


class NgramRecords:
    """All files of records of a store, asked in turn."""

    def __init__(self, shape: RecordShape, files: Sequence[RecordFile]) -> None:
        """Hold files whose records have one shape."""
        self.shape, self.files = shape, tuple(files)

    def choose(self, missed_G: NDArray[np.int64], keys_G2: NDArray[np.uint64]) -> Chosen | None:
        """Choose entries for the n-grams of a batch; None: no file knows one that is worth it.

        Args:
            missed_G: rows of each n-gram that must be read, int64 (G,); order by order within a
                position.
            keys_G2: their keys, uint64 (G, 2).
        """
        left = np.flatnonzero(missed_G >= LEAST_MISSED)
        entry_G = np.full(len(missed_G), -1, np.int64)
        compared_G = np.zeros(len(missed_G), np.bool_)
        numbers, ngrams, total = [], [], 0
        for file in self.files:
            found = self._found(file, left, keys_G2)
            known = found >= 0
            chosen, of_file = left[known], found[known]
            entry_G[chosen] = total + np.arange(len(chosen))
            compared_G[chosen] = file.to_compare(of_file)
            numbers.append(of_file)
            ngrams.append(chosen)
            total += len(chosen)
            left = left[~known]
        if not total:
            return None
        return Chosen(entry_G, compared_G, numbers, np.concatenate(ngrams))

    def were_compared(self, chosen: Chosen) -> None:
        """Learn that the entries of a batch that were to be compared are the table's rows."""
        compared_K = chosen.compared_G[chosen.ngrams]
        for file, numbers in zip(self.files, chosen.numbers, strict=True):
            file.were_compared(numbers[compared_K[: len(numbers)]])
            compared_K = compared_K[len(numbers) :]

    def is_lost(self, chosen: Chosen) -> bool:
        """Tell whether a file that serves a batch was given up since its entries were chosen."""
        return any(
            file.lost is not None and len(numbers)
            for file, numbers in zip(self.files, chosen.numbers, strict=True)
        )

    def wrong(self, chosen: Chosen, entry: int) -> None:
        """Give up the file of an entry that is wrong.

        Where others were served unseen, what traffic filled goes too: it may have rows of them.
        """
        ends = np.cumsum([len(some) for some in chosen.numbers])
        bad = self.files[int(np.searchsorted(ends, entry, side="right"))]
        bad.fail(OTHER_BYTES, wrong=True)
        for file in self.files:
            if file.from_traffic and bad.trusted:
                file.fail(FROM_OTHERS, wrong=True)

    def _found(
        self, file: RecordFile, ngrams: NDArray[np.int64], keys_G2: NDArray[np.uint64]
    ) -> NDArray[np.int64]:
        """Return the number of each n-gram's entry in a file, or -1; int64."""
        if file.lost is not None or not len(ngrams):
            return np.full(len(ngrams), -1, np.int64)
        return file.find(ngrams % self.shape.num_orders, keys_G2[ngrams])
