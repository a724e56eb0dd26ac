"""Rows that begin as values: encoded on the way into row files, and what that lost."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engramctl.storage.format.geometry import Layout
from engramctl.storage.reading.source import RecordReader, Source
from engramctl.storage.record.codecs import table_scale_for
from engramctl.storage.record.fast_codecs import decode, encode
from engramctl.storage.record.losses import Losses, Ranges
from engramctl.storage.record.record import RecordSpec
from engramctl.storage.writing.lay_out import ReadRecords, Rows, lay_out

PIECE_VALUES = 1 << 16  # so that what is made of them stays in the core's cache
Values = Callable[[int, int, NDArray[np.float32]], None]
"""Called with layer, first row and float32 (n, row_dim) to fill."""


def piece_rows(row_dim: int) -> int:
    """Return how many rows are worked on at a time."""
    return max(1, PIECE_VALUES // row_dim)


class ValueRows:
    """Writes rows given as values into buffers; safe from several threads."""

    def __init__(
        self,
        values: Values,
        record: RecordSpec,
        table_scales: Mapping[int, float | None],
        heads: Mapping[int, Ranges],
    ) -> None:
        """Prepare; nothing is read.

        Args:
            values: gives the values of consecutive rows.
            record: how they shall be stored.
            table_scales: the layers' table scales, for dtypes that have one.
            heads: each layer's heads, ranges that cover it.
        """
        self._values = values
        self._record = record
        self._scales = table_scales
        self._heads = heads

    def fill(
        self,
        layout: Layout,
        layer: int,
        part: str,
        row_start: int,
        num_rows: int,
        out: NDArray[np.uint8],
    ) -> list[list[Any]] | None:
        """Write one part of consecutive rows, as `lay_out`.

        Returns:
            what encoding lost, as `Losses.remark`; None for scales, whose rows' values are told of
            with the weights.
        """
        losses = Losses() if part != "scale" else None

        def read(layer: int, row: int, records: NDArray[np.uint8]) -> None:
            step = piece_rows(self._record.row_dim)
            for start in range(0, len(records), step):
                self._encode(layer, row + start, records[start : start + step], losses)

        lay_out(read, layout, layer, part, row_start, num_rows, out)
        return None if losses is None else losses.remark()

    def _encode(self, layer: int, row: int, out: NDArray[np.uint8], losses: Losses | None) -> None:
        values = np.empty((len(out), self._record.row_dim), np.float32)
        self._values(layer, row, values)
        scale = self._scales.get(layer)
        encode(self._record, values, scale, out, layer=layer, row=row)
        if losses is not None:
            losses.add(layer, row, self._heads[layer], values, decode(self._record, out, scale))


def decoded(
    read: ReadRecords, source: RecordSpec, table_scale: Callable[[int], float | None]
) -> Values:
    """Return the values of stored rows.

    Args:
        read: as `RecordReader.read`.
        source: how the rows are stored.
        table_scale: the layers' table scales.
    """

    def values(layer: int, row: int, out: NDArray[np.float32]) -> None:
        records = np.empty((len(out), source.record_bytes), np.uint8)
        read(layer, row, records)
        out[:] = decode(source, records, table_scale(layer))

    return values


def rows_as(
    reader: RecordReader,
    record: RecordSpec,
    table_scales: Mapping[int, float | None],
    heads: Callable[[], Mapping[int, Ranges]],
) -> Rows:
    """Return what writes a source's rows as records of a dtype: bit for bit where it is their own.

    Args:
        reader: of the source.
        record: how the rows shall be stored.
        table_scales: see `scales_as`.
        heads: gives each layer's heads, ranges that cover it; asked only when rows are converted.
    """
    source = reader.source
    if record == source.record:
        return partial(lay_out, reader.read)
    values = decoded(reader.read, source.record, source.table_scale)
    return ValueRows(values, record, table_scales, heads()).fill


def scales_as(
    source: Source, record: RecordSpec, progress: Callable[[int], None] = lambda amount: None
) -> dict[int, float | None]:
    """Return the layers' table scales when a source's rows are stored as records of a dtype.

    Args:
        source: whose rows.
        record: how they shall be stored.
        progress: told of rows that are read to find a scale, where the dtype has one.
    """
    if record == source.record:
        return {layer: source.table_scale(layer) for layer in source.layers}
    with RecordReader(source) as reader:
        values = decoded(reader.read, source.record, source.table_scale)
        return {
            layer: fitting_scale(values, record, layer, source.num_rows(layer), progress)
            for layer in source.layers
        }


def fitting_scale(
    values: Values,
    target: RecordSpec,
    layer: int,
    num_rows: int,
    progress: Callable[[int], None] = lambda amount: None,
) -> float | None:
    """Return the table scale with which a layer's largest value just fits a dtype.

    Reads the whole layer once, for dtypes that have such a scale; None for others.
    """
    if not target.facts.table_scale:
        return None
    largest, step = 0.0, piece_rows(target.row_dim)
    for start in range(0, num_rows, step):
        found = np.empty((min(step, num_rows - start), target.row_dim), np.float32)
        values(layer, start, found)
        sizes = np.abs(found)
        largest = max(largest, float(sizes.max(initial=0.0, where=np.isfinite(sizes))))
        progress(len(found))
    return table_scale_for(target, largest)
