"""A long request with n-gram keys, read in parts of some positions.

Where all of it finds no room at once, its stored rows do: a row of V4.1 takes a fifteenth of its
page. So parts are read one behind the other, each as a ticket of its own, two under way; what came
is copied together, and handed over when its layer is waited for. Piece by piece, as requests
without keys are read, a layer at a time, n-grams' records would be of no use.
"""

from collections import deque
from collections.abc import Callable, Mapping
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from engramctl.storage.cache.parted import Parted
from engramctl.storage.direct.fetch import Fetch, Nothing
from engramctl.storage.direct.page_reads import PageReads, RowIds
from engramctl.storage.direct.recorded import Recorded
from engramctl.storage.io.page_plan import count_up
from engramctl.storage.io.pages import PAGE, pages_for
from engramctl.storage.memory.slab import Slab

_UNDER_WAY = 2
_LEAST_POSITIONS = 64  # of a part: shorter ones leave the disk idle between them
_WORDS = 16  # int64 a row: parted, planned


class Reader(Protocol):
    """Reads parts."""

    def begin(self, rows: RowIds, keys_G2: NDArray[np.uint64] | None) -> Fetch | None:
        """Begin a part; None: there is no room."""

    def copied(self, rows: RowIds, fetch: Fetch, parts: Mapping[int, Parted], first: int) -> bool:
        """Copy a part's records to where they are held, from output row `first` on.

        Returns:
            False: what came of n-grams' records is not to be believed.
        """


class Staged:
    """Parts of a request: begun, copied together, once."""

    def __init__(
        self,
        reader: Reader,
        rows: RowIds,
        keys_G2: NDArray[np.uint64],
        heads: int,
        part_positions: int,
        check: Callable[[], None],
    ) -> None:
        """Begin nothing yet.

        Args:
            reader: of parts.
            rows: layer -> row ids, int32 or int64 (P * heads,), which stay the caller's.
            keys_G2: of their n-grams, uint64 (G, 2).
            heads: rows of a position.
            part_positions: of a part.
            check: raises when the row ids are not what they were.
        """
        self._reader, self._rows, self._keys_G2, self.check = reader, rows, keys_G2, check
        self._positions = len(next(iter(rows.values()))) // heads
        self._heads, self._step = heads, max(1, part_positions)
        self._orders = len(keys_G2) // max(1, self._positions)
        self._coming: deque[tuple[int, int, Fetch]] = deque()
        self._next = 0
        self.done = self.given_up = False

    def part(self, first: int, stop: int) -> tuple[RowIds, NDArray[np.uint64]]:
        """Return the rows and the keys of positions."""
        some = slice(first * self._heads, stop * self._heads)
        rows = {layer: ids[some].astype(np.int64) for layer, ids in self._rows.items()}
        return rows, self._keys_G2[first * self._orders : stop * self._orders]

    def begin(self) -> bool:
        """Begin the next part; False: there is none, or no room for it."""
        if self._next >= self._positions:
            return False
        stop = min(self._positions, self._next + self._step)
        fetch = self._reader.begin(*self.part(self._next, stop))
        if fetch is None:
            return False
        self._coming.append((self._next, stop, fetch))
        self._next = stop
        return True

    def run(self, parts: Mapping[int, Parted]) -> bool:
        """Read all parts, unless that was done.

        Args:
            parts: layer -> where its records are held.

        Returns:
            False: not all of them came, now or before, and never will.

        Raises:
            StorageError: a read failed, or the row ids were changed.
        """
        if not self.done and not self.given_up:
            self.check()
            try:
                self._run(parts)
            except BaseException:
                self._give_up()
                raise
        return self.done

    def _run(self, parts: Mapping[int, Parted]) -> None:
        while self._coming or self._next < self._positions:
            while len(self._coming) < _UNDER_WAY and self.begin():
                pass
            if self._coming:
                self._take(parts)
            elif self._step == 1:
                self._give_up()
            else:
                self._step = max(1, self._step // 4)
            if self.given_up:
                return
        self.done = True

    def _give_up(self) -> None:
        self.given_up = True
        while self._coming:
            self._coming.popleft()[2].release()

    def _take(self, parts: Mapping[int, Parted]) -> None:
        """Copy the oldest part; read it again without records where these are not believed."""
        first, stop, fetch = self._coming.popleft()
        rows, _ = self.part(first, stop)
        try:
            if self._reader.copied(rows, fetch, parts, first * self._heads):
                return
        finally:
            fetch.release()
        again = self._reader.begin(rows, None)
        if again is None:
            self._give_up()
            return
        try:
            self._reader.copied(rows, again, parts, first * self._heads)
        finally:
            again.release()


def stage(
    fetch: Fetch,
    rows: RowIds,
    recorded: Recorded,
    check: Callable[[], None],
    reads: PageReads,
    reader: Reader,
) -> None:
    """Find room for the records of a long request, and begin its first part.

    Args:
        fetch: gets its runs, parts and what is under way; `pending` stays None where there is no
            room.
        rows: layer -> row ids, int32 or int64 (n,), of one length.
        recorded: their n-grams.
        check: see `Staged`.
        reads: what reads.
        reader: see `Staged`.
    """
    slab, count = fetch.slab, len(next(iter(rows.values())))
    weight_bytes, record_bytes = int(reads.sizes[0]), int(reads.sizes.sum())
    total = count * len(rows)
    size, hold = pages_for(8 * Parted.words(total)), pages_for(total * record_bytes)
    at = slab.take(size + hold)
    if at is None:
        return
    heads = recorded.num_heads
    each = len(rows) * heads * (reads.most + (record_bytes + 8 * _WORDS) / PAGE)
    positions = int(slab.free_pages / (_UNDER_WAY * each))
    if positions < _LEAST_POSITIONS:
        slab.give(at, size + hold)
        return
    fetch.runs = ((at, size + hold),)
    words, first = slab.words(at, size), slab.at(at + size)
    fetch.parted = _held(slab, words, first, rows, (weight_bytes, record_bytes))
    fetch.staged = Staged(reader, rows, recorded.keys_G2, heads, positions, check)
    fetch.pending = Nothing()
    fetch.staged.begin()


def _held(
    slab: Slab, words: NDArray[np.int64], at: int, rows: RowIds, sizes: tuple[int, int]
) -> dict[int, Parted]:
    """Lay out where the records of a request are held, layer by layer, in the order of its rows."""
    weight_bytes, record_bytes = sizes
    parts = {}
    used = 0
    for layer, ids in rows.items():
        count = len(ids)
        first = at - slab.address
        hold = slab.memory[first : first + count * record_bytes]
        part = Parted.of(count, words[used : used + Parted.words(count)], hold)
        part.counts[1] = count
        count_up(part.targets)
        part.where_N2[:, 0] = part.targets
        part.where_N2[:, 0] *= record_bytes
        part.where_N2[:, 0] += at
        part.where_N2[:, 1] = part.where_N2[:, 0]
        part.where_N2[:, 1] += weight_bytes
        parts[layer] = part
        used += Parted.words(count)
        at += count * record_bytes
    return parts
