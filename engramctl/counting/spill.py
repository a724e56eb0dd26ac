"""Records by partition, in memory while the budget lasts and then in one file.

Each chunk's records lie together, sorted by partition, so a partition is one extent of every
chunk: writing is sequential and one file descriptor is enough for any number of partitions. A
checkpoint is believed only after its bytes were compared with their digests: nobody else would
notice that one of them changed.
"""

import contextlib
import os
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import xxhash
from numpy.typing import NDArray

from engramctl.storage.files.atomic import sync, write_all
from engramctl.storage.writing.interrupted import damaged

READ_WORDS = 1 << 17  # small extents are joined up to this many words
INDEX = "index.spill"
CHECK_BYTES = 1 << 22  # read at a time while a checkpoint is compared
_HEAD_WORDS = 4  # uint32 of an index entry before its bounds


@dataclass(frozen=True)
class _Chunk:
    """The records of one chunk: themselves, or where they begin in the file; and their bounds."""

    place: NDArray[np.uint64] | int
    digest: int
    bounds: NDArray[np.uint32]

    def entry(self) -> NDArray[np.uint32]:
        """Return its entry in the index: place and digest (8 bytes each), bounds (4 each)."""
        assert isinstance(self.place, int)
        head = np.array([self.place, self.digest], np.uint64).view(np.uint32)
        return np.append(head, self.bounds)


class SpillStore:
    """All records. `add` may be called from several threads, then `partition` may."""

    def __init__(
        self,
        folder: Path,
        *,
        partitions: int,
        record_words: int,
        memory_bytes: int,
        name: str = "records",
    ) -> None:
        """Open the file, or make it; a checkpoint has one more, `INDEX`.

        Args:
            folder: where they are made.
            partitions: how many there are.
            record_words: uint64 words a record.
            memory_bytes: records kept in memory before the file is used.
            name: of the file: several stores may share a folder, of which one has checkpoints.
        """
        self._path, self._index_path = folder / f"{name}.spill", folder / INDEX
        self._paths = [self._path]
        self._file, self._index = _open(self._path), -1
        self._lock = threading.Lock()
        self._left = memory_bytes
        self._words = record_words
        self._sizes: NDArray[np.int64] = np.zeros(partitions, np.int64)
        self._chunks: list[_Chunk] = []
        self._indexed = 0
        self._index_digest = xxhash.xxh3_128()
        self.spilled_bytes = 0

    def add(self, records: NDArray[np.uint64], bounds: NDArray[np.uint32]) -> None:
        """Keep the records of one chunk.

        Args:
            records: uint64, sorted by partition, flat.
            bounds: uint32 (partitions + 1,): partition p is records `bounds[p]` to `bounds[p + 1]`.
        """
        digest = _digest(records)
        with self._lock:
            self._sizes += np.diff(bounds)
            if records.nbytes <= self._left:
                self._left -= records.nbytes
                self._chunks.append(_Chunk(records, digest, bounds))
                return
            begin = self.spilled_bytes
            self.spilled_bytes += records.nbytes
            self._chunks.append(_Chunk(begin, digest, bounds))
        write_all(self._file, _bytes(records), begin)

    def checkpoint(self) -> dict[str, Any]:
        """Put all records on the disk for good; from now on none stay in memory.

        Not while another thread adds.

        Returns:
            what `take_up` needs.
        """
        self._left = 0
        for number, chunk in enumerate(self._chunks):
            if not isinstance(chunk.place, int):
                write_all(self._file, _bytes(chunk.place), self.spilled_bytes)
                self._chunks[number] = _Chunk(self.spilled_bytes, chunk.digest, chunk.bounds)
                self.spilled_bytes += chunk.place.nbytes
        entry_bytes = self._entry_bytes()
        self._open_index()
        for number in range(self._indexed, len(self._chunks)):
            entry = self._chunks[number].entry()
            write_all(self._index, _bytes(entry), number * entry_bytes)
            self._index_digest.update(entry.data)
        self._indexed = len(self._chunks)
        os.fsync(self._file)
        os.fsync(self._index)
        sync(self._path.parent)
        return {
            "chunks": len(self._chunks),
            "bytes": self.spilled_bytes,
            "index_xxh3_128": self._index_digest.hexdigest(),
        }

    def take_up(self, state: dict[str, Any]) -> None:
        """Continue from a checkpoint; what was written after it is dropped.

        Args:
            state: what `checkpoint` returned.

        Raises:
            StorageError: the files are not what they were at the checkpoint.
        """
        entry_bytes = self._entry_bytes()
        self._open_index()
        try:
            _refuse_shorter(self._index, state["chunks"] * entry_bytes)
            data = np.empty(state["chunks"] * entry_bytes, np.uint8)
            _read_into(self._index, data, 0)
            self._index_digest.update(data.data)
            if self._index_digest.hexdigest() != state["index_xxh3_128"]:
                raise OSError("its bytes have changed")
        except OSError as error:
            raise damaged(self._index_path, error) from error
        for entry in data.view(np.uint32).reshape(-1, entry_bytes // 4):
            place, digest = (int(word) for word in entry[:_HEAD_WORDS].view(np.uint64))
            self._chunks.append(_Chunk(place, digest, entry[_HEAD_WORDS:]))
            self._sizes += np.diff(entry[_HEAD_WORDS:])
        try:
            _refuse_shorter(self._file, state["bytes"])
            for chunk in self._chunks:
                self._compare(chunk)
        except OSError as error:
            raise damaged(self._path, error) from error
        self._indexed = len(self._chunks)
        self.spilled_bytes = state["bytes"]
        self._left = 0
        os.ftruncate(self._file, state["bytes"])

    def _compare(self, chunk: _Chunk) -> None:
        """Read a chunk back and compare it with its digest."""
        assert isinstance(chunk.place, int)
        if (chunk.bounds[1:] < chunk.bounds[:-1]).any():
            raise OSError("its partitions do not ascend")
        digest = xxhash.xxh3_64()
        begin, end = 0, 8 * self._words * int(chunk.bounds[-1])
        while begin < end:
            piece = np.empty(min(CHECK_BYTES, end - begin), np.uint8)
            _read_into(self._file, piece, chunk.place + begin)
            digest.update(piece.data)
            begin += len(piece)
        if digest.intdigest() != chunk.digest:
            raise OSError("its bytes have changed")

    def _open_index(self) -> None:
        if self._index < 0:
            self._index = _open(self._index_path)
            self._paths.append(self._index_path)

    def _entry_bytes(self) -> int:
        """Return the bytes of a chunk in the index."""
        return 4 * (_HEAD_WORDS + len(self._sizes) + 1)

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
        for chunk in self._chunks:
            first, last = (int(bound) * self._words for bound in chunk.bounds[number : number + 2])
            if first < last:
                extents.append((chunk.place, first, last))
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
        for path in self._paths:
            with contextlib.suppress(FileNotFoundError):
                path.unlink()


def _open(path: Path) -> int:
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)


def _digest(records: NDArray[np.uint64]) -> int:
    return xxhash.xxh3_64_intdigest(_bytes(records))


def _bytes(values: NDArray[Any]) -> memoryview:
    return values.view(np.uint8).data


def _refuse_shorter(file: int, num_bytes: int) -> None:
    """Raise OSError, before memory is taken for them, when a file has fewer bytes."""
    if os.fstat(file).st_size < num_bytes:
        raise OSError("it is shorter than what was written to it")


def _read_into(file: int, out: NDArray[np.uint64] | NDArray[np.uint8], begin: int) -> None:
    view = _bytes(out)
    while view:
        done = os.preadv(file, [view], begin)
        if done == 0:
            raise OSError("it is shorter than what was written to it")
        begin += done
        view = view[done:]
