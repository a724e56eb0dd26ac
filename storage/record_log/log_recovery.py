"""What an n-gram log holds, found when it is opened: by footers, else entry by entry."""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from engramctl.storage.record_log.log_format import (
    HEAD,
    HEAD_BYTES,
    PAGE,
    SUM_BYTES,
    LogFormat,
    entry_sum,
)

PIECE_BYTES = 1 << 20


class Readable(Protocol):
    """A file of which bytes are read."""

    def read(self, offset: int, num_bytes: int) -> bytes:
        """Return bytes of the file, as far as there are any; raises OSError."""
        ...


@dataclass(frozen=True, eq=False)
class FoundSegment:
    """A segment in use.

    Attributes:
        segment: its place in the file.
        sequence: which life it is; from 1, and later ones are higher.
        heads: of its whole entries, HEAD (n,).
        sealed: whether a footer says so.
    """

    segment: int
    sequence: int
    heads: NDArray[Any]
    sealed: bool


def found_segments(
    file: Readable, log_format: LogFormat, num_segments: int | None = None
) -> Iterator[FoundSegment]:
    """Give the segments in use, oldest first; what cannot be read or believed is not among them.

    Only a segment without a whole footer is read through, as far as its first torn entry.

    Args:
        file: of the log.
        log_format: of it.
        num_segments: the first ones alone; None: all.
    """
    places: dict[int, int] = {}
    for segment in range(log_format.num_segments if num_segments is None else num_segments):
        with contextlib.suppress(OSError):
            header = file.read(log_format.segment_offset(segment), PAGE)
            if sequence := log_format.sequence_of(header):
                places.setdefault(sequence, segment)
    for sequence, segment in sorted(places.items()):
        heads, begin = None, log_format.segment_offset(segment)
        with contextlib.suppress(OSError):
            footer = file.read(begin + log_format.footer_offset, log_format.footer_bytes)
            heads = log_format.sealed_heads(footer, sequence)
        if heads is not None:
            yield FoundSegment(segment, sequence, heads, True)
        else:
            pieces = b"".join(_whole_heads(file, log_format, begin + PAGE, sequence))
            yield FoundSegment(segment, sequence, np.frombuffer(pieces, HEAD), False)


def is_whole(entry: memoryview, entry_bytes: int, sequence: int) -> bool:
    """Tell whether bytes are a whole entry of a segment's life."""
    digest = int.from_bytes(entry[:SUM_BYTES], "little")
    return len(entry) == entry_bytes and entry_sum(entry[SUM_BYTES:], sequence) == digest


def _whole_heads(
    file: Readable, log_format: LogFormat, begin: int, sequence: int
) -> Iterator[bytes]:
    """Give the heads of a segment's entries up to the first that is not whole."""
    size = log_format.entry_bytes
    most = max(1, PIECE_BYTES // size)
    for first in range(0, log_format.entries_per_segment, most):
        count = min(most, log_format.entries_per_segment - first)
        try:
            data = memoryview(file.read(begin + first * size, count * size))
        except OSError:
            return
        for at in range(0, len(data), size):
            entry = data[at : at + size]
            if not is_whole(entry, size, sequence):
                return
            yield bytes(entry[:HEAD_BYTES])
