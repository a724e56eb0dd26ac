"""The byte-level truth of a row file: its name, its safetensors header, its extents.

A row file is a `.safetensors` file with one tensor. Its header is padded with spaces so that the
data begins at a multiple of 4,096 bytes; the header's bytes follow from geometry alone, so a
reader compares them and needs no parser. docs/format.md says the same for people.
"""

import re
import struct
from collections.abc import Sequence

from engramctl.errors import FormatError
from engramctl.storage.format.geometry import Layout

ALIGNMENT_BYTES = 4096
MAX_ALIGNMENT_BYTES = 64 << 20  # the header may not be longer: safetensors allows 100 MB
EXTENT_BYTES = 64 << 20
MAX_EXTENTS = 256  # of a file: opening a table costs the same at any size
_NAME = re.compile(r"layer(\d{2,5})\.(weight|scale|records)\.(\d{3,6})\.safetensors", re.ASCII)


def file_name(layer: int, part: str, index: int) -> str:
    """Return a row file's name.

    Example:
        >>> file_name(1, "records", 0)
        'layer01.records.000.safetensors'
    """
    return f"layer{layer:02d}.{part}.{index:03d}.safetensors"


def parse_file_name(name: str) -> tuple[int, str, int]:
    """Return (layer, part, index) of a row file's name.

    Raises:
        FormatError: any other name, so every path that could leave the folder.
    """
    match = _NAME.fullmatch(name)
    if match is not None:
        layer, part, index = int(match[1]), match[2], int(match[3])
        if file_name(layer, part, index) == name:
            return layer, part, index
    raise FormatError(
        f"{name[:200]!a} is not the name of a row file",
        facts={"expected": file_name(1, "records", 0), "found": ascii(name[:200])},
    )


def header_bytes(
    layout: Layout, part: str, segment_rows: Sequence[int], alignment_bytes: int = ALIGNMENT_BYTES
) -> bytes:
    """Return everything before a row file's data: a multiple of `alignment_bytes`.

    Eight bytes of little-endian length, then compact JSON naming the tensor after its part, then
    spaces.

    Args:
        layout: how rows lie.
        part: of the record.
        segment_rows: rows of each segment; one begins where the units of the last one end.
        alignment_bytes: a power of two.

    Example:
        >>> from engramctl.storage.record.record import RecordSpec
        >>> header = header_bytes(Layout.of("packed", RecordSpec("f8_e4m3", 256)), "records", [2])
        >>> len(header), header[8:84]
        (4096, b'{"records":{"dtype":"U8","shape":[2,264],"data_offsets":[0,528]}}           ')
    """
    shapes = [layout.tensor(part, rows) for rows in segment_rows]
    dtype, (_, columns) = shapes[0]
    shape = f"[{sum(rows for _, (rows, _) in shapes)},{columns}]"
    end = sum(layout.data_bytes(part, rows) for rows in segment_rows)
    tensor = f'{{"dtype":"{dtype}","shape":{shape},"data_offsets":[0,{end}]}}'
    text = f'{{"{part}":{tensor}}}'.encode()
    total = -(-(8 + len(text)) // alignment_bytes) * alignment_bytes
    return struct.pack("<Q", total - 8) + text.ljust(total - 8, b" ")


def num_extents(data_bytes: int, extent_bytes: int) -> int:
    """Return how many extents, and so checksums, a file has."""
    return -(-data_bytes // extent_bytes)


def fitting_extent(data_bytes: int, unit_bytes: int, wanted_bytes: int = EXTENT_BYTES) -> int:
    """Return the extents of a file: whole units, so that each can be written on its own.

    Args:
        data_bytes: of the file.
        unit_bytes: rows or pages, which no extent cuts.
        wanted_bytes: about so many; more when there would be over `MAX_EXTENTS` of them.

    Example:
        >>> fitting_extent(1 << 30, 264), fitting_extent(64 << 30, 264), fitting_extent(9, 3, 1)
        (67108800, 268435464, 4098)
    """
    least = -(-max(ALIGNMENT_BYTES, -(-data_bytes // MAX_EXTENTS)) // unit_bytes)
    return max(least, wanted_bytes // unit_bytes) * unit_bytes
