"""The manifest's `dictionary` object: what its files are, planned, written out and checked."""

import json
import math
import struct
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from engramctl.errors import ConfigError
from engramctl.storage.files.json_check import JsonChecker
from engramctl.storage.format.dictionary_index import MAX_ENTRIES, bucket_bits, index_bytes
from engramctl.storage.format.row_file import (
    ALIGNMENT_BYTES,
    EXTENT_BYTES,
    fitting_extent,
    num_extents,
)

RECORDS_FILE = "dictionary.records.000.safetensors"
INDEX_FILE = "dictionary.index.safetensors"
_BLANK = "0" * 32
_MAX_ORDER = 64
_MAX_BITS = 128
_MAX_RECORD_BYTES = 1 << 30


@dataclass(frozen=True)
class DictionaryFile:
    """One of the two files; the attributes are those of a `Shard`."""

    file: str
    data_offset: int
    data_bytes: int
    extent_bytes: int
    xxh3_128: tuple[str, ...]

    @property
    def file_bytes(self) -> int:
        """The whole file's length."""
        return self.data_offset + self.data_bytes

    def to_dict(self) -> dict[str, Any]:
        """Return the manifest's entry."""
        return {
            "file": self.file,
            "data_offset": self.data_offset,
            "data_bytes": self.data_bytes,
            "extent_bytes": self.extent_bytes,
            "xxh3_128": list(self.xxh3_128),
        }


@dataclass(frozen=True)
class Dictionary:
    """An n-gram dictionary of a table.

    Attributes:
        entries: n-grams, each with one record.
        orders: the scheme's.
        layers: the layers of a record's rows, as they follow in it.
        heads_per_order: rows an n-gram has in a layer.
        record_bytes: bytes of a record.
        key_bits: bits of the longest n-gram key.
        counts_xxh3_128: digest of the counts' manifest, or None.
        table_xxh3_128: `Manifest.table_xxh3_128` of the table whose rows these are.
        files: records, then index.
    """

    entries: int
    orders: tuple[int, ...]
    layers: tuple[int, ...]
    heads_per_order: int
    record_bytes: int
    key_bits: int
    counts_xxh3_128: str | None
    table_xxh3_128: str
    files: tuple[DictionaryFile, DictionaryFile]

    @classmethod
    def planned(
        cls,
        entries: int,
        *,
        orders: Sequence[int],
        layers: Sequence[int],
        heads_per_order: int,
        row_record_bytes: int,
        key_bits: int,
        counts_xxh3_128: str | None = None,
        extent_bytes: int = EXTENT_BYTES,
    ) -> "Dictionary":
        """Return a dictionary to be written: all but the digests of files and table, which are 0.

        Args:
            entries: see above, as the next three.
            orders: see above.
            layers: see above.
            heads_per_order: see above.
            row_record_bytes: bytes of one row of the table.
            key_bits: see above, as the next.
            counts_xxh3_128: see above.
            extent_bytes: data bytes under one checksum, about; see `fitting_extent`.

        Raises:
            ConfigError: no index can be exact for so many entries and so long keys.
        """
        record_bytes = len(layers) * heads_per_order * row_record_bytes
        sizes = {
            RECORDS_FILE: entries * record_bytes,
            INDEX_FILE: index_bytes(entries, len(orders), key_bits),
        }
        records, index = (
            _planned_file(name, size, fitting_extent(size, 1, extent_bytes))
            for name, size in sizes.items()
        )
        return cls(
            entries, tuple(orders), tuple(layers), heads_per_order, record_bytes, key_bits,
            counts_xxh3_128, _BLANK, (records, index),
        )  # fmt: skip

    @property
    def bucket_bits(self) -> int:
        """Log2 of the index's buckets."""
        return bucket_bits(self.entries, len(self.orders), self.key_bits)

    @property
    def sizes(self) -> dict[str, int]:
        """Both files with their exact sizes."""
        return {one.file: one.file_bytes for one in self.files}

    @property
    def facts(self) -> dict[str, int]:
        """What it costs: entries, bytes of a record, of both files, and of the index in RAM."""
        return {
            "entries": self.entries,
            "record_bytes": self.record_bytes,
            "file_bytes": sum(self.sizes.values()),
            "ram_bytes": self.files[1].data_bytes,
        }

    def header(self, file: str) -> bytes:
        """Return the 4,096 bytes before the data of one of the files."""
        document: dict[str, Any] = {}
        if file == RECORDS_FILE:
            tensors = {"records": ("U8", [self.entries, self.record_bytes], 1)}
        else:
            orders = ",".join(map(str, self.orders))
            document["__metadata__"] = {"key_bits": str(self.key_bits), "orders": orders}
            places = (1 << self.bucket_bits) + 1
            tensors = {"remainders": ("U64", [self.entries], 8), "offsets": ("U32", [places], 4)}
        begin = 0
        for name, (dtype, shape, width) in tensors.items():
            end = begin + width * math.prod(shape)
            document[name] = {"dtype": dtype, "shape": shape, "data_offsets": [begin, end]}
            begin = end
        text = json.dumps(document, separators=(",", ":")).encode()
        size = ALIGNMENT_BYTES - 8
        return struct.pack("<Q", size) + text.ljust(size, b" ")

    def written(self, digests: dict[str, tuple[str, ...]], table_xxh3_128: str) -> "Dictionary":
        """Return it with the digests of the files and of the table."""
        records, index = (replace(one, xxh3_128=digests[one.file]) for one in self.files)
        return replace(self, files=(records, index), table_xxh3_128=table_xxh3_128)

    def to_dict(self) -> dict[str, Any]:
        """Return the manifest's object."""
        return {
            "entries": self.entries,
            "orders": list(self.orders),
            "layers": list(self.layers),
            "heads_per_order": self.heads_per_order,
            "record_bytes": self.record_bytes,
            "key_bits": self.key_bits,
            "bucket_bits": self.bucket_bits,
            "counts_xxh3_128": self.counts_xxh3_128,
            "table_xxh3_128": self.table_xxh3_128,
            "files": [one.to_dict() for one in self.files],
        }


def _planned_file(name: str, data_bytes: int, extent_bytes: int) -> DictionaryFile:
    blank = (_BLANK,) * num_extents(data_bytes, extent_bytes)
    return DictionaryFile(name, ALIGNMENT_BYTES, data_bytes, extent_bytes, blank)


def check_dictionary(
    check: JsonChecker, value: object, layers: Sequence[int], row_record_bytes: int
) -> Dictionary:
    """Read a manifest's `dictionary` object.

    Args:
        check: of the manifest.
        value: the object.
        layers: of the table.
        row_record_bytes: of the table.

    Raises:
        FormatError: the first thing that is wrong, with place, expected and found.
    """
    entry = check.keys(
        value,
        "dictionary",
        "entries orders layers heads_per_order record_bytes key_bits bucket_bits counts_xxh3_128 "
        "table_xxh3_128 files",
    )
    orders = [
        check.integer(one, "dictionary.orders", 1, _MAX_ORDER)
        for one in check.array(entry["orders"], "dictionary.orders")
    ]
    if not orders or orders != sorted(set(orders)):
        raise check.fail("dictionary.orders", "ascending integers", orders)
    counts = entry["counts_xxh3_128"]
    if counts is not None:
        check.digest(counts, "dictionary.counts_xxh3_128")
    heads = check.integer(entry["heads_per_order"], "dictionary.heads_per_order", 1, 1 << 20)
    check.integer(entry["record_bytes"], "dictionary.record_bytes", 1, _MAX_RECORD_BYTES)
    files = check.array(entry["files"], "dictionary.files")
    names = (RECORDS_FILE, INDEX_FILE)
    if len(files) != len(names):
        raise check.fail("dictionary.files", list(names), files)
    try:
        planned = Dictionary.planned(
            check.integer(entry["entries"], "dictionary.entries", 1, MAX_ENTRIES),
            orders=orders,
            layers=layers,
            heads_per_order=heads,
            row_record_bytes=row_record_bytes,
            key_bits=check.integer(entry["key_bits"], "dictionary.key_bits", 1, _MAX_BITS),
            counts_xxh3_128=counts,
        )
    except ConfigError as error:
        raise check.fail("dictionary.key_bits", error.message, entry["key_bits"]) from error
    for name in ("layers", "record_bytes", "bucket_bits"):
        check.exactly(entry[name], f"dictionary.{name}", planned.to_dict()[name])
    records, index = (
        _check_file(check, one, f"dictionary.files[{i}]", planned.files[i])
        for i, one in enumerate(files)
    )
    table = check.digest(entry["table_xxh3_128"], "dictionary.table_xxh3_128")
    return replace(planned, files=(records, index), table_xxh3_128=table)


def _check_file(
    check: JsonChecker, value: object, place: str, planned: DictionaryFile
) -> DictionaryFile:
    entry = check.keys(value, place, "file data_offset data_bytes extent_bytes xxh3_128")
    for name in ("file", "data_offset", "data_bytes"):
        check.exactly(entry[name], f"{place}.{name}", getattr(planned, name))
    extent = check.integer(entry["extent_bytes"], f"{place}.extent_bytes", ALIGNMENT_BYTES)
    count = num_extents(planned.data_bytes, extent)
    digests = check.digests(entry["xxh3_128"], f"{place}.xxh3_128", count)
    return replace(planned, extent_bytes=extent, xxh3_128=digests)
