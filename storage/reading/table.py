"""Opening a finished table: everything is checked but the rows themselves.

`open_table` compares manifest, folder, file sizes and headers; checksums are `verify`'s work.
`read_rows` is the plain reader that fast ones are checked against: one `pread` a record.
"""

import os
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from engramctl.storage.files.atomic import os_errors
from engramctl.storage.files.file_check import check_file
from engramctl.storage.files.published import MANIFEST, read_manifest
from engramctl.storage.format.geometry import Layout
from engramctl.storage.format.manifest import SCHEMA, LayerTable, Manifest
from engramctl.storage.format.manifest_check import parse_manifest
from engramctl.storage.format.row_file import header_bytes
from engramctl.storage.kinds.recognise import recognise
from engramctl.storage.reading.region import Region, cut_short
from engramctl.storage.reading.source import no_such_layer
from engramctl.storage.record.codecs import decode
from engramctl.storage.record.record import RecordSpec

_LONGEST_COMMAND = 2000  # characters of a command that is offered again


class TableFiles:
    """A table whose files are all there and have the right size and header."""

    def __init__(self, path: Path, manifest: Manifest) -> None:
        """Use `open_table`, which checks."""
        self.path = path
        self.manifest = manifest
        self._regions = {
            table.layer: tuple(_regions(path, table, manifest.layout)) for table in manifest.layers
        }
        self._num_rows = {table.layer: table.num_rows for table in manifest.layers}

    @property
    def layers(self) -> tuple[int, ...]:
        """The layers that have a table, ascending."""
        return tuple(self._num_rows)

    @property
    def scheme(self) -> dict[str, Any]:
        """The document of the scheme these rows are for, as `scheme.json` has it; opaque here."""
        return dict(self.manifest.scheme)

    @property
    def layout(self) -> Layout:
        """How rows lie: form, page_bytes, rows_per_page and addresses."""
        return self.manifest.layout

    @property
    def record(self) -> RecordSpec:
        """The geometry of one record."""
        return self.manifest.layout.record

    @property
    def data_bytes(self) -> int:
        """Bytes of row data in all files, headers left out."""
        return sum(shard.data_bytes for table in self.manifest.layers for shard in table.shards)

    def num_rows(self, layer: int) -> int:
        """Return the rows of a layer.

        Raises:
            ValueError: the layer has no table.
        """
        self._check_layer(layer)
        return self._num_rows[layer]

    def table_scale(self, layer: int) -> float | None:
        """Return the float32 that scales a whole layer, for dtypes that have one."""
        self._check_layer(layer)
        return next(one.table_scale for one in self.manifest.layers if one.layer == layer)

    def regions(self, layer: int) -> tuple[Region, ...]:
        """Return where a layer's rows are, by column of the record, then row.

        Raises:
            ValueError: the layer has no table.
        """
        self._check_layer(layer)
        return self._regions[layer]

    def read_rows(
        self, layer: int, row_ids: ArrayLike
    ) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
        """Read rows one at a time: slow, plain, for checks.

        Args:
            layer: whose table.
            row_ids: integers (n,), each in [0, num_rows).

        Returns:
            (weights, scales): uint8 (n, weight_bytes) and uint8 (n, scale_bytes).

        Raises:
            ValueError: an id out of range (the first, with its position), before any read.
            StorageError: a read failed or ended early, with file and offset.
        """
        ids = np.asarray(row_ids)
        if ids.size and (ids.ndim != 1 or not np.issubdtype(ids.dtype, np.integer)):
            raise ValueError("row_ids must be integers of one dimension")
        bad = np.flatnonzero((ids < 0) | (ids >= self.num_rows(layer)))
        if bad.size:
            at = int(bad[0])
            raise ValueError(
                f"row id {ids[at]} at position {at} is outside [0, {self.num_rows(layer):,})"
            )
        record = self.record
        out = np.empty((len(ids), record.record_bytes), np.uint8)
        for region in self._regions[layer]:
            wanted = np.flatnonzero((ids >= region.row_start) & (ids < region.row_stop))
            if not wanted.size:
                continue
            columns = slice(region.column, region.column + region.width)
            with os_errors("read", region.path), region.path.open("rb", buffering=0) as file:
                for i in wanted:
                    offset = region.position(int(ids[i]))
                    data = pread_exactly(file.fileno(), region.width, offset, region.path)
                    out[i, columns] = np.frombuffer(data, np.uint8)
        return out[:, : record.weight_bytes].copy(), out[:, record.weight_bytes :].copy()

    def read_values(self, layer: int, row_ids: ArrayLike) -> NDArray[np.float32]:
        """Read rows one at a time as values: as `read_rows`, float32 (n, row_dim)."""
        records = np.concatenate(self.read_rows(layer, row_ids), axis=1)
        return decode(self.record, records, self.table_scale(layer))

    def _check_layer(self, layer: int) -> None:
        if layer not in self._num_rows:
            raise no_such_layer(layer, self._num_rows)


def pread_exactly(descriptor: int, num_bytes: int, offset: int, path: Path) -> bytes:
    """Read a byte range whole.

    Raises:
        StorageError: the file ends before it.
    """
    data = os.pread(descriptor, num_bytes, offset)
    while len(data) < num_bytes:
        more = os.pread(descriptor, num_bytes - len(data), offset + len(data))
        if not more:
            raise cut_short(path, offset, num_bytes, len(data))
        data += more
    return data


def _regions(folder: Path, table: LayerTable, layout: Layout) -> Iterator[Region]:
    """Give where a layer's rows are, by column of the record, then row."""
    record = layout.record
    columns = {
        "records": (0, record.record_bytes),
        "weight": (0, record.weight_bytes),
        "scale": (record.weight_bytes, record.scale_bytes),
    }
    for part in layout.parts:
        column, width = columns[part]
        unit = layout.unit(part)
        found = []
        for shard in (shard for shard in table.shards if shard.part == part):
            offset = shard.data_offset
            for start, stop in shard.segments:
                path = folder / shard.file
                at = (path, column, width, start, stop, offset, unit.num_rows, unit.num_bytes)
                found.append(Region(*at))
                offset += layout.data_bytes(part, stop - start)
        yield from sorted(found, key=lambda region: region.row_start)


def open_table(path: Path | str) -> TableFiles:
    """Open a finished table or shards folder and check all but the rows' bytes.

    Raises:
        FormatError: unfinished, not one of ours, an edited manifest, a missing, cut or replaced
            file; names file, expected and found.
        StorageError: it cannot be read.
    """
    path = Path(path)
    document = read_manifest(path)
    kind = None if document.get("schema") == SCHEMA else recognise(path)
    if kind is not None and kind.name != "tables":
        raise kind.refused(path, "tables or shards")
    manifest = parse_manifest(document, path / MANIFEST)
    again = rebuild_hint(path, manifest)
    for table in manifest.layers:
        for shard in table.shards:
            sizes = [stop - start for start, stop in shard.segments]
            header = header_bytes(manifest.layout, shard.part, sizes, shard.data_offset)
            check_file(path, shard.file, len(header) + shard.data_bytes, header, again)
    return TableFiles(path, manifest)


def rebuild_hint(path: Path, manifest: Manifest) -> str:
    """Return the words that make the folder again, for hints."""
    return offered_again(
        path, manifest.provenance.command, "layout" if manifest.kind == "shards" else "build"
    )


def offered_again(path: Path, words: tuple[str, ...], verb: str) -> str:
    """Return a folder's own command as a hint when it is one that makes such folders.

    Whoever wrote the folder may have put any other there, to be pasted by the reader: then only
    the verb is offered.
    """
    ours = words[:1] == ("engramctl",) and words[1:2] in (("build",), ("layout",))
    command = shlex.join(words)
    if not (ours and command.isprintable() and len(command) <= _LONGEST_COMMAND):
        command = f"engramctl {verb} ..."
    return f"run: {command} -o {shlex.quote(str(path))} --force"
