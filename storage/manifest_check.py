"""Reading `manifest.json`: every key, type and number is checked before a row file is opened.

The refusal of anything that is not as docs/format.md says, with place, expected and found.
"""

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from engramctl.errors import ConfigError, FormatError
from engramctl.storage.format import (
    ALIGNMENT_BYTES,
    file_name,
    header_bytes,
    num_extents,
    parse_file_name,
)
from engramctl.storage.geometry import FORMS, TIERS, Layout
from engramctl.storage.manifest import (
    KINDS,
    MAX_LAYER,
    MAX_ROWS,
    SCHEMA,
    LayerTable,
    Manifest,
    Provenance,
    Shard,
)
from engramctl.storage.record import DTYPES, RecordSpec

_INT_MAX = (1 << 63) - 1
_HEX = frozenset("0123456789abcdef")


def parse_manifest(document: Mapping[str, Any], file: Path) -> Manifest:
    """Check a document in full and return it as objects.

    Args:
        document: the JSON object.
        file: where it was read, for messages.

    Raises:
        FormatError: the first thing that is not as docs/format.md says.
    """
    return _Checker(file).manifest(document)


class _Checker:
    """Reads one document, key by key; every complaint names file, place, expected and found."""

    def __init__(self, file: Path) -> None:
        self.file = file

    def fail(self, place: str, expected: object, found: object) -> FormatError:
        return FormatError(
            f"{self.file}: {place} is wrong",
            facts={"file": self.file, "expected": expected, "found": ascii(found)[:200]},
            hint="the manifest was edited or is not from this version; build or lay out again",
        )

    def keys(self, value: object, place: str, names: str) -> Mapping[str, Any]:
        if not isinstance(value, dict):
            raise self.fail(place, "a JSON object", value)
        known = names.split()
        for name in value:
            if name not in known:
                raise self.fail(place, f"no other keys than {', '.join(known)}", name)
        for name in known:
            if name not in value:
                raise self.fail(place, f"the key {name}", "no such key")
        return value

    def integer(self, value: object, place: str, low: int = 0, high: int = _INT_MAX) -> int:
        if type(value) is not int or not low <= value <= high:
            raise self.fail(place, f"an integer from {low:,} to {high:,}", value)
        return value

    def text(self, value: object, place: str, known: tuple[str, ...] = ()) -> str:
        if not isinstance(value, str) or (known and value not in known):
            raise self.fail(place, " or ".join(known) or "a string", value)
        return value

    def array(self, value: object, place: str) -> list[Any]:
        if not isinstance(value, list):
            raise self.fail(place, "a JSON array", value)
        return value

    def digest(self, value: object, place: str) -> str:
        if not isinstance(value, str) or len(value) != 32 or not _HEX.issuperset(value):
            raise self.fail(place, "32 lower-case hex digits", value)
        return value

    def manifest(self, document: Mapping[str, Any]) -> Manifest:
        if document.get("schema") != SCHEMA:
            raise self.fail("schema", SCHEMA, document.get("schema"))
        top = self.keys(
            document,
            "the document",
            "schema kind tier created_by scheme provenance layout layers dictionary",
        )
        kind = self.text(top["kind"], "kind", KINDS)
        tier = None if kind == "tables" else self.text(top["tier"], "tier", TIERS)
        if top["tier"] != tier:
            raise self.fail("tier", "null for tables", top["tier"])
        if not isinstance(top["scheme"], dict):
            raise self.fail("scheme", "a JSON object", top["scheme"])
        if top["dictionary"] is not None:
            raise self.fail("dictionary", None, top["dictionary"])
        layout = self.layout(top["layout"])
        layers = self.array(top["layers"], "layers")
        if not layers:
            raise self.fail("layers", "at least one layer", layers)
        tables = tuple(self.layer(layout, one, f"layers[{i}]") for i, one in enumerate(layers))
        numbers = [table.layer for table in tables]
        if numbers != sorted(set(numbers)):
            raise self.fail("layers", "ascending, each once", numbers)
        return Manifest(
            kind=kind,
            tier=tier,
            created_by=self.text(top["created_by"], "created_by"),
            scheme=top["scheme"],
            provenance=self.provenance(top["provenance"]),
            layout=layout,
            layers=tables,
        )

    def provenance(self, value: object) -> Provenance:
        entry = self.keys(value, "provenance", "command seed source counts_xxh3_128")
        words = self.array(entry["command"], "provenance.command")
        command = tuple(self.text(word, "provenance.command") for word in words)
        seed, source, counts = entry["seed"], entry["source"], entry["counts_xxh3_128"]
        if seed is not None:
            self.integer(seed, "provenance.seed")
        if source is not None:
            self.keys(source, "provenance.source", "path manifest_xxh3_128")
            self.text(source["path"], "provenance.source.path")
            self.digest(source["manifest_xxh3_128"], "provenance.source.manifest_xxh3_128")
        if counts is not None:
            self.digest(counts, "provenance.counts_xxh3_128")
        return Provenance(command, seed, source, counts)

    def layout(self, value: object) -> Layout:
        names = "form dtype row_dim record_bytes page_bytes rows_per_page"
        entry = self.keys(value, "layout", names)
        form = self.text(entry["form"], "layout.form", FORMS)
        dtype = self.text(entry["dtype"], "layout.dtype", DTYPES)
        row_dim = self.integer(entry["row_dim"], "layout.row_dim", 1)
        try:
            expected = Layout.of(form, RecordSpec(dtype, row_dim))
        except ConfigError as error:
            raise self.fail("layout.row_dim", error.facts.get("expected"), row_dim) from error
        for name, wanted in asdict(expected).items():
            if type(entry[name]) is not type(wanted) or entry[name] != wanted:
                raise self.fail(f"layout.{name}", wanted, entry[name])
        return expected

    def layer(self, layout: Layout, value: object, place: str) -> LayerTable:
        entry = self.keys(value, place, "layer num_rows shards")
        layer = self.integer(entry["layer"], f"{place}.layer", 0, MAX_LAYER)
        num_rows = self.integer(entry["num_rows"], f"{place}.num_rows", 1, MAX_ROWS)
        shards = []
        stops = dict.fromkeys(layout.parts, 0)
        counts = dict.fromkeys(layout.parts, 0)
        for i, item in enumerate(self.array(entry["shards"], f"{place}.shards")):
            where = f"{place}.shards[{i}]"
            shard = self.shard(layout, item, where)
            part = shard.part
            if part not in stops:
                raise self.fail(f"{where}.file", " or ".join(layout.parts), shard.file)
            name = file_name(layer, part, counts[part])
            if shard.file != name:
                raise self.fail(f"{where}.file", name, shard.file)
            if shard.rows[0] != stops[part]:
                raise self.fail(f"{where}.rows", f"to begin at row {stops[part]:,}", shard.rows)
            stops[part] = shard.rows[1]
            counts[part] += 1
            shards.append(shard)
        for part, stop in stops.items():
            if stop != num_rows:
                raise self.fail(f"{place}.shards", f"{num_rows:,} rows of {part}", f"{stop:,} rows")
        return LayerTable(layer, num_rows, tuple(shards))

    def shard(self, layout: Layout, value: object, place: str) -> Shard:
        names = "file rows heads data_offset data_bytes extent_bytes xxh3_128"
        entry = self.keys(value, place, names)
        file = self.text(entry["file"], f"{place}.file")
        try:
            part = parse_file_name(file)[1]
        except FormatError as error:
            raise self.fail(
                f"{place}.file", "the name of a row file in this folder", file
            ) from error
        if part not in layout.parts:
            raise self.fail(f"{place}.file", " or ".join(layout.parts), file)
        rows = self.array(entry["rows"], f"{place}.rows")
        if len(rows) != 2:
            raise self.fail(f"{place}.rows", "first row and row after the last", rows)
        start = self.integer(rows[0], f"{place}.rows", 0, MAX_ROWS)
        stop = self.integer(rows[1], f"{place}.rows", start + 1, MAX_ROWS)
        if entry["heads"] is not None:
            raise self.fail(f"{place}.heads", None, entry["heads"])
        extent = self.integer(entry["extent_bytes"], f"{place}.extent_bytes", ALIGNMENT_BYTES)
        offset = len(header_bytes(layout, part, stop - start))
        length = layout.data_bytes(part, stop - start)
        for name, wanted in (("data_offset", offset), ("data_bytes", length)):
            if type(entry[name]) is not int or entry[name] != wanted:
                raise self.fail(f"{place}.{name}", wanted, entry[name])
        digests = self.array(entry["xxh3_128"], f"{place}.xxh3_128")
        wanted = num_extents(length, extent)
        if len(digests) != wanted:
            raise self.fail(f"{place}.xxh3_128", f"{wanted:,} digests", f"{len(digests):,}")
        checked = tuple(self.digest(one, f"{place}.xxh3_128") for one in digests)
        return Shard(file, (start, stop), offset, length, extent, checked)
