"""The segment of an n-gram log that is being filled: entries on their way to the file, by pages."""

import mmap
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engramctl.storage.record_log.log_file import LogFile
from engramctl.storage.record_log.log_format import (
    FOOTER_HEAD_BYTES,
    HEAD,
    HEAD_BYTES,
    PAGE,
    SUM_BYTES,
    LogFormat,
    entry_sum,
    pages_of,
)
from engramctl.storage.record_log.log_recovery import FoundSegment

_BUFFER_BYTES = 256 << 10


class SegmentWriter:
    """Fills one segment after the other; the caller keeps threads apart.

    Every method that writes raises the OSError of the system, and must not be called again then.

    Attributes:
        segment: its place in the file; -1 before the first.
        sequence: its life.
        taken: entries that it has.
        written: those of them whose every byte is in the file.
        heads: of the entries, HEAD (entries_per_segment,).
        num_bytes: of RAM.
    """

    def __init__(self, file: LogFile, log_format: LogFormat) -> None:
        """Begin without a segment."""
        self._file, self._format = file, log_format
        most = pages_of(max(_BUFFER_BYTES, log_format.entry_bytes + PAGE))
        self.num_bytes = most + log_format.footer_bytes
        private = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS
        memory = np.frombuffer(mmap.mmap(-1, self.num_bytes, private), np.uint8)
        self._buffer, self._footer = memory[:most], memory[most:]
        end = FOOTER_HEAD_BYTES + log_format.entries_per_segment * HEAD_BYTES
        self.heads: NDArray[Any] = self._footer[FOOTER_HEAD_BYTES:end].view(HEAD)
        self.segment, self.sequence = -1, 0
        self.taken = self.written = log_format.entries_per_segment
        self._sealed = True
        self._begin = self._filled = (
            0  # where the buffer's bytes go, from the first entry; how many
        )
        self._fresh = False  # whether some of them are not in the file

    @property
    def room(self) -> int:
        """Entries that the segment can still take."""
        return self._format.entries_per_segment - self.taken

    def begin(self, segment: int, sequence: int) -> None:
        """Begin another segment; the one before must be sealed, or is given up."""
        self._buffer[:PAGE] = np.frombuffer(self._format.segment_header(sequence), np.uint8)
        self._file.write(self._buffer[:PAGE], self._format.segment_offset(segment))
        self._file.sync()  # before an entry of the old life is written over
        self._start(segment, sequence, self.heads[:0], 0)

    def resume(self, found: FoundSegment) -> None:
        """Go on behind the whole entries of a segment that was not sealed."""
        end = len(found.heads) * self._format.entry_bytes
        self._start(found.segment, found.sequence, found.heads, end // PAGE * PAGE)
        tail = self._file.read(self._offset, end - self._begin)
        self._buffer[: len(tail)] = np.frombuffer(tail, np.uint8)
        self._filled = len(tail)

    def _start(self, segment: int, sequence: int, heads: NDArray[Any], begin: int) -> None:
        self.segment, self.sequence, self._sealed = segment, sequence, False
        self._footer[:] = 0
        self.heads[: len(heads)] = heads
        self.taken = self.written = len(heads)
        self._begin, self._filled, self._fresh = begin, 0, False

    @property
    def _offset(self) -> int:
        return self._format.segment_offset(self.segment) + PAGE + self._begin

    def add(
        self,
        orders: NDArray[np.integer],
        keys: NDArray[np.uint64],
        records: NDArray[np.uint8],
    ) -> None:
        """Take entries, at most `room`; write the pages that are full, of a full segment all.

        Args:
            orders: integers (n,).
            keys: uint64 (n, 2).
            records: uint8 (n, record_bytes).
        """
        size, at = self._format.entry_bytes, 0
        while at < len(keys):
            count = min(len(keys) - at, (len(self._buffer) - self._filled) // size)
            end = self._filled + count * size
            entries = self._buffer[self._filled : end].reshape(count, size)
            heads = self.heads[self.taken : self.taken + count]
            heads["low"], heads["high"] = keys[at : at + count].T
            heads["order"] = orders[at : at + count]
            entries[:, :HEAD_BYTES] = heads.view(np.uint8).reshape(count, HEAD_BYTES)
            entries[:, HEAD_BYTES:] = records[at : at + count]
            heads["xxh3_64"] = [entry_sum(one[SUM_BYTES:], self.sequence) for one in entries]
            entries[:, :HEAD_BYTES] = heads.view(np.uint8).reshape(count, HEAD_BYTES)
            self.taken, self._filled, self._fresh = self.taken + count, end, True
            at += count
            self._write(end // PAGE * PAGE)
        if not self.room:
            self.flush()

    def _write(self, num_bytes: int) -> None:
        """Write so many bytes of the buffer, whole pages; what lies behind comes to the front."""
        if num_bytes:
            self._file.write(self._buffer[:num_bytes], self._offset)
        rest = max(0, self._filled - num_bytes)
        self._buffer[:rest] = self._buffer[num_bytes : num_bytes + rest].copy()
        self._begin, self._filled = self._begin + num_bytes, rest
        self._fresh = self._fresh and rest > 0
        whole = min(self.taken, self._begin // self._format.entry_bytes)
        self.written = max(self.written, whole)  # those of a tail that was resumed are there too

    def flush(self) -> None:
        """Write what is left, zeros behind it; the segment can take no more entries then."""
        if self._fresh:
            end = pages_of(self._filled)
            self._buffer[self._filled : end] = 0
            self._write(end)

    def seal(self) -> None:
        """Write the footer of a full segment; does nothing when there is one."""
        if not self._sealed:
            self._file.sync()
            self._format.seal(self._footer, self.sequence)
            self._file.write(
                self._footer, self._format.segment_offset(self.segment) + self._format.footer_offset
            )
            self._file.sync()
            self._sealed = True

    def bytes_at_most(self, entries: int) -> int:
        """Return what taking so many more entries, and closing then, writes at most."""
        log_format = self._format
        end = entries + (0 if self._sealed else self.taken)
        begun = max(0, -(-end // log_format.entries_per_segment) - (not self._sealed))
        sealed = end // log_format.entries_per_segment
        data = entries * log_format.entry_bytes + (self._filled if entries or self._fresh else 0)
        rounding = (begun + 1) * PAGE if data else 0
        return data + rounding + begun * PAGE + sealed * log_format.footer_bytes
