"""The pages of one Parquet column chunk: where they lie, and each one's bytes, decompressed."""

import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

_HEADER_BYTES = 1 << 12  # statistics of integers are short
_DATA, _DICTIONARY, _DATA_V2 = 0, 2, 3


class BrokenPage(OSError):
    """A page is not as Parquet has it."""


@dataclass(frozen=True)
class Page:
    """One page.

    Attributes:
        kind: as Parquet numbers them: 0 data, 2 dictionary, 3 data of version 2.
        offset: of its body in the file.
        stored_bytes: of the body there.
        plain_bytes: of the body, decompressed.
        crc: of the stored body, or None.
        about: the header of its kind: field number -> value.
    """

    kind: int
    offset: int
    stored_bytes: int
    plain_bytes: int
    crc: int | None
    about: dict[int, Any]

    @property
    def num_values(self) -> int:
        """Values, nulls and empty lists among them."""
        return int(self.about[1])

    @property
    def is_data(self) -> bool:
        """Whether it holds documents."""
        return self.kind in (_DATA, _DATA_V2)

    @property
    def is_dictionary(self) -> bool:
        """Whether it holds the values that others name by number."""
        return self.kind == _DICTIONARY

    @property
    def encoding(self) -> int:
        """Of its values, as Parquet numbers encodings."""
        return int(self.about[4 if self.kind == _DATA_V2 else 2])


def walk_pages(source: Any, chunk: Any) -> Iterator[Page]:
    """Give the pages of a column chunk, headers alone read.

    Args:
        source: the open file.
        chunk: metadata of the column chunk.

    Raises:
        BrokenPage: a header that cannot be.
    """
    at = int(chunk.data_page_offset)
    if chunk.has_dictionary_page and chunk.dictionary_page_offset:
        at = min(at, int(chunk.dictionary_page_offset))
    end = at + int(chunk.total_compressed_size)
    while at < end:
        source.seek(at)
        data = source.read(min(_HEADER_BYTES, end - at))
        try:
            fields, length = _struct(data, 0)
            about = fields.get({_DATA: 5, _DICTIONARY: 7, _DATA_V2: 8}.get(fields[1], 6), {})
            page = Page(fields[1], at + length, fields[3], fields[2], fields.get(4), about)
            fits = 0 <= page.stored_bytes <= end - page.offset and page.plain_bytes >= 0
        except (LookupError, TypeError, RecursionError) as error:
            raise BrokenPage(f"no page header at byte {at:,}") from error
        if not fits:
            raise BrokenPage(f"a page at byte {at:,} is longer than its column")
        yield page
        at = page.offset + page.stored_bytes


def read_page(source: Any, page: Page, compression: str) -> tuple[NDArray[np.uint8], int, int]:
    """Return the bytes of a page, and where its levels of repetition and definition end.

    The two are -1 where the page says their lengths itself.

    Raises:
        BrokenPage: its checksum differs, or it does not decompress.
    """
    source.seek(page.offset)
    stored = source.read_buffer(page.stored_bytes)
    if len(stored) != page.stored_bytes:
        raise BrokenPage("the file ends in a page")
    if page.crc is not None and zlib.crc32(stored) != page.crc & 0xFFFFFFFF:
        raise BrokenPage("could not verify page integrity, CRC checksum verification failed")
    levels, ends = 0, (-1, -1)
    packed = compression != "UNCOMPRESSED"
    if page.kind == _DATA_V2:
        ends = (page.about[6], page.about[6] + page.about[5])
        levels = ends[1]
        packed = packed and page.about.get(7, True)
    body = stored.slice(levels)
    if packed and len(body):
        body = pa.Codec(_CODECS[compression]).decompress(body, page.plain_bytes - levels)
    data = np.frombuffer(body, np.uint8)
    if levels:
        data = np.concatenate([np.frombuffer(stored.slice(0, levels), np.uint8), data])
    return data, *ends


_CODECS = {"SNAPPY": "snappy", "GZIP": "gzip", "BROTLI": "brotli", "ZSTD": "zstd"}
READABLE = {"UNCOMPRESSED", *_CODECS}


def _struct(data: bytes, at: int) -> tuple[dict[int, Any], int]:
    """Read one struct of Thrift's compact protocol: field number -> value; and where it ends."""
    fields: dict[int, Any] = {}
    number = 0
    while data[at]:
        step, kind = data[at] >> 4, data[at] & 15
        at += 1
        if step:
            number += step
        else:
            word, at = _varint(data, at)
            number = _signed(word)
        fields[number], at = _value(data, at, kind)
    return fields, at + 1


def _value(data: bytes, at: int, kind: int) -> tuple[Any, int]:
    if kind in (1, 2):
        return kind == 1, at
    if kind in (4, 5, 6):
        word, at = _varint(data, at)
        return _signed(word), at
    if kind == 8:
        length, at = _varint(data, at)
        return data[at : at + length], at + length
    if kind == 12:
        return _struct(data, at)
    raise LookupError(kind)


def _varint(data: bytes, at: int) -> tuple[int, int]:
    word = shift = 0
    while True:
        word |= (data[at] & 127) << shift
        at, shift = at + 1, shift + 7
        if not data[at - 1] & 128:
            return word, at


def _signed(word: int) -> int:
    return (word >> 1) ^ -(word & 1)
