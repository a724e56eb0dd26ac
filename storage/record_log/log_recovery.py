"""What an n-gram log holds, found when it is opened: by footers, else entry by entry."""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engramctl.storage.record_log.log_file import LogFile
from engramctl.storage.record_log.log_format import (
    HEAD,
    HEAD_BYTES,
    PAGE,
    SUM_BYTES,
    LogFormat,
    entry_sum,
)

_PIECE_BYTES = 1 << 20


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


def found_segments(file: LogFile, log_format: LogFormat) -> Iterator[FoundSegment]:
    """Give the segments in use, oldest first; what cannot be read or believed is not among them.

    Only a segment without a whole footer is read through, as far as its first torn entry.
    """
    places: dict[int, int] = {}
    for segment in range(log_format.num_segments):
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


def _whole_heads(
    file: LogFile, log_format: LogFormat, begin: int, sequence: int
) -> Iterator[bytes]:
    """Give the heads of a segment's entries up to the first that is not whole."""
    size = log_format.entry_bytes
    most = max(1, _PIECE_BYTES // size)
    for first in range(0, log_format.entries_per_segment, most):
        count = min(most, log_format.entries_per_segment - first)
        try:
            data = memoryview(file.read(begin + first * size, count * size))
        except OSError:
            return
        for at in range(0, len(data), size):
            entry = data[at : at + size]
            digest = int.from_bytes(entry[:SUM_BYTES], "little")
            if len(entry) < size or entry_sum(entry[SUM_BYTES:], sequence) != digest:
                return
            yield bytes(entry[:HEAD_BYTES])
