"""Rows wherever they are: a table of ours, or a model's checkpoint read in place.

A source says which regions of which files hold each layer's records; nothing is copied or
converted. `RecordReader` reads records from any source.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from engramctl.errors import FormatError
from engramctl.storage.format.manifest import MAX_LAYER
from engramctl.storage.reading.packing import Packing
from engramctl.storage.reading.region import Region, RegionFiles
from engramctl.storage.record.codecs import decode
from engramctl.storage.record.record import RecordSpec
from engramctl.storage.record.scale_check import first_bad_scale

_WIDENED_ROWS = 1 << 12  # at a time: they are widened piece by piece


class Source(Protocol):
    """What a reader of rows needs to know; `TableFiles` and `CheckpointTables` are sources."""

    @property
    def path(self) -> Path:
        """The folder or file."""

    @property
    def record(self) -> RecordSpec:
        """The geometry of one record."""

    @property
    def layers(self) -> tuple[int, ...]:
        """The layers that have a table, ascending."""

    def num_rows(self, layer: int) -> int:
        """Return the rows of a layer."""

    def table_scale(self, layer: int) -> float | None:
        """Return the float32 that scales a whole layer, for dtypes that have one."""

    def regions(self, layer: int) -> tuple[Region, ...]:
        """Return what holds a layer: every byte of every record once; by column, then row."""


@dataclass(frozen=True)
class PlacedTables:
    """Tables given as the regions of files that hold their rows.

    Attributes:
        path: the folder or file.
        record: how its rows are stored.
        tables: regions by layer.
        scales: the layers' `table_scale`, for dtypes that have one.
        packing: how rows lie that are stored in another way than `record`, which is then f32.

    Raises:
        FormatError: no table, a layer that cannot be, or a row of some column that is missing or
            there twice.
    """

    path: Path
    record: RecordSpec
    tables: Mapping[int, tuple[Region, ...]]
    scales: Mapping[int, float | None]
    packing: Packing | None = None

    def __post_init__(self) -> None:
        """Refuse regions that do not hold every byte of every record exactly once."""
        if not self.tables:
            raise FormatError(f"{self.path} has no layer with a table", facts={"path": self.path})
        for layer, regions in self.tables.items():
            if not 0 <= layer <= MAX_LAYER:
                raise FormatError(
                    f"{self.path} has a table of a layer that no model has",
                    facts={"expected": f"0 to {MAX_LAYER:,}", "found": layer},
                )
            check_regions(self.path, layer, regions, self.row_bytes)

    @property
    def row_bytes(self) -> int:
        """Bytes of a row where it lies."""
        return self.record.record_bytes if self.packing is None else self.packing.row_bytes

    @property
    def layers(self) -> tuple[int, ...]:
        """The layers that have a table, ascending."""
        return tuple(sorted(self.tables))

    def num_rows(self, layer: int) -> int:
        """Return the rows of a layer.

        Raises:
            ValueError: the layer has no table.
        """
        if layer not in self.tables:
            raise no_such_layer(layer, self.layers)
        return self.tables[layer][-1].row_stop

    def table_scale(self, layer: int) -> float | None:
        """Return the float32 that scales a whole layer, for dtypes that have one."""
        return self.scales.get(layer)

    def regions(self, layer: int) -> tuple[Region, ...]:
        """Return what holds a layer: every byte of every record once; by column, then row."""
        return self.tables[layer]


class CheckpointTables(PlacedTables):
    """The tables of a model's checkpoint, where they lie: without checksums, so scales are doubted.

    Raises:
        FormatError: as `PlacedTables`.
    """


def no_such_layer(layer: int, known: Iterable[int]) -> ValueError:
    """Return the error for a layer without a table."""
    names = ", ".join(str(one) for one in known)
    return ValueError(f"layer {layer} has no table; layers with one: {names}")


def data_bytes(source: Source) -> int:
    """Return the bytes of all rows where they lie, with what fills their pages."""
    return sum(region.num_bytes for layer in source.layers for region in source.regions(layer))


def read_values(source: Source, layer: int, row_ids: Iterable[int]) -> NDArray[np.float32]:
    """Read rows one at a time as values: slow, plain, for checks.

    Args:
        source: whose rows.
        layer: of which table.
        row_ids: each in [0, num_rows).

    Returns:
        float32 (n, row_dim).

    Raises:
        FormatError: see `RecordReader.read`, as StorageError.
        StorageError: a read failed or ended early.
    """
    ids = [int(row) for row in row_ids]
    records = np.empty((len(ids), source.record.record_bytes), np.uint8)
    with RecordReader(source) as reader:
        for place, row in enumerate(ids):
            reader.read(layer, row, records[place : place + 1])
    return decode(source.record, records, source.table_scale(layer))


def check_regions(path: Path, layer: int, regions: tuple[Region, ...], row_bytes: int) -> None:
    """Compare regions, sorted by column and row, with a table of whole records.

    Raises:
        FormatError: a gap or an overlap.
    """
    column = 0
    num_rows = regions[-1].row_stop if regions else 0
    for first, group in groupby(regions, key=lambda region: (region.column, region.width)):
        if first[0] != column:
            raise _gap(path, layer, "a region of byte", column, first[0])
        column += first[1]
        row = 0
        for region in group:
            if region.row_start != row or region.row_stop <= row:
                raise _gap(path, layer, "a region that begins with row", row, region.row_start)
            row = region.row_stop
        if row != num_rows:
            raise _gap(path, layer, "rows", num_rows, row)
    if column != row_bytes or not num_rows:
        raise _gap(path, layer, "bytes of a record", row_bytes, column)


def _gap(path: Path, layer: int, what: str, expected: int, found: int) -> FormatError:
    return FormatError(
        f"{path}: the table of layer {layer} has a gap or an overlap",
        facts={"expected": f"{what} {expected:,}", "found": f"{found:,}"},
    )


class RecordReader:
    """Reads ranges of records from a source; safe from several threads. A context manager.

    What it reads of a checkpoint has no checksum, so every scale is looked at.
    """

    def __init__(self, source: Source) -> None:
        """Open nothing yet.

        Args:
            source: what to read.
        """
        self.source = source
        self._files = RegionFiles()
        self._trusted = not isinstance(source, CheckpointTables)
        self._packing = source.packing if isinstance(source, CheckpointTables) else None

    def close(self) -> None:
        """Close the files."""
        self._files.close()

    def __enter__(self) -> "RecordReader":
        """Return itself; leaving closes the files."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the files."""
        self.close()

    def read(self, layer: int, row_start: int, out: NDArray[np.uint8]) -> None:
        """Read consecutive records, weights then scales.

        Args:
            layer: whose table.
            row_start: the first row.
            out: uint8 (n, record_bytes), all of it written.

        Raises:
            FormatError: a scale of a checkpoint is NaN or infinite, with file and offset.
            StorageError: a read failed or ended early.
        """
        if self._packing is None:
            self._read_bytes(layer, row_start, out)
        else:
            self._widen(layer, row_start, out, self._packing)
        if not self._trusted:
            bad = first_bad_scale(self.source.record, out)
            if bad >= 0:
                raise bad_scale(self.source, layer, row_start + bad)

    def _read_bytes(self, layer: int, row_start: int, out: NDArray[np.uint8]) -> None:
        row_stop = row_start + len(out)
        for region in self.source.regions(layer):
            first = max(row_start, region.row_start)
            last = min(row_stop, region.row_stop)
            if first < last:
                columns = slice(region.column, region.column + region.width)
                self._files.read(region, first, out[first - row_start : last - row_start, columns])

    def _widen(self, layer: int, row_start: int, out: NDArray[np.uint8], packing: Packing) -> None:
        for at in range(0, len(out), _WIDENED_ROWS):
            part = out[at : at + _WIDENED_ROWS]
            packed = np.empty((len(part), packing.row_bytes), np.uint8)
            self._read_bytes(layer, row_start + at, packed)
            values = packing.values(packed)
            bad = np.flatnonzero(~np.isfinite(values).all(axis=1))
            if bad.size:
                raise bad_scale(self.source, layer, row_start + at + int(bad[0]))
            part[:] = np.ascontiguousarray(values).view(np.uint8)


def bad_scale(source: Source, layer: int, row: int) -> FormatError:
    """Return the error for a row whose scale is NaN or infinite, with file and offset."""
    holds = [one for one in source.regions(layer) if one.row_start <= row < one.row_stop]
    region = holds[-1]  # scales come last, if not among the values
    return FormatError(
        f"a scale of {region.path.name} is NaN or infinite",
        facts={
            "file": region.path,
            "offset": f"{region.position(row):,}",
            "layer": layer,
            "row": f"{row:,}",
        },
        hint="the checkpoint is damaged; fetch it again",
    )
