"""N-gram records kept in a file of a fixed size: appended, found again, dropped oldest first.

A record is the stored bytes of an n-gram's rows, so that one read brings them all next time. The
file is a cache: it may be deleted at any time, and what it gives is checked byte by byte. A disk
that is full or fails ends the filling, never the serving.
"""

import contextlib
import threading
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from engramctl.runtime.threads import renew_in_children
from engramctl.storage.record_log.distinct import first_of_each
from engramctl.storage.record_log.live_index import LiveIndex
from engramctl.storage.record_log.log_file import LogFile
from engramctl.storage.record_log.log_format import (
    HEAD_BYTES,
    HEAD_WORDS,
    PAGE,
    SEGMENT_BYTES,
    SUM_BYTES,
    LogFormat,
    entry_sum,
    keys_of,
)
from engramctl.storage.record_log.log_recovery import found_segments
from engramctl.storage.record_log.segment_writer import SegmentWriter


class RecordLog:
    """An open log; safe from several threads, a context manager.

    Of a forked child nothing is found, taken or written.

    Attributes:
        path: of the file, for readers: entry i lies at
            `first_offset + (i // entries_per_segment) * segment_bytes
            + (i % entries_per_segment) * entry_bytes`, its record behind `head_bytes`.
        dropped: records that went with old segments.
        stopped: why nothing is taken any more, or None.
    """

    head_bytes = HEAD_BYTES
    first_offset = 2 * PAGE

    def __init__(self, path: Path, log_format: LogFormat) -> None:
        """Open the file, or make it; see `open`."""
        self.path = path
        self.dropped = 0
        self.stopped: str | None = None
        self.entry_bytes = log_format.entry_bytes
        self.entries_per_segment = log_format.entries_per_segment
        self.segment_bytes, self.num_segments = log_format.segment_bytes, log_format.num_segments
        self._index = LiveIndex(
            log_format.max_records, num_orders=log_format.num_orders, key_bits=log_format.key_bits
        )
        self._sequences = [0] * log_format.num_segments
        self._closed = self._appending = False
        self._file = LogFile(path, log_format)
        try:
            self._writer = SegmentWriter(self._file, log_format)
            self._recover(log_format)
            self._file.write_directly()
        except BaseException:
            self._file.close()
            raise
        self._writing = threading.RLock()  # a handler may close it in an append
        renew_in_children(self)

    @classmethod
    def open(
        cls,
        path: Path,
        *,
        table_xxh3_128: str,
        record_bytes: int,
        num_orders: int,
        key_bits: int,
        size_bytes: int,
        segment_bytes: int = SEGMENT_BYTES,
    ) -> "RecordLog":
        """Open a log, or make it.

        Args:
            path: of its file.
            table_xxh3_128: `Manifest.table_xxh3_128` of the table whose rows it holds.
            record_bytes: of a record.
            num_orders: order indices lie below.
            key_bits: bits of the longest key.
            size_bytes: of the file at most; it is sparse until it is filled.
            segment_bytes: what is dropped at once, at most, header and footer included.

        Raises:
            ConfigError: no room for two segments; keys too long, or records too many, for an index.
            FormatError: the file is no log, or one of another table or geometry.
            StorageError: it cannot be opened or made, or another process has it open.
        """
        log_format = LogFormat.planned(
            table_xxh3_128=table_xxh3_128, record_bytes=record_bytes, num_orders=num_orders,
            key_bits=key_bits, size_bytes=size_bytes, segment_bytes=segment_bytes,
        )  # fmt: skip
        return cls(Path(path), log_format)

    def renew(self) -> None:
        """Give up the file in a forked child: it is the parent's."""
        self._writing = threading.RLock()
        self._index.renew()
        self._closed = True
        self._file.close()

    def _recover(self, log_format: LogFormat) -> None:
        newest = None
        for newest in found_segments(self._file, log_format):
            self._sequences[newest.segment] = newest.sequence
            self._take_in(newest.segment, 0, newest.heads)
        if newest is not None and not newest.sealed:
            self._writer.resume(newest)

    def _take_in(self, segment: int, first: int, heads: NDArray[Any]) -> None:
        """Index entries of a segment, from the place `first` in it."""
        keys = keys_of(heads)
        numbers = segment * self.entries_per_segment + first + np.arange(len(heads))
        fits = self._index.fits(heads["order"], keys)
        self._index.insert(heads["order"][fits], keys[fits], numbers[fits])

    @property
    def entries(self) -> int:
        """N-grams that are found."""
        return self._index.entries

    @property
    def index_bytes(self) -> int:
        """RAM of the index and of what is on its way to the file."""
        return self._index.num_bytes + self._writer.num_bytes

    @property
    def bytes_written(self) -> int:
        """Bytes given to the file since it was opened, headers, footers and whole pages."""
        return self._file.bytes_written

    def bytes_at_most(self, entries: int) -> int:
        """Return what appending so many more, and closing then, writes at most."""
        return self._writer.bytes_at_most(entries)

    def find(
        self, order_index: int | NDArray[np.integer], keys: NDArray[np.uint64]
    ) -> NDArray[np.int64]:
        """Return the number of the record of each n-gram, or -1.

        Args:
            order_index: which order all of them are of, or each is, integers (n,).
            keys: low and high words, uint64 (n, 2).

        Returns:
            int64 (n,); every byte of these records is in the file, until they are dropped.
        """
        if self._closed:
            return np.full(len(keys), -1, np.int64)
        return self._index.find(np.full(len(keys), order_index, np.int64), keys)

    def valid(self, number: int, order_index: int, key: NDArray[np.uint64], entry: Any) -> bool:
        """Say whether an entry that was read is whole, of this n-gram, and not of an older life.

        Args:
            number: what `find` said.
            order_index: of the n-gram.
            key: its low and high word.
            entry: the `entry_bytes` bytes that were read, as anything with a buffer of bytes.
        """
        sequence = self._sequences[number // self.entries_per_segment]
        view = memoryview(entry)
        if sequence == 0 or len(view) != self.entry_bytes:
            return False
        digest, low, high, order = HEAD_WORDS.unpack_from(view)
        named = (low, high, order) == (int(key[0]), int(key[1]), order_index)
        return named and entry_sum(view[SUM_BYTES:], sequence) == digest

    def append(
        self,
        order_index: NDArray[np.integer],
        keys: NDArray[np.uint64],
        records: NDArray[np.uint8],
    ) -> int:
        """Take the n-grams that are not there yet; the oldest segment goes when there is no room.

        They are found when their last byte is in the file: the last few when others follow.

        Args:
            order_index: integers (n,).
            keys: low and high words, uint64 (n, 2).
            records: uint8 (n, record_bytes).

        Returns:
            How many were taken. A disk that is full or fails raises nothing: see `stopped`.
        """
        with self._writing:
            if self._closed or self._appending or self.stopped is not None:
                return 0
            self._appending, taken = True, 0
            try:
                chosen = self._new_ones(order_index, keys)
                while taken < len(chosen) and not self._closed:
                    if not self._writer.room:
                        self._next_segment()
                    some = chosen[taken : taken + self._writer.room]
                    self._append(order_index[some], keys[some], records[some])
                    taken += len(some)
            except OSError as error:
                self.stopped = f"cannot write {self.path}: {error.strerror or error}"
            finally:
                self._appending = False
                if self._closed:
                    self._end()
            return taken

    def _new_ones(
        self, order_index: NDArray[np.integer], keys: NDArray[np.uint64]
    ) -> NDArray[np.int64]:
        """Return the places of n-grams to take: each once, none that is there or on its way."""
        new = np.flatnonzero(self._index.fits(order_index, keys))
        new = new[self._index.find(order_index[new], keys[new]) < 0]
        coming = self._writer.heads[self._writer.written : self._writer.taken]
        orders = np.concatenate([coming["order"].astype(np.int64), order_index[new]])
        first = first_of_each(orders, np.concatenate([keys_of(coming), keys[new]])) - len(coming)
        return new[first[first >= 0]]

    def _append(
        self, orders: NDArray[np.integer], keys: NDArray[np.uint64], records: NDArray[np.uint8]
    ) -> None:
        """Write entries for which there is room, and index what is in the file now."""
        before = self._writer.written
        self._writer.add(orders, keys, records)
        heads = self._writer.heads[before : self._writer.written]
        self._take_in(self._writer.segment, before, heads)
        if not self._writer.room:
            self._writer.seal()

    def _next_segment(self) -> None:
        """Begin the segment that was never used, or else the oldest: what it had is dropped."""
        self._writer.seal()
        segment = self._sequences.index(min(self._sequences))
        if self._sequences[segment]:
            first = segment * self.entries_per_segment
            self.dropped += self._index.drop(first, first + self.entries_per_segment)
        sequence = max(self._sequences) + 1
        self._sequences[segment] = sequence  # no entry of the old life is valid from now on
        self._writer.begin(segment, sequence)

    def forget(
        self,
        order_index: NDArray[np.integer],
        keys: NDArray[np.uint64],
        numbers: NDArray[np.integer],
    ) -> None:
        """Find records no more that were not valid, so that they can be appended again.

        Args:
            order_index: integers (n,).
            keys: uint64 (n, 2).
            numbers: what `find` said of each, integers (n,); another number by now stays.
        """
        with self._writing:
            self._index.remove(order_index, keys, numbers)

    def give_up(self, why: str, wrong: bool) -> None:
        """Take nothing more; throw the file away, if what it has is wrong."""
        with self._writing:
            self.stopped = self.stopped or why
            if wrong:
                with contextlib.suppress(OSError):
                    self._file.remove()

    def close(self) -> None:
        """Write what is left of whole entries and give the file up; once more does nothing."""
        with self._writing:
            closed, self._closed = self._closed, True
            if not closed and not self._appending:  # or `append`, interrupted here, does it
                self._end()

    def _end(self) -> None:
        try:
            if self.stopped is None:
                self._writer.flush()
        except OSError as error:
            self.stopped = f"cannot write {self.path}: {error.strerror or error}"
        finally:
            self._file.close()

    def __enter__(self) -> Self:
        """Return itself; leaving closes it."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close it."""
        self.close()
