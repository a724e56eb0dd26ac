"""What a table will be, before a byte is written: files, sizes, manifest."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from engramctl.errors import ConfigError
from engramctl.storage.files.atomic import dump_json
from engramctl.storage.files.published import MANIFEST
from engramctl.storage.files.strict_json import MAX_VALUES
from engramctl.storage.format.dealt_heads import dealt_heads
from engramctl.storage.format.dictionary_entry import Dictionary
from engramctl.storage.format.geometry import PAGE_BYTES, Layout
from engramctl.storage.format.manifest import (
    MAX_LAYER,
    MAX_ROWS,
    HeadRows,
    LayerTable,
    Manifest,
    Provenance,
    Shard,
)
from engramctl.storage.format.row_file import (
    ALIGNMENT_BYTES,
    EXTENT_BYTES,
    MAX_ALIGNMENT_BYTES,
    MAX_EXTENTS,
    file_name,
    fitting_extent,
    header_bytes,
    num_extents,
)
from engramctl.storage.writing.file_plan import FilePlan, Segments

SHARD_BYTES = 128 << 30
_ENTRY_VALUES = 12  # of a file in the manifest, beside its digests
_HEAD_VALUES = 5


@dataclass(frozen=True)
class TablePlan:
    """A table to be written: geometry and everything the manifest says but the checksums.

    Attributes:
        kind: `tables` or `shards`.
        tier: of shards.
        created_by: name and version of the program.
        scheme: opaque JSON object.
        provenance: where the rows come from.
        layout: how rows lie.
        num_rows: rows of each layer.
        shard_rows: rows of one file, but the last; of no meaning with `head_shards`.
        extent_bytes: data bytes under one checksum, about: a file's extents are whole units, and
            longer where there would be more than `MAX_EXTENTS`.
        alignment_bytes: data begins at a multiple of it; a power of two from 4,096 on.
        table_scales: the layers' `table_scale`, for dtypes that have one.
        head_rows: each layer's heads as ranges of rows that cover the layer once, in any order, for
            `head_shards`.
        head_shards: files a layer's heads are dealt to, see `dealt_heads`.
        dictionary: the n-gram dictionary to be, all but its digests; None: none.
        identity_extra: what else decides the bytes, e.g. the initialiser; for `--resume`.

    Raises:
        ConfigError: sizes no table can have.
    """

    kind: str
    tier: str | None
    created_by: str
    scheme: Mapping[str, Any]
    provenance: Provenance
    layout: Layout
    num_rows: Mapping[int, int]
    shard_rows: int
    extent_bytes: int = EXTENT_BYTES
    alignment_bytes: int = ALIGNMENT_BYTES
    table_scales: Mapping[int, float | None] = field(default_factory=dict)
    head_rows: Mapping[int, tuple[tuple[int, int], ...]] = field(default_factory=dict)
    head_shards: int | None = None
    dictionary: Dictionary | None = None
    identity_extra: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Refuse sizes no table can have."""
        alignment = self.alignment_bytes
        if alignment < ALIGNMENT_BYTES or alignment & (alignment - 1):
            raise ConfigError(
                f"data cannot be aligned to {alignment:,} bytes",
                facts={"expected": f"a power of two from {ALIGNMENT_BYTES:,} on"},
            )
        if alignment > MAX_ALIGNMENT_BYTES:
            raise ConfigError(f"an alignment above {MAX_ALIGNMENT_BYTES:,} bytes is not supported")
        if self.head_shards is not None and self.head_shards < 1:
            raise ConfigError("heads are dealt to one file at least")
        if not self.num_rows or self.shard_rows < 1 or self.extent_bytes < ALIGNMENT_BYTES:
            raise ConfigError("a table needs a layer, rows a shard and extents of 4,096 bytes")
        for layer, rows in self.num_rows.items():
            if not 0 <= layer <= MAX_LAYER or not 1 <= rows <= MAX_ROWS:
                raise ConfigError(
                    f"layer {layer} with {rows:,} rows cannot be stored",
                    facts={"layers": f"0 to {MAX_LAYER:,}", "rows": f"1 to {MAX_ROWS:,}"},
                )
            if self.head_shards is not None:
                self._check_heads(layer)
        values = sum(self.manifest_values(layer) for layer in self.num_rows)
        if values > MAX_VALUES // 2:
            raise ConfigError(
                f"a manifest of about {values:,} values would not be read",
                facts={"at most": f"{MAX_VALUES // 2:,}"},
                hint="make files larger: --shard-bytes",
            )

    def manifest_values(self, layer: int) -> int:
        """Return about how many values a layer has in the manifest; plans no file."""
        rows, shard_rows = self.num_rows[layer], self.shard_rows
        heads = len(self.head_rows[layer]) if self.head_shards is not None else 0
        files = min(self.head_shards or 1, heads) if heads else -(-rows // shard_rows)
        total = 0
        for part in self.layout.parts:
            size = self.layout.data_bytes(part, rows if heads else min(rows, shard_rows))
            extents = min(MAX_EXTENTS, num_extents(size, self.extent_bytes) + 1)
            total += files * (_ENTRY_VALUES + extents) + heads * _HEAD_VALUES
        return total

    def _check_heads(self, layer: int) -> None:
        """Refuse heads that no reader would accept: they have every row of a layer once."""
        row = 0
        for start, stop in sorted(self.head_rows[layer]):
            if start != row or stop <= start:
                raise ConfigError(
                    f"the heads of layer {layer} do not share out its rows",
                    facts={
                        "expected": f"a head that begins at row {row:,}",
                        "found": [start, stop],
                    },
                )
            row = stop
        if row != self.num_rows[layer]:
            raise ConfigError(
                f"the heads of layer {layer} do not share out its rows",
                facts={"expected": f"{self.num_rows[layer]:,} rows", "found": f"{row:,}"},
            )

    @cached_property
    def files(self) -> tuple[FilePlan, ...]:
        """All row files, in the order they are written and listed."""
        return tuple(
            self._file(layer, part, index, segments, heads)
            for layer in sorted(self.num_rows)
            for index, (segments, heads) in enumerate(self._cuts(layer))
            for part in self.layout.parts
        )

    def _cuts(self, layer: int) -> Iterator[tuple[Segments, tuple[int, ...] | None]]:
        """Give the segments of each of a layer's files, and their heads."""
        if self.head_shards is None:
            total = self.num_rows[layer]
            for start in range(0, total, self.shard_rows):
                yield ((start, min(start + self.shard_rows, total)),), None
            return
        ranges = self.head_rows[layer]
        for shard in range(min(self.head_shards, len(ranges))):
            heads = dealt_heads(len(ranges), shard, self.head_shards)
            yield tuple(ranges[head] for head in heads), heads

    def _file(
        self,
        layer: int,
        part: str,
        index: int,
        segments: Segments,
        heads: tuple[int, ...] | None,
    ) -> FilePlan:
        sizes = [stop - start for start, stop in segments]
        data_bytes = sum(self.layout.data_bytes(part, size) for size in sizes)
        unit = self.layout.unit(part)
        return FilePlan(
            name=file_name(layer, part, index),
            layer=layer,
            part=part,
            segments=segments,
            heads=heads,
            header=header_bytes(self.layout, part, sizes, self.alignment_bytes),
            data_bytes=data_bytes,
            extent_bytes=fitting_extent(data_bytes, unit.num_bytes, self.extent_bytes),
            unit=unit,
        )

    @property
    def row_file_bytes(self) -> int:
        """Bytes of all row files together."""
        return sum(file.file_bytes for file in self.files)

    @property
    def data_file_bytes(self) -> int:
        """Bytes of all files but the manifest."""
        extra = {} if self.dictionary is None else self.dictionary.sizes
        return self.row_file_bytes + sum(extra.values())

    @property
    def manifest_bytes(self) -> int:
        """Bytes `manifest.json` will have: checksums differ, their length does not."""
        blank = {file.name: ("0" * 32,) * file.num_extents for file in self.files}
        return len(dump_json(self.manifest(blank).to_dict()))

    @property
    def sizes(self) -> dict[str, int]:
        """Every file of the finished folder with its exact size, `manifest.json` last."""
        sizes = {f.name: f.file_bytes for f in self.files}
        if self.dictionary is not None:
            sizes |= self.dictionary.sizes
        return sizes | {MANIFEST: self.manifest_bytes}

    @cached_property
    def identity(self) -> dict[str, Any]:
        """What decides the bytes of the row files, as JSON: equal plans resume each other."""
        document = self.manifest({}).to_dict()
        del document["provenance"]["command"]
        if self.provenance.source:
            document["provenance"]["source"] = self.provenance.source["manifest_xxh3_128"]
        document["layers"] = {str(layer): rows for layer, rows in sorted(self.num_rows.items())}
        names = ("shard_rows", "extent_bytes", "alignment_bytes", "head_shards")
        sizes = {name: getattr(self, name) for name in names}
        return {**document, **sizes, **self.identity_extra}

    def manifest(self, digests: Mapping[str, tuple[str, ...]]) -> Manifest:
        """Return the manifest, given each row file's checksums (none: an empty list)."""
        layers = []
        for layer in sorted(self.num_rows):
            files = [file for file in self.files if file.layer == layer]
            shards = tuple(_shard(file, digests.get(file.name, ())) for file in files)
            scale = self.table_scales.get(layer)
            layers.append(LayerTable(layer, self.num_rows[layer], shards, scale))
        return Manifest(
            self.kind,
            self.tier,
            self.created_by,
            self.scheme,
            self.provenance,
            self.layout,
            tuple(layers),
            self.dictionary,
        )


def _shard(file: FilePlan, digests: tuple[str, ...]) -> Shard:
    heads, rows = None, file.segments[0]
    if file.heads is not None:
        heads = tuple(map(HeadRows, file.heads, file.segments))
        rows = (0, sum(stop - start for start, stop in file.segments))
    return Shard(
        file=file.name,
        rows=rows,
        data_offset=file.data_offset,
        data_bytes=file.data_bytes,
        extent_bytes=file.extent_bytes,
        xxh3_128=digests,
        heads=heads,
    )


def default_shard_rows(layout: Layout, shard_bytes: int = SHARD_BYTES) -> int:
    """Return rows of a shard of about `shard_bytes` of records.

    A multiple of 4,096 and of the records in a page, the same for every form of one record, so
    that shards of all forms hold the same rows and each begins on a page boundary.
    """
    step = PAGE_BYTES * max(1, PAGE_BYTES // layout.record_bytes)
    return max(1, shard_bytes // (layout.record_bytes * step)) * step
