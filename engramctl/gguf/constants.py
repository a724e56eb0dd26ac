"""Integers that lie in a GGUF file, as a list among its facts or as a tensor: read when needed."""

import numpy as np
from numpy.typing import NDArray

from engramctl.errors import FormatError
from engramctl.gguf.header import GgufTensor, IntegerList
from engramctl.gguf.types import described
from engramctl.storage.reading.region import RegionFiles

MAX_BYTES = 1 << 27  # of a token map: 2^24 ids of 8 bytes
_DTYPES = {24: "<i1", 25: "<i2", 26: "<i4", 27: "<i8"}  # by ggml's numbers


def integer_tensor(tensor: GgufTensor, file_bytes: int) -> IntegerList:
    """Return where the integers of a tensor lie.

    Args:
        tensor: of I8, I16, I32 or I64.
        file_bytes: the length of its file.

    Raises:
        FormatError: another type, or they end behind the file.
    """
    dtype, count = _DTYPES.get(tensor.kind), 1
    for size in tensor.shape:
        count = min(count * size, file_bytes + 1)
    if dtype is None or tensor.offset + count * np.dtype(dtype).itemsize > file_bytes:
        raise FormatError(
            f"'{tensor.name[:80]}' cannot be constants of a scheme",
            facts={
                "file": tensor.path,
                "expected": "I8, I16, I32 or I64 that lie inside the file",
                "found": described(tensor),
            },
        )
    return IntegerList(tensor.path, tensor.name, dtype, count, tensor.offset)


def read_integers(found: IntegerList) -> NDArray[np.int64]:
    """Return integers in one row, int64 (count,); those beyond 2^63 come out negative.

    Raises:
        FormatError: more than any scheme has.
        StorageError: the file cannot be read.
    """
    num_bytes = found.count * np.dtype(found.dtype).itemsize
    if num_bytes > MAX_BYTES:
        raise FormatError(
            f"'{found.name[:80]}' is larger than the constants of any scheme",
            facts={"file": found.path, "expected": f"{MAX_BYTES:,} bytes", "found": num_bytes},
        )
    data = np.empty(num_bytes, np.uint8)
    if num_bytes:
        with RegionFiles() as files:
            files.pread(found.path, found.offset, data)
    return data.view(found.dtype).astype(np.int64)
