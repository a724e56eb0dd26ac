"""Records by partition, in memory while the budget lasts and then in one file.

Each chunk's records lie together, sorted by partition, so a partition is one extent of every
chunk: writing is sequential and one file descriptor is enough for any number of partitions.
"""

import contextlib
import os
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

READ_WORDS = 1 << 17  # small extents are joined up to this many words
RECORDS, INDEX = "records.spill", "index.spill"


class SpillStore:
    """All records. `add` may be called from several threads, then `partition` may."""

    def __init__(
        self, folder: Path, *, partitions: int, record_words: int, memory_bytes: int
    ) -> None:
        """Make the two files, or empty them.

        Args:
            folder: where they are made.
            partitions: how many there are.
            record_words: uint64 words a record.
            memory_bytes: records kept in memory before the file is used.
        """
        self._folder = folder
        mode = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC
        self._file = os.open(folder / RECORDS, mode, 0o600)
        self._index = os.open(folder / INDEX, mode, 0o600)
        self._lock = threading.Lock()
        self._left = memory_bytes
        self._words = record_words
        self._sizes: NDArray[np.int64] = np.zeros(partitions, np.int64)
        self._chunks: list[tuple[NDArray[np.uint64] | int, NDArray[np.uint32]]] = []
        self._indexed = 0
        self.spilled_bytes = 0

    def add(self, records: NDArray[np.uint64], bounds: NDArray[np.uint32]) -> None:
        """Keep the records of one chunk.

        Args:
            records: uint64, sorted by partition, flat.
            bounds: uint32 (partitions + 1,): partition p is records `bounds[p]` to `bounds[p + 1]`.
        """
        with self._lock:
            self._sizes += np.diff(bounds)
            if records.nbytes <= self._left:
                self._left -= records.nbytes
                self._chunks.append((records, bounds))
                return
            begin = self.spilled_bytes
            self.spilled_bytes += records.nbytes
            self._chunks.append((begin, bounds))
        _write(self._file, records, begin)

    def checkpoint(self) -> dict[str, int]:
        """Put all records on the disk for good; from now on none stay in memory.

        Not while another thread adds.

        Returns:
            what `take_up` needs.
        """
        self._left = 0
        for number, (place, bounds) in enumerate(self._chunks):
            if not isinstance(place, int):
                _write(self._file, place, self.spilled_bytes)
                self._chunks[number] = (self.spilled_bytes, bounds)
                self.spilled_bytes += place.nbytes
        entry_bytes = self._entry_bytes()
        for number in range(self._indexed, len(self._chunks)):
            place, bounds = self._chunks[number]
            entry = np.append(np.array([place], np.uint64).view(np.uint32), bounds)
            _write(self._index, entry, number * entry_bytes)
        self._indexed = len(self._chunks)
        os.fsync(self._file)
        os.fsync(self._index)
        return {"chunks": len(self._chunks), "bytes": self.spilled_bytes}

    def take_up(self, state: dict[str, int]) -> None:
        """Continue from a checkpoint; what was written after it is dropped.

        Args:
            state: what `checkpoint` returned.

        Raises:
            OSError: the files are shorter than they were.
        """
        entry_bytes = self._entry_bytes()
        entries = _read(self._index, 0, state["chunks"] * entry_bytes).view(np.uint32)
        if os.fstat(self._file).st_size < state["bytes"]:
            raise OSError("a spill file is shorter than what was written to it")
        for entry in entries.reshape(-1, entry_bytes // 4):
            self._chunks.append((int(entry[:2].view(np.uint64)[0]), entry[2:]))
            self._sizes += np.diff(entry[2:])
        self._indexed = len(self._chunks)
        self.spilled_bytes = state["bytes"]
        self._left = 0
        os.ftruncate(self._file, state["bytes"])

    def _entry_bytes(self) -> int:
        """Return the bytes of a chunk in the index: its place (8) and its bounds (4 each)."""
        return 8 + 4 * (len(self._sizes) + 1)

    def filled(self) -> list[int]:
        """Return the partitions that hold records, ascending."""
        return np.flatnonzero(self._sizes).tolist()

    def size(self, number: int) -> int:
        """Return the records of one partition."""
        return int(self._sizes[number])

    def partition(self, number: int) -> Iterator[NDArray[np.uint64]]:
        """Give all records of one partition, uint64 flat, in pieces of bounded size."""
        extents = []
        words = 0
        for place, bounds in self._chunks:
            first, last = (int(bound) * self._words for bound in bounds[number : number + 2])
            if first < last:
                extents.append((place, first, last))
                words += last - first
            if words >= READ_WORDS:
                yield self._gather(extents, words)
                extents, words = [], 0
        if extents:
            yield self._gather(extents, words)

    def _gather(
        self, extents: list[tuple[NDArray[np.uint64] | int, int, int]], words: int
    ) -> NDArray[np.uint64]:
        out = np.empty(words, np.uint64)
        at = 0
        for place, first, last in extents:
            part = out[at : at + last - first]
            if isinstance(place, int):
                _read_into(self._file, part, place + 8 * first)
            else:
                part[:] = place[first:last]
            at += last - first
        return out

    def close(self) -> None:
        """Give back memory and descriptors; the files stay."""
        self._chunks.clear()
        for descriptor in (self._file, self._index):
            if descriptor >= 0:
                os.close(descriptor)
        self._file = self._index = -1

    def remove(self) -> None:
        """Close and delete the files."""
        self.close()
        for name in (RECORDS, INDEX):
            with contextlib.suppress(FileNotFoundError):
                (self._folder / name).unlink()


def _write(file: int, values: NDArray[np.uint64] | NDArray[np.uint32], begin: int) -> None:
    data = values.view(np.uint8).data
    while data:
        done = os.pwrite(file, data, begin)
        begin += done
        data = data[done:]


def _read(file: int, begin: int, size: int) -> NDArray[np.uint8]:
    out = np.empty(size, np.uint8)
    _read_into(file, out, begin)
    return out


def _read_into(file: int, out: NDArray[np.uint64] | NDArray[np.uint8], begin: int) -> None:
    view = out.view(np.uint8).data
    while view:
        done = os.preadv(file, [view], begin)
        if done == 0:
            raise OSError("a spill file is shorter than what was written to it")
        begin += done
        view = view[done:]
