"""A GGUF header that stays inside its file, checked before the library reads it.

The `gguf` library believes the counts it meets: an absurd one makes it loop until memory is full.
Layout: ggml's docs/gguf.md, versions 2 and 3, little-endian.
"""

import mmap
from pathlib import Path
from typing import NoReturn

from engramctl.errors import FormatError
from engramctl.storage.atomic import os_errors

MAGIC = b"GGUF"
VERSIONS = (2, 3)
_BYTES = {0: 1, 1: 1, 2: 2, 3: 2, 4: 4, 5: 4, 6: 4, 7: 1, 10: 8, 11: 8, 12: 8}
_STRING, _ARRAY = 8, 9
_MOST_DIMENSIONS = 4
_MOST_NESTED = 4


def check_gguf(path: Path) -> None:
    """Walk over a file's metadata and tensor list.

    Raises:
        FormatError: another kind of file, or something in its header lies outside it.
        StorageError: it cannot be read.
    """
    with os_errors("read", path), path.open("rb") as file:
        if file.seek(0, 2) < 24:
            raise FormatError(f"{path} is no GGUF file: it is too short", facts={"file": path})
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            _Walk(path, data).header()


class _Walk:
    """A place in a header that never leaves the file."""

    def __init__(self, path: Path, data: mmap.mmap) -> None:
        self._path = path
        self._data = data
        self._at = 0

    def header(self) -> None:
        if self._data[:4] != MAGIC:
            self._fail("begins with another magic")
        self._skip(4)
        version = self._number(4)
        if version not in VERSIONS:
            self._fail(f"has version {version}")
        tensors, pairs = self._number(8), self._number(8)
        for _ in range(pairs):
            self._string()
            self._value(self._number(4))
        for _ in range(tensors):
            self._string()
            dimensions = self._number(4)
            if dimensions > _MOST_DIMENSIONS:
                self._fail(f"has a tensor of {dimensions} dimensions")
            self._skip(8 * dimensions + 12)

    def _value(self, kind: int, depth: int = 0) -> None:
        if kind in _BYTES:
            self._skip(_BYTES[kind])
        elif kind == _STRING:
            self._string()
        elif kind == _ARRAY and depth < _MOST_NESTED:
            inner, count = self._number(4), self._number(8)
            if inner in _BYTES:
                self._skip(_BYTES[inner] * count)
            else:
                for _ in range(count):
                    self._value(inner, depth + 1)
        else:
            self._fail(f"has a value of unknown type {kind}")

    def _string(self) -> None:
        self._skip(self._number(8))

    def _number(self, size: int) -> int:
        start = self._at
        self._skip(size)
        return int.from_bytes(self._data[start : self._at], "little")

    def _skip(self, size: int) -> None:
        if size > len(self._data) - self._at:
            self._fail("has a header that ends behind the file")
        self._at += size

    def _fail(self, what: str) -> NoReturn:
        raise FormatError(
            f"{self._path} is no GGUF file: it {what}",
            facts={"file": self._path, "offset": f"{self._at:,}"},
        )
