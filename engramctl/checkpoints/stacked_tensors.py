"""What families share: tensors stacked to a table, and scales that are checked before use.

Missing, uninitialised or non-finite scales read as fluent, wrong output in other engines:
here they are errors with a name.
"""

from collections.abc import Mapping, Sequence

import numpy as np

from engramctl.errors import FormatError
from engramctl.model_folder.tensors import Parts
from engramctl.storage.files.safetensors_header import Tensor
from engramctl.storage.reading.region import Region, RegionFiles
from engramctl.storage.reading.source import CheckpointTables, RecordReader
from engramctl.storage.record.codecs import decode
from engramctl.storage.record.record import RecordSpec

SAMPLE_BYTES = 64 << 20  # of a layer; of a longer one first, last and pieces between
_PIECES = 16


def stacked(
    tensors: Sequence[Tensor], column: int, dtype: str, width: int, what: str
) -> list[Region]:
    """Return the regions of tensors whose rows follow each other.

    Args:
        tensors: each (rows, items).
        column: byte of the record they begin at.
        dtype: they must have.
        width: bytes of a row they must have.
        what: for messages.

    Raises:
        FormatError: another dtype or width, or no rows.
    """
    regions = []
    row = 0
    for tensor in tensors:
        rows = tensor.shape[0] if len(tensor.shape) == 2 else 0
        found = tensor.num_bytes // rows if rows else 0
        if tensor.dtype != dtype or found != width:
            raise FormatError(
                f"'{tensor.name}' cannot be {what}",
                facts={
                    "file": tensor.path,
                    "expected": f"{dtype}, rows of {width:,} bytes",
                    "found": f"{tensor.dtype} {list(tensor.shape)}",
                },
            )
        place = (row, row + rows, tensor.offset, 1, width)
        regions.append(Region(tensor.path, column, width, *place))
        row += rows
    return regions


def numbered(found: Mapping[int, Tensor], what: str) -> list[Tensor]:
    """Return the tensors of 0, 1, 2, ...

    Raises:
        FormatError: a number is missing.
    """
    for number in range(len(found)):
        if number not in found:
            raise FormatError(
                f"{what} {number} is missing",
                facts={"expected": f"{what} 0 to {max(found)}", "found": f"{len(found)} of them"},
                hint="a file of the checkpoint is missing; fetch it again",
            )
    return [found[number] for number in range(len(found))]


def put_once(found: dict[int, Tensor], number: int, tensor: Tensor, what: str) -> None:
    """Keep the tensor of a number.

    Raises:
        FormatError: there is one already, by another name: `layers.1` and `layers.01`.
    """
    before = found.setdefault(number, tensor)
    if before is not tensor:
        raise FormatError(
            f"{what} {number} is there twice",
            facts={"file": tensor.path, "found": f"'{before.name}' and '{tensor.name}'"},
            hint="remove the files that do not belong to the checkpoint",
        )


def need(tensors: Parts, name: str, why: str) -> tuple[Tensor, ...]:
    """Return a tensor, or its ranks' parts.

    Raises:
        FormatError: it is not there.
    """
    if name not in tensors:
        raise FormatError(
            f"'{name}' is missing",
            facts={"expected": why, "found": "no such tensor"},
            hint="without it rows would be read with a wrong scale; fetch the checkpoint again",
        )
    return tensors[name]


def scalar(tensor: Tensor) -> float:
    """Return a tensor's one value.

    Raises:
        FormatError: it has more than one, or it is not a finite number above 0.
    """
    dtype = {"F32": "f32", "BF16": "bf16", "F16": "f16"}.get(tensor.dtype)
    if dtype is None or tensor.shape not in ((), (1,), (1, 1)):
        raise FormatError(
            f"'{tensor.name}' is no scale of a whole table",
            facts={
                "file": tensor.path,
                "expected": "one F32, BF16 or F16",
                "found": f"{tensor.dtype} {list(tensor.shape)}",
            },
        )
    data = np.empty(tensor.num_bytes, np.uint8)
    with RegionFiles() as files:
        files.pread(tensor.path, tensor.offset, data)
    value = float(decode(RecordSpec(dtype, 1), data.reshape(1, -1))[0, 0])
    if not (np.isfinite(value) and value > 0):
        raise FormatError(
            f"the scale '{tensor.name}' is not a finite number above 0",
            facts={"file": tensor.path, "expected": "a finite number above 0", "found": value},
            hint="it was never initialised, or the file is damaged; fetch the checkpoint again",
        )
    return value


def check_scales(tables: CheckpointTables) -> None:
    """Look at scales of every layer: all of a small table, pieces of a large one.

    `RecordReader` looks at all of them when they are read.

    Args:
        tables: of any dtype.

    Raises:
        FormatError: a NaN or an infinity, or nothing but zero bytes: scales that were never set.
    """
    record = tables.record
    rows = max(1, SAMPLE_BYTES // _PIECES // record.record_bytes)
    with RecordReader(tables) as reader:
        for layer in tables.layers:
            total = tables.num_rows(layer)
            count = min(rows, total)
            pieces = 1 if count == total else _PIECES
            any_set = not record.scale_bytes
            for piece in range(pieces):
                records = np.empty((count, record.record_bytes), np.uint8)
                reader.read(layer, (total - count) * piece // max(1, pieces - 1), records)
                any_set = any_set or bool(records[:, record.weight_bytes :].any())
            if not any_set:
                region = tables.regions(layer)[-1]
                raise FormatError(
                    f"the scales of {region.path.name} were never set: all bytes are zero",
                    facts={"file": region.path, "offset": f"{region.offset:,}"},
                    hint="the converter that wrote the file lost them; fetch another",
                )
