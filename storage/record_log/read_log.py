"""An n-gram log looked at without a lock: what it is, and what it holds.

A store may fill the file at the same time: what is read then is a state of some moments.
"""

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from engramctl.errors import FormatError
from engramctl.storage.files.regular_file import regular_file
from engramctl.storage.record_log.live_index import MAX_RECORDS
from engramctl.storage.record_log.log_format import (
    PAGE,
    SEGMENT_BYTES,
    VERSION,
    LogFormat,
    facts_of,
    least_segment_bytes,
)
from engramctl.storage.record_log.log_recovery import (
    PIECE_BYTES,
    FoundSegment,
    found_segments,
    is_whole,
)

_MAX_RECORD_BYTES = 1 << 26  # of a stranger's file: no record of ours is nearly so long
_MAX_ORDERS = 1 << 8
_MAX_KEY_BITS = 128
_DIGEST = re.compile("[0-9a-f]{32}")


class ReadLog:
    """A log open for reading.

    Attributes:
        log_format: its geometry, as its header says it and as it can be.
        file_bytes: the file's length; less than the geometry's when it was cut.
        bytes_on_disk: that it takes: it is sparse.
        num_segments: those that begin within its length.
    """

    def __init__(self, file: IO[bytes], log_format: LogFormat) -> None:
        """Look at an open file whose header was read."""
        self._descriptor = file.fileno()
        self.log_format = log_format
        status = os.fstat(self._descriptor)
        self.file_bytes, self.bytes_on_disk = status.st_size, status.st_blocks * 512
        within = -(-max(0, self.file_bytes - PAGE) // log_format.segment_bytes)
        self.num_segments = min(log_format.num_segments, within)

    def read(self, offset: int, num_bytes: int) -> bytes:
        """Return bytes of the file, as far as there are any; raises OSError."""
        pieces = []
        num_bytes = min(num_bytes, max(0, self.file_bytes - offset))
        while num_bytes and (piece := os.pread(self._descriptor, num_bytes, offset)):
            pieces.append(piece)
            offset += len(piece)
            num_bytes -= len(piece)
        return b"".join(pieces)

    def segments(self) -> Iterator[FoundSegment]:
        """Give the segments in use, oldest first, as a store finds them."""
        return found_segments(self, self.log_format, self.num_segments)

    def header(self, segment: int) -> tuple[int, bool]:
        """Return a segment's sequence number, 0 where it has none; and whether that is damage."""
        page = self.read(self.log_format.segment_offset(segment), PAGE)
        sequence = self.log_format.sequence_of(page)
        return sequence, not sequence and any(page)

    def first_entry(self, segment: int) -> int:
        """Return where the first entry of a segment begins in the file."""
        return self.log_format.segment_offset(segment) + PAGE

    def is_sealed(self, segment: int, sequence: int) -> bool:
        """Tell whether a whole footer says that all entries of a segment are there."""
        begin = self.log_format.segment_offset(segment) + self.log_format.footer_offset
        footer = self.read(begin, self.log_format.footer_bytes)
        return self.log_format.sealed_heads(footer, sequence) is not None

    def whole_entries(self, segment: int, sequence: int) -> Iterator[bool]:
        """Say of every place of a segment whether a whole entry of this life is there."""
        size, entries = self.log_format.entry_bytes, self.log_format.entries_per_segment
        begin = self.first_entry(segment)
        most = max(1, PIECE_BYTES // size)
        for first in range(0, entries, most):
            count = min(most, entries - first)
            data = memoryview(self.read(begin + first * size, count * size))
            yield from (
                is_whole(data[place * size : (place + 1) * size], size, sequence)
                for place in range(count)
            )


@contextmanager
def opened_log(path: Path) -> Iterator[ReadLog]:
    """Open a log for reading, whoever fills it.

    Raises:
        FormatError: it is no log, or its header is damaged or says what cannot be.
        StorageError: it cannot be read.
    """
    with regular_file(path) as file:
        header = file.read(PAGE)
        log_format = _geometry(facts_of(header) or {})
        if log_format is None or log_format.file_header() != header:
            raise FormatError(
                f"{path} is no n-gram log, or its header is damaged", facts={"file": path}
            )
        yield ReadLog(file, log_format)


def _geometry(facts: dict[str, Any]) -> LogFormat | None:
    """Return the geometry that a header says; None where there can be none such."""
    names = ("record_bytes", "num_orders", "key_bits", "segment_bytes", "num_segments", "version")
    numbers: dict[str, Any] = {name: facts.get(name) for name in names}
    digest = facts.get("table_xxh3_128")
    if not isinstance(digest, str) or not _DIGEST.fullmatch(digest):
        return None
    if any(type(one) is not int for one in numbers.values()):
        return None
    version = numbers.pop("version")
    found = LogFormat(table_xxh3_128=digest, **numbers)
    if not (
        version == VERSION
        and 1 <= found.record_bytes <= _MAX_RECORD_BYTES
        and 1 <= found.num_orders <= _MAX_ORDERS
        and 1 <= found.key_bits <= _MAX_KEY_BITS
    ):
        return None
    least = least_segment_bytes(found.record_bytes)
    if found.segment_bytes % PAGE or not least <= found.segment_bytes <= max(SEGMENT_BYTES, least):
        return None
    fits = found.num_segments >= 2 and found.max_records <= MAX_RECORDS
    return found if fits else None
