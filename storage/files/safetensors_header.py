"""The header of any safetensors file, read strictly: which bytes of the file each tensor is.

The official library gives tensors, not their places, and reading rows in place needs places. Every
number is checked before it is used; the file's data is not read.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from engramctl.errors import FormatError
from engramctl.storage.files.regular_file import regular_file
from engramctl.storage.files.strict_json import load_strict
from engramctl.storage.kinds.files import MAX_HEADER_BYTES
from engramctl.storage.kinds.recognise import stand_in

MAX_DIMENSIONS = 64
MAX_NAME = 512  # patterns are matched with names, in more than linear time
_MOST_VALUES = 1 << 64
ITEM_BITS = {
    "BOOL": 8, "U8": 8, "I8": 8, "F8_E4M3": 8, "F8_E5M2": 8, "F8_E8M0": 8,
    "U16": 16, "I16": 16, "F16": 16, "BF16": 16,
    "U32": 32, "I32": 32, "F32": 32, "U64": 64, "I64": 64, "F64": 64, "C64": 64,
    "F4": 4, "F6_E2M3": 6, "F6_E3M2": 6,
}  # fmt: skip


@dataclass(frozen=True)
class Tensor:
    """One tensor's place.

    Attributes:
        path: the file.
        name: as the header has it.
        dtype: as the format names it.
        shape: sizes.
        offset: first byte in the file.
        num_bytes: how many.
    """

    path: Path
    name: str
    dtype: str
    shape: tuple[int, ...]
    offset: int
    num_bytes: int


def read_header(path: Path) -> dict[str, Tensor]:
    """Return a file's tensors by name.

    Raises:
        FormatError: the header is not as the format says, or the file is cut; names file, expected
            and found.
        StorageError: it cannot be read.
    """
    with regular_file(path) as file:
        size = os.fstat(file.fileno()).st_size
        length = int.from_bytes(os.pread(file.fileno(), 8, 0), "little")
        if size < 8 or not 2 <= length <= min(MAX_HEADER_BYTES, size - 8):
            if error := stand_in(path, "a safetensors file"):
                raise error
            _fail(path, "the header's length", f"2 to {min(MAX_HEADER_BYTES, size - 8):,}", length)
        text = os.pread(file.fileno(), length, 8)
    try:
        document = load_strict(text)
    except ValueError as error:
        _fail(path, "the header", "JSON", f"{error}"[:200])
    if not isinstance(document, dict):
        _fail(path, "the header", "a JSON object", text[:40])
    start = 8 + length
    tensors = {
        name: _tensor(path, name, entry, start, size - start)
        for name, entry in document.items()
        if name != "__metadata__"
    }
    end = 0
    for tensor in sorted(tensors.values(), key=lambda one: (one.offset, one.num_bytes)):
        if tensor.offset - start != end:
            _fail(
                path, f"where '{tensor.name[:80]}' begins", f"{end:,}", f"{tensor.offset - start:,}"
            )
        end += tensor.num_bytes
    if end != size - start:
        _fail(path, "the length of the data", f"{end:,} bytes", f"{size - start:,} bytes")
    return tensors


def _tensor(path: Path, name: str, entry: Any, start: int, data_bytes: int) -> Tensor:
    what = f"'{name[:80]}'"
    if len(name) > MAX_NAME:
        _fail(path, f"the name {what}", f"at most {MAX_NAME} characters", f"{len(name):,}")
    if not isinstance(entry, Mapping) or set(entry) != {"dtype", "shape", "data_offsets"}:
        _fail(path, what, "dtype, shape and data_offsets", entry)
    dtype, shape, offsets = entry["dtype"], entry["shape"], entry["data_offsets"]
    if not isinstance(dtype, str) or dtype not in ITEM_BITS:
        _fail(path, f"the dtype of {what}", ", ".join(ITEM_BITS), dtype)
    for numbers, count in ((shape, None), (offsets, 2)):
        if not isinstance(numbers, list) or (count is not None and len(numbers) != count):
            _fail(path, f"shape or data_offsets of {what}", "lists of numbers", numbers)
        if any(type(one) is not int or not 0 <= one < 1 << 62 for one in numbers):
            _fail(path, f"shape or data_offsets of {what}", "numbers from 0 on", numbers)
    if len(shape) > MAX_DIMENSIONS:
        _fail(path, f"the shape of {what}", f"at most {MAX_DIMENSIONS} sizes", len(shape))
    bits = _product(shape) * ITEM_BITS[dtype]
    if offsets[1] > data_bytes:
        _fail(path, f"the end of {what}", f"at most {data_bytes:,}", f"{offsets[1]:,}")
    if bits % 8 or offsets[1] - offsets[0] != bits // 8:
        _fail(path, f"the span of {what}", f"{bits:,} bits by its shape", offsets)
    return Tensor(path, name, dtype, tuple(shape), start + offsets[0], bits // 8)


def _product(sizes: list[int]) -> int:
    """Return the product of sizes, or the first beyond any file on the way to it."""
    if 0 in sizes:
        return 0
    product = 1
    for size in sizes:
        product *= size
        if product > _MOST_VALUES:
            break
    return product


def _fail(path: Path, what: str, expected: object, found: object) -> NoReturn:
    raise FormatError(
        f"{path.name}: {what} is wrong",
        facts={"file": path, "expected": expected, "found": ascii(found)[:200]},
        hint="the file was cut or is no safetensors file; fetch it again",
    )
