"""The byte-level truth of a row file: its name, its safetensors header, its extents.

A row file is a `.safetensors` file with one tensor. Its header is padded with spaces so that the
data begins at a multiple of 4,096 bytes; the header's bytes follow from geometry alone, so a
reader compares them and needs no parser. docs/format.md says the same for people.
"""

import json
import re
import struct

from engramctl.errors import FormatError
from engramctl.storage.geometry import Layout

ALIGNMENT_BYTES = 4096
EXTENT_BYTES = 64 << 20
PARTS = ("weight", "scale", "records")
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


def header_bytes(layout: Layout, part: str, num_rows: int) -> bytes:
    """Return everything before a row file's data: a multiple of 4,096 bytes.

    Eight bytes of little-endian length, then compact JSON naming the tensor after its part, then
    spaces.

    Example:
        >>> from engramctl.storage.record import RecordSpec
        >>> header = header_bytes(Layout.of("packed", RecordSpec("f8_e4m3", 256)), "records", 2)
        >>> len(header), header[8:84]
        (4096, b'{"records":{"dtype":"U8","shape":[2,264],"data_offsets":[0,528]}}           ')
    """
    dtype, shape = layout.tensor(part, num_rows)
    end = layout.data_bytes(part, num_rows)
    tensor = {"dtype": dtype, "shape": list(shape), "data_offsets": [0, end]}
    text = json.dumps({part: tensor}, separators=(",", ":")).encode()
    total = -(-(8 + len(text)) // ALIGNMENT_BYTES) * ALIGNMENT_BYTES
    return struct.pack("<Q", total - 8) + text.ljust(total - 8, b" ")


def num_extents(data_bytes: int, extent_bytes: int) -> int:
    """Return how many extents, and so checksums, a file has."""
    return -(-data_bytes // extent_bytes)
