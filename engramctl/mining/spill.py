"""Records by partition, in memory while the budget lasts and then in one file.

Each chunk's records lie together, sorted by partition, so a partition is one extent of every
chunk: writing is sequential and one file descriptor is enough for any number of partitions.
"""

import os
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

READ_WORDS = 1 << 17  # small extents are joined up to this many words


class SpillStore:
    """The records of one order. `add` may be called from several threads, then `partition` may."""

    def __init__(self, path: Path, *, memory_bytes: int, record_words: int) -> None:
        """Make the file, which has no name from the start: it vanishes however the work ends.

        Args:
            path: where the file is made, on the disk of the result.
            memory_bytes: records kept in memory before the file is used.
            record_words: uint64 words a record.
        """
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        path.unlink()
        self._lock = threading.Lock()
        self._left = memory_bytes
        self._words = record_words
        self.spilled_bytes = 0
        self._sizes: NDArray[np.int64] = np.zeros(0, np.int64)
        self._chunks: list[tuple[NDArray[np.uint64] | int, NDArray[np.int64]]] = []

    def add(self, records: NDArray[np.uint64], bounds: NDArray[np.int64]) -> None:
        """Keep the records of one chunk.

        Args:
            records: uint64, sorted by partition, flat.
            bounds: int64 (partitions + 1,): partition p is records `bounds[p]` to `bounds[p + 1]`.
        """
        sizes = np.diff(bounds)
        with self._lock:
            self._sizes = self._sizes + sizes if len(self._sizes) else sizes
            if records.nbytes <= self._left:
                self._left -= records.nbytes
                self._chunks.append((records, bounds))
                return
            begin = self.spilled_bytes
            self.spilled_bytes += records.nbytes
            self._chunks.append((begin, bounds))
        data = records.view(np.uint8).data
        while data:
            done = os.pwrite(self._file, data, begin)
            begin += done
            data = data[done:]

    def filled(self) -> list[int]:
        """Return the partitions that hold records, ascending."""
        return np.flatnonzero(self._sizes).tolist()

    def size(self, number: int) -> int:
        """Return the records of one partition."""
        return int(self._sizes[number])

    def partition(self, number: int) -> Iterator[NDArray[np.uint64]]:
        """Give all records of one partition, uint64 flat, in pieces of bounded size."""
        pieces: list[NDArray[np.uint64]] = []
        words = 0
        for place, bounds in self._chunks:
            first, last = (int(bound) * self._words for bound in bounds[number : number + 2])
            if first == last:
                continue
            if isinstance(place, int):
                pieces.append(self._read(place + 8 * first, 8 * (last - first)))
            else:
                pieces.append(place[first:last])
            words += last - first
            if words >= READ_WORDS:
                yield _joined(pieces)
                pieces, words = [], 0
        if pieces:
            yield _joined(pieces)

    def close(self) -> None:
        """Give back memory and disk."""
        self._chunks.clear()
        if self._file >= 0:
            os.close(self._file)
            self._file = -1

    def _read(self, begin: int, size: int) -> NDArray[np.uint64]:
        out = np.empty(size // 8, np.uint64)
        view = out.view(np.uint8).data
        while view:
            done = os.preadv(self._file, [view], begin)
            if done == 0:
                raise OSError("a spill file is shorter than what was written to it")
            begin += done
            view = view[done:]
        return out


def _joined(pieces: list[NDArray[np.uint64]]) -> NDArray[np.uint64]:
    return pieces[0] if len(pieces) == 1 else np.concatenate(pieces)
