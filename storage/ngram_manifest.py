"""The manifest's `dictionary` object: what it says of the n-gram files, checked in full."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import xxhash

from engramctl.errors import ConfigError, FormatError
from engramctl.storage.format import ALIGNMENT_BYTES, num_extents
from engramctl.storage.manifest import Manifest
from engramctl.storage.ngram_index import MAX_ENTRIES, bucket_bits, index_bytes

RECORDS_FILE = "dictionary.records.000.safetensors"
INDEX_FILE = "dictionary.index.safetensors"
_KEYS = [
    "entries",
    "orders",
    "record_bytes",
    "layers",
    "heads_per_order",
    "bucket_bits",
    "key_bits",
    "files",
    "table_xxh3_128",
    "counts_xxh3_128",
]
_FILE_KEYS = ["file", "data_offset", "data_bytes", "extent_bytes", "xxh3_128"]
_HEX = frozenset("0123456789abcdef")


@dataclass(frozen=True)
class NgramManifest:
    """A checked `dictionary` object; `document` is it as JSON."""

    entries: int
    orders: tuple[int, ...]
    record_bytes: int
    layers: tuple[int, ...]
    heads_per_order: int
    key_bits: int
    table_xxh3_128: str
    document: Mapping[str, Any]


def table_digest(manifest: Manifest) -> str:
    """Return the xxh3-128 of all shards' digests, as text, in the manifest's order."""
    digest = xxhash.xxh3_128()
    for table in manifest.layers:
        for shard in table.shards:
            digest.update("".join(shard.xxh3_128).encode())
    return digest.hexdigest()


def parse_dictionary(value: object, file: Path) -> NgramManifest:
    """Check a manifest's `dictionary` object.

    Raises:
        FormatError: the first thing that is wrong, with place, expected and found.
    """

    def check(right: bool, place: str, expected: object, found: object) -> None:
        if not right:
            raise FormatError(
                f"{file}: dictionary{place} is wrong",
                facts={"file": file, "expected": expected, "found": ascii(found)[:200]},
                hint="lay out again",
            )

    def is_int(one: object, low: int, high: int) -> bool:
        return type(one) is int and low <= one <= high

    def is_digest(one: object) -> bool:
        return isinstance(one, str) and len(one) == 32 and _HEX.issuperset(one)

    if not isinstance(value, dict) or sorted(value) != sorted(_KEYS):
        check(False, "", f"an object with {', '.join(_KEYS)}", value)
    assert isinstance(value, dict)
    check(is_int(value["entries"], 1, MAX_ENTRIES), ".entries", "1 to 2^32-1", value["entries"])
    for name, high in (("record_bytes", 1 << 30), ("heads_per_order", 1 << 20), ("key_bits", 128)):
        check(is_int(value[name], 1, high), f".{name}", f"1 to {high:,}", value[name])
    for name in ("orders", "layers"):
        listed = value[name]
        right = isinstance(listed, list) and listed and all(is_int(n, 0, 99_999) for n in listed)
        check(
            bool(right) and listed == sorted(set(listed)), f".{name}", "ascending integers", listed
        )
    for name in ("table_xxh3_128", "counts_xxh3_128"):
        null = name == "counts_xxh3_128" and value[name] is None
        check(null or is_digest(value[name]), f".{name}", "32 hex digits", value[name])
    entries, num_orders, key_bits = value["entries"], len(value["orders"]), value["key_bits"]
    try:
        bits = bucket_bits(entries, num_orders, key_bits)
    except ConfigError as error:
        raise FormatError(f"{file}: dictionary: {error.message}", facts={"file": file}) from error
    check(value["bucket_bits"] == bits, ".bucket_bits", bits, value["bucket_bits"])
    sizes = {
        RECORDS_FILE: entries * value["record_bytes"],
        INDEX_FILE: index_bytes(entries, num_orders, key_bits),
    }
    files = value["files"]
    check(isinstance(files, list) and len(files) == len(sizes), ".files", list(sizes), files)
    for number, (one, (name, size)) in enumerate(zip(files, sizes.items(), strict=True)):
        place = f".files[{number}]"
        right = isinstance(one, dict) and sorted(one) == sorted(_FILE_KEYS)
        check(right, place, ", ".join(_FILE_KEYS), one)
        for key, wanted in (("file", name), ("data_offset", ALIGNMENT_BYTES), ("data_bytes", size)):
            check(
                type(one[key]) is type(wanted) and one[key] == wanted,
                f"{place}.{key}",
                wanted,
                one[key],
            )
        extent, digests = one["extent_bytes"], one["xxh3_128"]
        check(
            is_int(extent, ALIGNMENT_BYTES, 1 << 40), f"{place}.extent_bytes", "from 4,096", extent
        )
        check(
            isinstance(digests, list)
            and len(digests) == num_extents(size, extent)
            and all(map(is_digest, digests)),
            f"{place}.xxh3_128",
            "a digest an extent",
            digests,
        )
    return NgramManifest(
        entries, tuple(value["orders"]), value["record_bytes"], tuple(value["layers"]),
        value["heads_per_order"], key_bits, value["table_xxh3_128"], value,
    )  # fmt: skip
