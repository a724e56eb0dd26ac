"""The header of a GGUF file, read strictly: which bytes of the file each tensor is.

Every count and length is compared with the file before it is believed, nothing is kept but the
tensors' places and small integers, and the file's data is not read. (The library `gguf` makes
objects of every element of every array, by counts that it believes.) Layout: ggml's gguf.md,
versions 2 and 3, little-endian.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, NoReturn

from engramctl.errors import FormatError
from engramctl.storage.files.regular_file import regular_file
from engramctl.storage.kinds.recognise import refused

MAGIC = b"GGUF"
VERSIONS = (2, 3)
MAX_TENSORS = 1 << 17
MAX_PAIRS = 1 << 17
MAX_STRINGS = 1 << 22  # of an array: a vocabulary, its merges
MAX_NAME_BYTES = 1 << 16
MAX_KEPT_NAME = 256
ALIGNMENT = 32  # where the metadata says no other
_BYTES = {0: 1, 1: 1, 2: 2, 3: 2, 4: 4, 5: 4, 6: 4, 7: 1, 10: 8, 11: 8, 12: 8}
_INTEGERS = {
    0: "<u1", 1: "<i1", 2: "<u2", 3: "<i2", 4: "<u4", 5: "<i4", 10: "<u8", 11: "<i8",
}  # fmt: skip
_STRING, _ARRAY = 8, 9
_MOST_DIMENSIONS = 4
_MOST_NESTED = 4
_ALIGNMENT = "general.alignment"
_SWAP = "fetch the little-endian one; the gguf package's gguf_convert_endian.py turns it round"
_FETCH = "fetch the file again"


@dataclass(frozen=True)
class GgufTensor:
    """One tensor's place.

    Attributes:
        path: the file.
        name: as the file has it.
        kind: ggml's number of its type.
        shape: sizes, the fastest first: columns, then rows.
        offset: first byte in the file.
    """

    path: Path
    name: str
    kind: int
    shape: tuple[int, ...]
    offset: int


@dataclass(frozen=True)
class IntegerList:
    """Where integers lie in a file: a list among its facts, or a tensor.

    Attributes:
        path: the file.
        name: as the file has it.
        dtype: numpy's word for one of them.
        count: how many.
        offset: first byte in the file.
    """

    path: Path
    name: str
    dtype: str
    count: int
    offset: int


@dataclass(frozen=True)
class GgufHeader:
    """What a file says of itself, as far as tables need it.

    Attributes:
        tensors: all of them.
        integers: its facts that are one integer.
        lists: its facts that are lists of integers.
        lengths: how many elements each list has.
        file_bytes: the file's length.
    """

    tensors: tuple[GgufTensor, ...]
    integers: Mapping[str, int]
    lists: Mapping[str, IntegerList]
    lengths: Mapping[str, int]
    file_bytes: int


def read_gguf(path: Path) -> GgufHeader:
    """Read a file's header.

    Raises:
        FormatError: another kind of file, or something in its header lies outside it.
        StorageError: it cannot be read.
    """
    with regular_file(path, buffer_bytes=1 << 16) as file:
        return _Walk(path, file).header()


class _Walk:
    """A place in a header that never leaves the file."""

    def __init__(self, path: Path, file: IO[bytes]) -> None:
        self._path = path
        self._file = file
        self._size = file.seek(0, 2)
        self._at = file.seek(0)
        self._integers: dict[str, int] = {}
        self._lists: dict[str, IntegerList] = {}
        self._lengths: dict[str, int] = {}

    def header(self) -> GgufHeader:
        if self._take(4) != MAGIC:
            raise refused(self._path, "a GGUF file") or self._wrong("does not begin with GGUF")
        version = self._number(4)
        if version not in VERSIONS:
            if int.from_bytes(version.to_bytes(4, "little"), "big") in VERSIONS:
                self._fail("is big-endian", _SWAP)
            self._fail(f"has version {version}")
        tensors, pairs = self._number(8), self._number(8)
        if tensors > MAX_TENSORS or pairs > MAX_PAIRS:
            self._fail(f"has {tensors:,} tensors and {pairs:,} facts")
        for _ in range(pairs):
            self._fact(self._name(), self._number(4))
        found = [self._tensor() for _ in range(tensors)]
        if len({one.name for one in found}) != len(found):
            self._fail("has two tensors of one name")
        alignment = self._alignment()
        start = -(-self._at // alignment) * alignment
        places = (replace(one, offset=start + one.offset) for one in found)
        facts = (self._integers, self._lists, self._lengths)
        return GgufHeader(tuple(places), *facts, self._size)

    def _alignment(self) -> int:
        """Return what data is aligned to, of whichever integer type it is."""
        found = self._integers.get(_ALIGNMENT, ALIGNMENT)
        if found < 1 or found & (found - 1):
            self._fail(f"aligns its data to {found} bytes, no power of two")
        return found

    def _tensor(self) -> GgufTensor:
        name, dimensions = self._name(), self._number(4)
        if not 1 <= dimensions <= _MOST_DIMENSIONS:
            self._fail(f"has a tensor of {dimensions} dimensions")
        shape = tuple(self._number(8) for _ in range(dimensions))
        return GgufTensor(self._path, name, self._number(4), shape, self._number(8))

    def _fact(self, name: str, kind: int) -> None:
        """Keep an integer, and where a list of them lies; pass over any other value."""
        if name == _ALIGNMENT and kind not in _INTEGERS:
            self._fail(f"aligns its data to a value of type {kind}, no integer")
        kept = len(name) <= MAX_KEPT_NAME
        if kind in _INTEGERS and kept:
            data = self._take(_BYTES[kind])
            signed = _INTEGERS[kind][1] == "i"
            self._integers[name] = int.from_bytes(data, "little", signed=signed)
        elif kind == _ARRAY and kept:
            inner, count = self._number(4), self._number(8)
            self._lengths[name] = count
            if inner in _INTEGERS:
                place = (_INTEGERS[inner], count, self._at)
                self._lists[name] = IntegerList(self._path, name, *place)
            self._elements(inner, count, 0)
        else:
            self._value(kind)

    def _value(self, kind: int, depth: int = 0) -> None:
        if kind in _BYTES:
            self._skip(_BYTES[kind])
        elif kind == _STRING:
            self._skip(self._number(8))
        elif kind == _ARRAY and depth < _MOST_NESTED:
            self._elements(self._number(4), self._number(8), depth + 1)
        else:
            self._fail(f"has a value of unknown type {kind}")

    def _elements(self, kind: int, count: int, depth: int) -> None:
        """Pass over the elements of an array."""
        if kind in _BYTES:
            self._skip(_BYTES[kind] * count)
        elif count > MAX_STRINGS:
            self._fail(f"has an array of {count:,} strings or arrays")
        else:
            for _ in range(count):
                self._value(kind, depth)

    def _name(self) -> str:
        size = self._number(8)
        if size > MAX_NAME_BYTES:
            self._fail(f"has a name of {size:,} bytes")
        try:
            return self._take(size).decode()
        except UnicodeDecodeError:
            self._fail("has a name that is not UTF-8")

    def _number(self, size: int) -> int:
        return int.from_bytes(self._take(size), "little")

    def _take(self, size: int) -> bytes:
        self._check(size)
        data = self._file.read(size)
        if len(data) != size:
            self._fail("ended while it was read")
        self._at += size
        return data

    def _skip(self, size: int) -> None:
        self._check(size)
        self._at = self._file.seek(size, 1)

    def _check(self, size: int) -> None:
        if size > self._size - self._at:
            self._fail("has a header that ends behind the file: it was cut", _FETCH)

    def _fail(self, what: str, hint: str | None = None) -> NoReturn:
        raise self._wrong(what, hint)

    def _wrong(self, what: str, hint: str | None = None) -> FormatError:
        return FormatError(
            f"{self._path} is no GGUF file that can be read: it {what}",
            facts={"file": self._path, "offset": f"{self._at:,}"},
            hint=hint,
        )
