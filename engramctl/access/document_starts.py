"""The first ids of every document: windows there begin before the document, and have fills.

No n-gram of the corpus has such a window, so the first N - 1 ids are kept apart while the corpus is
read: once for each distinct beginning of a buffer, in a raw file of at most 4 (N + 1) bytes a
document. Ids that a short document lacks are `NO_ID`.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engramctl.access.ngrams import RawNgrams, merged
from engramctl.corpus.batch import TokenBatch
from engramctl.hashing import START

NO_ID = 2**32 - 1
BUFFER_DOCUMENTS = 1 << 16


class DocumentStarts:
    """Collects the beginnings of documents; holds a buffer of them."""

    def __init__(self, path: Path, context: int, state: dict[str, Any] | None = None) -> None:
        """Begin, or go on.

        Args:
            path: the raw file.
            context: ids of a beginning, N - 1: at least 1.
            state: what `checkpoint` returned, to go on behind it.

        Raises:
            StorageError: the file is not what it was at the checkpoint.
        """
        self._file = RawNgrams(path, context, state)
        self._context = context
        self._waiting: list[NDArray[np.uint32]] = []
        self._documents = 0

    def add(self, batch: TokenBatch) -> None:
        """Take in documents; empty ones begin with nothing, nor do those that go on here."""
        begins = batch.offsets[batch.goes_on : -1]
        lengths = np.diff(batch.offsets)[batch.goes_on :]
        begins, lengths = begins[lengths > 0], lengths[lengths > 0]
        if not len(begins):
            return
        places = begins[:, None] + np.arange(self._context)
        inside = np.arange(self._context) < lengths[:, None]
        ids = batch.ids[np.where(inside, places, 0)]
        self._waiting.append(np.where(inside, ids, np.uint32(NO_ID)))
        self._documents += len(begins)
        if self._documents >= BUFFER_DOCUMENTS:
            self._write()

    def checkpoint(self) -> dict[str, Any]:
        """Put what came so far on the disk for good; returns what is needed to go on behind it."""
        self._write()
        return self._file.checkpoint()

    def windows(self, order: int) -> Iterator[tuple[NDArray[np.int64], NDArray[np.uint64]]]:
        """Give the ids that positions near a start see, START where there are none.

        Args:
            order: 2 to N.

        Yields:
            int64 (M, order), oldest first, with 1 to order - 1 ids; and their counts. Equal
            windows may come several times.
        """
        self._write()
        for ids, counts in self._file:
            for seen in range(1, order):
                long_enough = ids[:, seen - 1] != NO_ID
                windows = np.full((np.count_nonzero(long_enough), order), START, np.int64)
                windows[:, order - seen :] = ids[long_enough, :seen]
                yield windows, counts[long_enough]

    def remove(self) -> None:
        """Delete the file."""
        self._file.remove()

    def _write(self) -> None:
        if self._waiting:
            ids = np.concatenate(self._waiting)
            self._file.append(*merged(ids, np.ones(len(ids), np.uint64)))
        self._waiting, self._documents = [], 0
