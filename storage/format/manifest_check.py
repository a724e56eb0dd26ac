"""Reading `manifest.json`: every key, type and number is checked before a row file is opened.

The refusal of anything that is not as docs/format.md says, with place, expected and found.
"""

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from engramctl.errors import ConfigError, FormatError
from engramctl.storage.files.json_check import JsonChecker
from engramctl.storage.format.dictionary_entry import check_dictionary
from engramctl.storage.format.geometry import FORMS, MAX_PAGE_BYTES, TIERS, Layout
from engramctl.storage.format.manifest import (
    KINDS,
    MAX_LAYER,
    MAX_ROWS,
    SCHEMA,
    HeadRows,
    LayerTable,
    Manifest,
    Provenance,
    Shard,
)
from engramctl.storage.format.row_file import (
    ALIGNMENT_BYTES,
    MAX_ALIGNMENT_BYTES,
    file_name,
    header_bytes,
    num_extents,
    parse_file_name,
)
from engramctl.storage.record.dtypes import DTYPES
from engramctl.storage.record.record import RecordSpec

MAX_SCALE = 2.0**128  # float32 ends before


def parse_manifest(document: Mapping[str, Any], file: Path) -> Manifest:
    """Check a document in full and return it as objects.

    Args:
        document: the JSON object.
        file: where it was read, for messages.

    Raises:
        FormatError: the first thing that is not as docs/format.md says.
    """
    return _Checker(file).manifest(document)


class _Checker(JsonChecker):
    """Reads one manifest."""

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
        layout = self.layout(top["layout"])
        layers = self.array(top["layers"], "layers")
        if not layers:
            raise self.fail("layers", "at least one layer", layers)
        tables = tuple(self.layer(layout, one, f"layers[{i}]") for i, one in enumerate(layers))
        numbers = [table.layer for table in tables]
        if numbers != sorted(set(numbers)):
            raise self.fail("layers", "ascending, each once", numbers)
        dictionary = None
        if top["dictionary"] is not None:
            width = layout.record_bytes
            dictionary = check_dictionary(self, top["dictionary"], numbers, width)
        return Manifest(
            kind=kind,
            tier=tier,
            created_by=self.text(top["created_by"], "created_by"),
            scheme=top["scheme"],
            provenance=self.provenance(top["provenance"]),
            layout=layout,
            layers=tables,
            dictionary=dictionary,
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
        page = None
        if form == "paged":
            page = self.integer(entry["page_bytes"], "layout.page_bytes", 1, MAX_PAGE_BYTES)
        try:
            expected = Layout.of(form, RecordSpec(dtype, row_dim), page)
        except ConfigError as error:
            place = "layout.page_bytes" if "page" in error.message else "layout.row_dim"
            raise self.fail(place, error.facts.get("expected"), page or row_dim) from error
        for name, wanted in asdict(expected).items():
            self.exactly(entry[name], f"layout.{name}", wanted)
        return expected

    def layer(self, layout: Layout, value: object, place: str) -> LayerTable:
        entry = self.keys(value, place, "layer num_rows table_scale shards")
        layer = self.integer(entry["layer"], f"{place}.layer", 0, MAX_LAYER)
        num_rows = self.integer(entry["num_rows"], f"{place}.num_rows", 1, MAX_ROWS)
        scale = self.table_scale(layout, entry["table_scale"], f"{place}.table_scale")
        shards = []
        segments: dict[str, list[tuple[int, int]]] = {part: [] for part in layout.parts}
        counts = dict.fromkeys(layout.parts, 0)
        for i, item in enumerate(self.array(entry["shards"], f"{place}.shards")):
            where = f"{place}.shards[{i}]"
            shard = self.shard(layout, item, where)
            name = file_name(layer, shard.part, counts[shard.part])
            if shard.file != name:
                raise self.fail(f"{where}.file", name, shard.file)
            last = segments[shard.part][-1:]
            if shard.heads is None and last and shard.rows[0] < last[0][1]:
                raise self.fail(f"{where}.rows", f"to begin at row {last[0][1]:,}", shard.rows)
            counts[shard.part] += 1
            segments[shard.part] += shard.segments
            shards.append(shard)
        for part, ranges in segments.items():
            row = 0
            for start, stop in sorted(ranges):
                if start != row:
                    wanted = f"rows of {part} from {row:,} on, each once"
                    raise self.fail(f"{place}.shards", wanted, f"rows from {start:,} on")
                row = stop
            if row != num_rows:
                raise self.fail(f"{place}.shards", f"{num_rows:,} rows of {part}", f"{row:,} rows")
        return LayerTable(layer, num_rows, tuple(shards), scale)

    def table_scale(self, layout: Layout, value: object, place: str) -> float | None:
        if not layout.record.facts.table_scale:
            if value is not None:
                raise self.fail(place, f"null for dtype {layout.dtype}", value)
            return None
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise self.fail(place, "a number", value)
        if not 0 < value < MAX_SCALE:
            raise self.fail(place, "a finite number above 0", value)
        return float(value)

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
        rows = self.rows(entry["rows"], f"{place}.rows")
        heads = self.heads(entry["heads"], rows, place)
        sizes = [rows[1] - rows[0]]
        if heads is not None:
            sizes = [one.rows[1] - one.rows[0] for one in heads]
        extent = self.integer(entry["extent_bytes"], f"{place}.extent_bytes", ALIGNMENT_BYTES)
        offset = entry["data_offset"]
        self.integer(offset, f"{place}.data_offset", ALIGNMENT_BYTES, MAX_ALIGNMENT_BYTES)
        shortest = len(header_bytes(layout, part, sizes))
        if offset % ALIGNMENT_BYTES or offset < shortest:
            wanted = f"a multiple of {ALIGNMENT_BYTES:,} from {shortest:,} on"
            raise self.fail(f"{place}.data_offset", wanted, offset)
        length = sum(layout.data_bytes(part, size) for size in sizes)
        self.exactly(entry["data_bytes"], f"{place}.data_bytes", length)
        count = num_extents(length, extent)
        digests = self.digests(entry["xxh3_128"], f"{place}.xxh3_128", count)
        return Shard(file, rows, offset, length, extent, digests, heads)

    def rows(self, value: object, place: str) -> tuple[int, int]:
        pair = self.array(value, place)
        if len(pair) != 2:
            raise self.fail(place, "first row and row after the last", pair)
        start = self.integer(pair[0], place, 0, MAX_ROWS - 1)
        return start, self.integer(pair[1], place, start + 1, MAX_ROWS)

    def heads(
        self, value: object, rows: tuple[int, int], place: str
    ) -> tuple[HeadRows, ...] | None:
        if value is None:
            return None
        heads = []
        for i, item in enumerate(self.array(value, f"{place}.heads")):
            where = f"{place}.heads[{i}]"
            entry = self.keys(item, where, "head rows")
            head = self.integer(entry["head"], f"{where}.head", 0, MAX_ROWS)
            heads.append(HeadRows(head, self.rows(entry["rows"], f"{where}.rows")))
        total = sum(one.rows[1] - one.rows[0] for one in heads)
        if rows != (0, total):
            raise self.fail(f"{place}.rows", [0, total], rows)
        return tuple(heads)
