"""The n-grams of a ticket whose records serve rows: chosen, arrived, proved."""

import threading
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from engramctl.storage.cache.ngram_records import Chosen, NgramRecords
from engramctl.storage.cache.parted import Parted
from engramctl.storage.cache.record_lookups import (
    copy_to_records,
    copy_together,
    count_missed,
    first_other,
    part_recorded,
    settle_recorded,
)
from engramctl.storage.direct.page_reads import PageReads
from engramctl.storage.direct.step_plan import StepPlan
from engramctl.storage.io.page_plan import PagePlan
from engramctl.storage.memory.slab import Slab

NOT_READ = "a read of it failed"
_ODD = np.uint64(0x9E3779B97F4A7C15)


class Recorded:
    """What one ticket takes from records.

    Attributes:
        keys_G2: keys of its n-grams, order by order within a position, uint64 (G, 2).
        missed_G: rows of each that had to be read, int64 (G,).
        chosen: entries that serve some; None: no file knows any.
        spoiled: some entry cannot be believed: what is left of the ticket is read from the table.
        wrong: one has other bytes than the table's rows.
    """

    def __init__(self, records: NgramRecords, keys_G2: NDArray[np.uint64]) -> None:
        """Choose nothing yet; the keys are copied."""
        self._records = records
        self.keys_G2 = keys_G2.copy()
        self.missed_G = np.zeros(len(keys_G2), np.int64)
        self.chosen: Chosen | None = None
        self.spoiled = self.wrong = False
        self._entries_K: NDArray[np.int64] | None = None
        self._not_compared: set[int] = set()
        self.lock = threading.Lock()

    @property
    def num_heads(self) -> int:
        """Rows of a position in a layer."""
        return self._records.shape.num_heads

    def tags(self) -> NDArray[np.uint16]:
        """Return what tells the n-grams of rows apart, row by row of a layer, uint16 (n,)."""
        mixed = self.keys_G2[:, 0] * _ODD + self.keys_G2[:, 1]
        tags = ((mixed * _ODD) >> np.uint64(48)).astype(np.uint16) | np.uint16(1)
        return np.repeat(tags, self._records.shape.heads_per_order)

    def choose(self, parted: Mapping[int, Parted]) -> dict[int, NDArray[np.int64]]:
        """Choose entries and take the rows that they serve out of those to be read.

        Returns:
            file by file, as `PageReads` plans them, the numbers of entries to be read.
        """
        self.missed_G[:] = 0
        shapes = {layer: self._records.shape.packed(layer) for layer in parted}
        for layer, part in parted.items():
            count_missed(part.missed_targets, shapes[layer], self.missed_G)
        self.chosen = chosen = self._records.choose(self.missed_G, self.keys_G2)
        if chosen is None:
            return {}
        self._not_compared = set(parted)
        for layer, part in parted.items():
            before = int(part.counts[0])
            part.counts[0] = part_recorded(
                part.missed, part.missed_targets, part.where_N2[:before], shapes[layer],
                chosen.entry_G, chosen.compared_G,
            )  # fmt: skip
            part.counts[3] = before - part.counts[0]
        return {-1 - file: some for file, some in enumerate(chosen.numbers) if len(some)}

    def count(self) -> None:
        """Count what is served."""
        if self.chosen is not None:
            for file, some in zip(self._records.files, self.chosen.numbers, strict=True):
                file.count(len(some))

    def ranges(self, plan: PagePlan | StepPlan) -> int:
        """Return how many ranges bring the entries, counted from the first."""
        numbers = [] if self.chosen is None else self.chosen.numbers
        used = [-1 - file for file, some in enumerate(numbers) if len(some)]
        return max((plan.ranges(layer) for layer in used), default=0)

    def fail(self, file: int, why: str) -> None:
        """Take nothing from a file any more."""
        self._records.files[file].fail(why)
        self.spoiled = True

    def arrived(
        self, reads: PageReads, plan: PagePlan | StepPlan, address: int, slab: Slab
    ) -> None:
        """Find entries that have come, and prove those that can be proved; once."""
        if self.chosen is None:
            return
        with self.lock:
            if self._entries_K is None:
                self._entries_K = reads.entries_at(plan, address, self.chosen.numbers)
                try:
                    self._prove(slab)
                except BaseException:  # an interrupt: who comes next must not take them for proved
                    self.spoiled = True
                    raise

    def _prove(self, slab: Slab) -> None:
        assert self.chosen is not None
        assert self._entries_K is not None
        first = 0
        for file, numbers in zip(self._records.files, self.chosen.numbers, strict=True):
            if file.proof is not None:
                for k, number in enumerate(numbers.tolist(), first):
                    ngram = int(self.chosen.ngrams[k])
                    at = int(self._entries_K[k]) - file.head_bytes - slab.address
                    entry = slab.memory[at : at + file.entry_bytes].data
                    order = ngram % self._records.shape.num_orders
                    key = self.keys_G2[ngram]
                    if file.proof(number, order, key, entry):
                        continue
                    self.spoiled = True
                    if file.forget is not None:
                        file.forget(np.array([order]), key[None], np.array([number]))
            first += len(numbers)

    @property
    def lost(self) -> bool:
        """Whether a file was given up since entries of it were chosen."""
        return self.chosen is not None and self._records.is_lost(self.chosen)

    def settle(
        self,
        layer: int,
        part: Parted,
        where_N2: NDArray[np.int64] | None,
        sizes: NDArray[np.int64],
        slab: Slab,
    ) -> bool:
        """Give a layer's rows their addresses in records, once; compare those that are to be.

        Args:
            layer: which.
            part: the layer's.
            where_N2: addresses of values and scales of rows that were read, int64 (n, 2).
            sizes: bytes of a row's values and of its scales.
            slab: holds all.

        Returns:
            whether they are to be believed.
        """
        if self.chosen is None or self._entries_K is None or self.spoiled:
            return not self.spoiled
        if where_N2 is not None and self.chosen.compared_G.any():
            low = slab.address
            bad = first_other(
                where_N2, part.where_N2[: len(where_N2)], self._entries_K, sizes, low,
                low + slab.memory.nbytes, slab.memory,
            )  # fmt: skip
            if bad >= 0:
                self._records.wrong(self.chosen, int(part.where_N2[bad, 0]))
                self.wrong = True
        if self.lost:
            self.spoiled = True
            return False
        with self.lock:
            self._not_compared.discard(layer)
            if not self._not_compared:
                self._records.were_compared(self.chosen)
        settle_recorded(part.where_N2[part.recorded], self._entries_K, int(sizes[0]))
        return True


def compile_recorded(records: NgramRecords, memory: NDArray[np.uint8]) -> None:
    """Compile now what a ticket with keys needs; `memory` is where its rows lie."""
    words = np.empty(0, np.int64)
    pairs, shape = words.reshape(0, 2), np.ones(5, np.int64)
    sizes, some = np.zeros(2, np.int64), np.empty(0, np.bool_)
    count_missed(words, shape, words)
    part_recorded(words, words, pairs, shape, words, some)
    settle_recorded(pairs, words, 0)
    first_other(pairs, pairs, words, sizes, 0, 0, memory)
    copy_to_records(words, pairs, shape, words, sizes, 0, 0, memory[:0].reshape(0, 1))
    copy_together(words, pairs, sizes, 0, 0, 0, memory)
    for file in records.files:
        file.find(words, np.empty((0, 2), np.uint64))
