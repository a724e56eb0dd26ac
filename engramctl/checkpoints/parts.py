"""What families share: tensors stacked to a table, and scales that are checked before use.

Missing, uninitialised or non-finite scales read as fluent, wrong output in other engines
(spec/schemes.md section 3, "Complaints"): here they are errors with a name.
"""

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from engramctl.errors import FormatError
from engramctl.storage.codecs import decode
from engramctl.storage.record import RecordSpec
from engramctl.storage.region import Region, RegionFiles
from engramctl.storage.safetensors_header import Tensor

SAMPLE_BYTES = 64 << 20  # of a scale tensor; of a longer one first, last and pieces between
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


def need(tensors: Mapping[str, Tensor], name: str, why: str) -> Tensor:
    """Return a tensor.

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


def check_scales(regions: Iterable[Region], bad_bytes: Sequence[int]) -> None:
    """Look at scales, one byte each, without reading more than SAMPLE_BYTES of a file's.

    Args:
        regions: of the scales.
        bad_bytes: those that are NaN.

    Raises:
        FormatError: a NaN, or nothing but zero bytes: scales that were never set.
    """
    bad = np.zeros(256, np.bool_)
    bad[list(bad_bytes)] = True
    with RegionFiles() as files:
        for region in regions:
            any_set = False
            for start, data in _sampled(files, region):
                any_set = any_set or bool(data.any())
                wrong = np.flatnonzero(bad[data])
                if wrong.size:
                    at = start + int(wrong[0])
                    raise FormatError(
                        f"a scale of {region.path.name} is NaN",
                        facts={
                            "file": region.path,
                            "offset": f"{region.offset + at:,}",
                            "row": f"{region.row_start + at // region.width:,}",
                            "found": f"0x{data[wrong[0]]:02x}",
                        },
                        hint="the checkpoint is damaged; fetch it again",
                    )
            if not any_set:
                raise FormatError(
                    f"the scales of {region.path.name} were never set: all bytes are zero",
                    facts={"file": region.path, "offset": f"{region.offset:,}"},
                    hint="the converter that wrote the file lost them; fetch another",
                )


def _sampled(files: RegionFiles, region: Region) -> Iterable[tuple[int, NDArray[np.uint8]]]:
    size = min(region.num_bytes, SAMPLE_BYTES // _PIECES)
    pieces = 1 if region.num_bytes <= size else _PIECES
    for piece in range(pieces):
        start = (region.num_bytes - size) * piece // max(1, pieces - 1)
        data = np.empty(size, np.uint8)
        files.pread(region.path, region.offset + start, data)
        yield start, data
