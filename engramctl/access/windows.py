"""N-grams of one order -> the distinct windows that a scheme forms of them.

Nearly every n-gram is its own window: nothing in it stops look-back. Where something does, the
oldest id of the window is the fill (look-back ends for good, `engramctl.hashing.walk.window`), as
it is near the start of a document; and so it may be in an n-gram that really begins with that id.
Only such windows can be equal while their n-grams differ, so only they are sorted and added up.
"""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from engramctl.access.document_starts import DocumentStarts
from engramctl.access.ngrams import Ngrams, RawNgrams, merged
from engramctl.access.spectrum import Spectrum
from engramctl.errors import CorpusError
from engramctl.hashing.walk.window import Boundary, window
from engramctl.runtime.kernel_cache import njit

MOST_HELD = 1 << 19  # windows that are sorted at a time: about 30 MiB
_MIX = np.uint64(0x9E3779B97F4A7C15)


@njit(nogil=True, cache=True)
def _find_filled(
    ids_MN: NDArray[np.uint32],
    fill: int,
    stops: NDArray[np.int64],
    blocks: NDArray[np.int64],
    found: NDArray[np.bool_],
) -> tuple[int, np.int64]:
    """Mark n-grams whose window has a fill at the oldest place.

    Returns:
        how many there are, and the largest id of all n-grams.
    """
    number, largest = 0, np.int64(0)
    order = ids_MN.shape[1]
    for m in range(len(ids_MN)):
        filled = np.int64(ids_MN[m, 0]) == fill
        for d in range(order):
            value = np.int64(ids_MN[m, order - 1 - d])
            if value > largest:
                largest = value
            for k in range(len(stops) if d > 0 else 0):
                filled |= value == stops[k]
            for k in range(len(blocks) if d == 0 else 0):
                filled |= value == blocks[k]
        found[m] = filled
        number += filled
    return number, largest


class Windows:
    """The distinct windows of one order with their counts, iterated as often as need be.

    The first iteration finds the windows with fills and writes them to a raw file; the later ones
    read that. `spectrum` is of all windows, after the first iteration.
    """

    def __init__(
        self,
        source: RawNgrams,
        starts: DocumentStarts | None,
        boundary: Boundary,
        num_canonical: int,
        folder: Path,
    ) -> None:
        """Remember where to read.

        Args:
            source: distinct n-grams of canonical ids, oldest first.
            starts: beginnings of documents; None: only n-grams are counted.
            boundary: of the scheme.
            num_canonical: ids lie below it.
            folder: of the raw files.
        """
        self.order = source.order
        self.spectrum = Spectrum()
        self._source = source
        self._starts = starts
        self._boundary = boundary
        self._num_canonical = num_canonical
        self._folder = folder
        self._filled: RawNgrams | None = None

    def __iter__(self) -> Iterator[Ngrams]:
        """Give uint32 (M, order), oldest first, and counts (M,).

        Raises:
            CorpusError: an id outside the vocabulary.
        """
        if self._filled is not None:
            for ids, counts in self._source:
                yield self._plain(ids, counts)[:2]
            yield from self._filled
            return
        candidates = self._raw("candidates")
        try:
            for ids, counts in self._source:
                ids, counts, found = self._plain(ids, counts)
                if found is not None:
                    self._collect(candidates, found[0].astype(np.int64), found[1])
                self.spectrum.add(counts)
                yield ids, counts
            for early, counts in self._starts.windows(self.order) if self._starts else ():
                self._collect(candidates, early, counts)
            filled = self._raw("windows")
            for ids, counts in _distinct(candidates):
                filled.append(ids, counts)
                self.spectrum.add(counts)
                yield ids, counts
            self._filled = filled
        finally:
            candidates.remove()

    def remove(self) -> None:
        """Delete the raw file."""
        if self._filled is not None:
            self._filled.remove()

    def _raw(self, name: str) -> RawNgrams:
        return RawNgrams(self._folder / f"{name}{self.order}.raw", self.order)

    def _plain(
        self, ids: NDArray[np.uint32], counts: NDArray[np.uint64]
    ) -> tuple[NDArray[np.uint32], NDArray[np.uint64], Ngrams | None]:
        """Part n-grams: those that are their own windows, their counts, and the others."""
        found = np.empty(len(ids), bool)
        boundary = self._boundary
        number, largest = _find_filled(
            ids,
            boundary.fill,
            np.array(boundary.stop, np.int64),
            np.array(boundary.block, np.int64),
            found,
        )
        if largest >= self._num_canonical:
            raise CorpusError(
                "the n-grams have ids outside the scheme's vocabulary",
                facts={"expected": f"0 to {self._num_canonical - 1:,}", "found": f"{largest:,}"},
                hint="mine with the tokenizer the scheme is for: engramctl mine --scheme ...",
            )
        if not number:
            return ids, counts, None
        return ids[~found], counts[~found], (ids[found], counts[found])

    def _collect(
        self, candidates: RawNgrams, ids: NDArray[np.int64], counts: NDArray[np.uint64]
    ) -> None:
        """Form windows as the model does, and keep them."""
        if len(ids):
            walk = window(ids, self._boundary, self.order)
            windows = np.concatenate(walk[::-1], axis=1).astype(np.uint32)
            candidates.append(*merged(windows, counts))


def _distinct(candidates: RawNgrams, part: int = 0, parts: int = 1) -> Iterator[Ngrams]:
    """Give equal windows once: part after part, when all are more than memory may hold."""
    ids = np.empty((0, candidates.order), np.uint32)
    counts = np.empty(0, np.uint64)
    for more, times in candidates:
        if parts > 1:
            here = _hash(more) % np.uint64(parts) == np.uint64(part)
            more, times = more[here], times[here]
        ids, counts = merged(np.concatenate([ids, more]), np.concatenate([counts, times]))
        if len(ids) > MOST_HELD:
            del ids, counts
            yield from _distinct(candidates, part, 2 * parts)
            yield from _distinct(candidates, part + parts, 2 * parts)
            return
    if len(ids):
        yield ids, counts


def _hash(ids_MN: NDArray[np.uint32]) -> NDArray[np.uint64]:
    total = np.zeros(len(ids_MN), np.uint64)
    for column in ids_MN.T:
        total = (total ^ column) * _MIX
        total ^= total >> np.uint64(29)
    return total
