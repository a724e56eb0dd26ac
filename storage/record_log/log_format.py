"""Bytes of an n-gram log: where everything lies, headers and footers written and checked.

docs/format.md has the same in words. What a file says of sizes is compared with what the caller
wants, never believed.
"""

import json
import struct
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import xxhash
from numpy.typing import NDArray

from engramctl.errors import ConfigError
from engramctl.storage.files.strict_json import load_json
from engramctl.storage.kinds.files import NGRAM_LOG

PAGE = 4096
HEAD = np.dtype([("xxh3_64", "<u8"), ("low", "<u8"), ("high", "<u8"), ("order", "<u4"),
                 ("zero", "<u4")])  # fmt: skip
HEAD_BYTES = HEAD.itemsize
HEAD_WORDS = struct.Struct("<QQQI")  # the same without the zero
SEGMENT_BYTES = 64 << 20
MAX_SEQUENCE = 1 << 48
SUM_BYTES = 8  # of an entry's checksum, which covers what follows it
VERSION = 1
_MAGIC, _SEGMENT, _FOOTER = NGRAM_LOG, b"EGRAMSEG", b"EGRAMEND"
_FILE_HEAD = struct.Struct("<8sQII")  # magic, xxh3 of what follows, version, bytes of the JSON
_SEGMENT_HEAD = struct.Struct("<8sQ16s")  # magic, sequence, table's digest; then xxh3 of them
_FOOTER_HEAD = struct.Struct("<8sQQQ")  # magic, xxh3 of what follows, sequence, entries
FOOTER_HEAD_BYTES = _FOOTER_HEAD.size
_MAX_RECORD_BYTES = 1 << 30


def pages_of(num_bytes: int) -> int:
    """Return bytes rounded up to whole pages."""
    return -(-num_bytes // PAGE) * PAGE


def least_segment_bytes(record_bytes: int) -> int:
    """Return the bytes of a segment with room for one entry."""
    return 2 * PAGE + pages_of(HEAD_BYTES + record_bytes)


def entry_sum(covered: Any, sequence: int) -> int:
    """Return the checksum of an entry, of its bytes from `SUM_BYTES` on, in a segment's life."""
    return xxhash.xxh3_64_intdigest(covered, sequence)


def keys_of(heads: NDArray[Any]) -> NDArray[np.uint64]:
    """Return the keys of entries' heads, uint64 (n, 2)."""
    return np.stack([heads["low"], heads["high"]], axis=1)


@dataclass(frozen=True)
class LogFormat:
    """An n-gram log's geometry, which never changes.

    Attributes:
        table_xxh3_128: `Manifest.table_xxh3_128` of the table whose rows these are.
        record_bytes: of a record.
        num_orders: orders of the scheme.
        key_bits: bits of the longest key.
        segment_bytes: whole pages: a header page, entries, a footer.
        num_segments: two at least.
    """

    table_xxh3_128: str
    record_bytes: int
    num_orders: int
    key_bits: int
    segment_bytes: int
    num_segments: int

    @classmethod
    def planned(
        cls,
        *,
        table_xxh3_128: str,
        record_bytes: int,
        num_orders: int,
        key_bits: int,
        size_bytes: int,
        segment_bytes: int = SEGMENT_BYTES,
    ) -> "LogFormat":
        """Return the geometry of a log of at most `size_bytes`.

        Segments are smaller than `segment_bytes` where there would be less than four of them, but
        for those that hold one record.

        Raises:
            ConfigError: records of no bytes or more than 1 GiB; no room for two segments.
        """
        if not 1 <= record_bytes <= _MAX_RECORD_BYTES:
            raise ConfigError(f"an n-gram log has no records of {record_bytes:,} bytes")
        least = least_segment_bytes(record_bytes)
        wanted = min(segment_bytes, (size_bytes - PAGE) // 4) // PAGE * PAGE
        segment = max(wanted, least)
        segments = (size_bytes - PAGE) // segment
        if segments < 2:
            raise ConfigError(
                "the n-gram log is too small",
                facts={
                    "expected": f"at least {PAGE + 2 * least:,} bytes, two segments",
                    "found": f"{size_bytes:,} bytes",
                },
                hint="give it more bytes",
            )
        return cls(table_xxh3_128, record_bytes, num_orders, key_bits, segment, segments)

    @property
    def entry_bytes(self) -> int:
        """Bytes of an entry: its head, its record."""
        return HEAD_BYTES + self.record_bytes

    @cached_property
    def entries_per_segment(self) -> int:
        """Entries of a full segment."""
        most = (self.segment_bytes - PAGE - FOOTER_HEAD_BYTES) // (self.entry_bytes + HEAD_BYTES)
        while PAGE + pages_of(most * self.entry_bytes) + self._footer(most) > self.segment_bytes:
            most -= 1
        return most

    @property
    def max_records(self) -> int:
        """Entries of all segments."""
        return self.num_segments * self.entries_per_segment

    @property
    def footer_bytes(self) -> int:
        """Bytes of a footer, whole pages."""
        return self._footer(self.entries_per_segment)

    @property
    def footer_offset(self) -> int:
        """Where a footer begins, counted from its segment."""
        return PAGE + pages_of(self.entries_per_segment * self.entry_bytes)

    @property
    def file_bytes(self) -> int:
        """The file's length, always."""
        return PAGE + self.num_segments * self.segment_bytes

    def _footer(self, entries: int) -> int:
        return pages_of(FOOTER_HEAD_BYTES + entries * HEAD_BYTES)

    def segment_offset(self, segment: int) -> int:
        """Where a segment begins in the file: its header page."""
        return PAGE + segment * self.segment_bytes

    def facts(self) -> dict[str, Any]:
        """Return what the JSON of the file's header says."""
        return {
            "table_xxh3_128": self.table_xxh3_128,
            "record_bytes": self.record_bytes,
            "num_orders": self.num_orders,
            "key_bits": self.key_bits,
            "segment_bytes": self.segment_bytes,
            "num_segments": self.num_segments,
        }

    def file_header(self) -> bytes:
        """Return the file's first page."""
        text = json.dumps(self.facts(), separators=(",", ":")).encode()
        rest = struct.pack("<II", VERSION, len(text)) + text
        rest = rest.ljust(PAGE - 16, b"\0")
        return _MAGIC + struct.pack("<Q", xxhash.xxh3_64_intdigest(rest)) + rest

    def segment_header(self, sequence: int) -> bytes:
        """Return a segment's first page."""
        digest = bytes.fromhex(self.table_xxh3_128)
        head = _SEGMENT_HEAD.pack(_SEGMENT, sequence, digest)
        return (head + struct.pack("<Q", xxhash.xxh3_64_intdigest(head))).ljust(PAGE, b"\0")

    def sequence_of(self, header: bytes) -> int:
        """Return the sequence number that a segment's header page says; 0: it is none of ours."""
        if len(header) < _SEGMENT_HEAD.size:
            return 0
        sequence: int = _SEGMENT_HEAD.unpack_from(header)[1]
        whole = header == self.segment_header(sequence)
        return sequence if whole and sequence < MAX_SEQUENCE else 0

    def seal(self, footer: NDArray[np.uint8], sequence: int) -> None:
        """Write the head of a footer whose entries' heads are there.

        Args:
            footer: uint8 (footer_bytes,), zeros behind the heads.
            sequence: of the segment.
        """
        head = _FOOTER_HEAD.pack(_FOOTER, 0, sequence, self.entries_per_segment)
        footer[:FOOTER_HEAD_BYTES] = np.frombuffer(head, np.uint8)
        footer[8:16].view("<u8")[0] = xxhash.xxh3_64_intdigest(footer[16:].data)

    def sealed_heads(self, footer: bytes, sequence: int) -> NDArray[Any] | None:
        """Return the heads that a whole footer of this life holds, HEAD (n,); else None."""
        if len(footer) != self.footer_bytes:
            return None
        magic, digest, found, entries = _FOOTER_HEAD.unpack_from(footer)
        if (magic, found, entries) != (_FOOTER, sequence, self.entries_per_segment):
            return None
        if digest != xxhash.xxh3_64_intdigest(memoryview(footer)[16:]):
            return None
        return np.frombuffer(footer, HEAD, entries, FOOTER_HEAD_BYTES)


def facts_of(header: bytes) -> dict[str, Any] | None:
    """Return what a file's first page says, and its version; None: it is no log's, or not whole."""
    if len(header) != PAGE or not header.startswith(_MAGIC):
        return None
    _, digest, version, size = _FILE_HEAD.unpack_from(header)
    if digest != xxhash.xxh3_64_intdigest(header[16:]):
        return None
    try:
        found = load_json(header[_FILE_HEAD.size : _FILE_HEAD.size + size])
    except ValueError:
        return None
    return {**found, "version": version} if isinstance(found, dict) else None
