"""`manifest.json` of tables and shards (schema `engramctl.table/1`): what is in it."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any

import xxhash

from engramctl.storage.format.dictionary_entry import Dictionary
from engramctl.storage.format.geometry import Layout
from engramctl.storage.format.row_file import parse_file_name

SCHEMA = "engramctl.table/1"
KINDS = ("tables", "shards")
MAX_LAYER = 99_999
MAX_ROWS = 1 << 48


@dataclass(frozen=True)
class Provenance:
    """Where the rows come from.

    Attributes:
        command: the words that make them again, without output and run options.
        seed: of the row initialiser.
        source: for a re-laid table, `path` as it was given and `manifest_xxh3_128`; else None.
        counts_xxh3_128: digest of the counts' manifest, or None.
    """

    command: tuple[str, ...]
    seed: int | None = None
    source: Mapping[str, str] | None = None
    counts_xxh3_128: str | None = None


@dataclass(frozen=True)
class HeadRows:
    """The rows of one head that are in a shard.

    Attributes:
        head: its number in the layer.
        rows: first row and the row after the last, counted in the layer.
    """

    head: int
    rows: tuple[int, int]


@dataclass(frozen=True)
class Shard:
    """One row file of one part: consecutive rows of all heads, or all rows of some heads.

    Attributes:
        file: its name.
        rows: first row and the row after the last; with `heads` counted in the file.
        data_offset: where the data begins in the file, in bytes.
        data_bytes: how long it is.
        extent_bytes: data bytes under one checksum; the last extent may be shorter.
        xxh3_128: one hex digest an extent.
        heads: the heads it holds, one after the other, each from the start of a unit on; None: the
            rows of all heads as they come.
    """

    file: str
    rows: tuple[int, int]
    data_offset: int
    data_bytes: int
    extent_bytes: int
    xxh3_128: tuple[str, ...]
    heads: tuple[HeadRows, ...] | None = None

    @cached_property
    def part(self) -> str:
        """What it holds: `weight`, `scale` or `records`."""
        return parse_file_name(self.file)[1]

    @property
    def segments(self) -> tuple[tuple[int, int], ...]:
        """The ranges of the layer's rows it holds, in the order of the file."""
        return (self.rows,) if self.heads is None else tuple(one.rows for one in self.heads)

    def to_dict(self) -> dict[str, Any]:
        """Return the manifest's entry."""
        heads = None
        if self.heads is not None:
            heads = [{"head": one.head, "rows": list(one.rows)} for one in self.heads]
        return {
            "file": self.file,
            "rows": list(self.rows),
            "heads": heads,
            "data_offset": self.data_offset,
            "data_bytes": self.data_bytes,
            "extent_bytes": self.extent_bytes,
            "xxh3_128": list(self.xxh3_128),
        }


@dataclass(frozen=True)
class LayerTable:
    """One layer's table and its files.

    Attributes:
        layer: its number.
        num_rows: how many rows it has.
        shards: its files, in order of rows or heads.
        table_scale: the float32 that scales every value, for dtypes that have one.
    """

    layer: int
    num_rows: int
    shards: tuple[Shard, ...]
    table_scale: float | None = None


@dataclass(frozen=True)
class Manifest:
    """The whole of `manifest.json`; `scheme` is an opaque JSON object here."""

    kind: str
    tier: str | None
    created_by: str
    scheme: Mapping[str, Any]
    provenance: Provenance
    layout: Layout
    layers: tuple[LayerTable, ...]
    dictionary: Dictionary | None = None

    @property
    def table_xxh3_128(self) -> str:
        """The xxh3-128 of all row files' digests as text, in this order; binds a dictionary."""
        digest = xxhash.xxh3_128()
        for table in self.layers:
            for shard in table.shards:
                digest.update("".join(shard.xxh3_128).encode())
        return digest.hexdigest()

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON document, keys in their fixed order."""
        provenance = asdict(self.provenance)
        return {
            "schema": SCHEMA,
            "kind": self.kind,
            "tier": self.tier,
            "created_by": self.created_by,
            "scheme": dict(self.scheme),
            "provenance": {**provenance, "command": list(self.provenance.command)},
            "layout": asdict(self.layout),
            "layers": [
                {
                    "layer": table.layer,
                    "num_rows": table.num_rows,
                    "table_scale": table.table_scale,
                    "shards": [shard.to_dict() for shard in table.shards],
                }
                for table in self.layers
            ],
            "dictionary": None if self.dictionary is None else self.dictionary.to_dict(),
        }
