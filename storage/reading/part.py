"""Some rows of a source as a source of its own: what one of several machines holds of a table.

Rows are numbered anew, in the order of the ranges. Nothing is copied: it is the same files.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engramctl.storage.reading.region import Region, pieces
from engramctl.storage.reading.source import CheckpointTables, PlacedTables, Source

Ranges = Sequence[tuple[int, int]]


@dataclass(frozen=True)
class PartOfTable:
    """Ranges of rows of each layer of a table.

    Attributes:
        source: those rows alone. A page that a range cuts is in it with all its rows, so it may
            have a few more.
    """

    source: PlacedTables
    _numbers: Mapping[int, tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]]

    @classmethod
    def of(cls, whole: Source, ranges: Mapping[int, Ranges]) -> "PartOfTable":
        """Take rows out of a table.

        Args:
            whole: the table.
            ranges: by layer, rows [start, stop) that do not overlap, in any order.

        Raises:
            ValueError: a layer without a row: there is no such table.
        """
        tables, numbers = {}, {}
        for layer, some in ranges.items():
            if not some or any(start >= stop for start, stop in some):
                raise ValueError(f"a part without a row of layer {layer}")
            tables[layer], numbers[layer] = _cut(whole, layer, some)
        scales = {layer: whole.table_scale(layer) for layer in ranges}
        made = CheckpointTables if isinstance(whole, CheckpointTables) else PlacedTables
        return cls(made(whole.path, whole.record, tables, scales), numbers)

    def holds(self, layer: int, row_ids: NDArray[np.integer[Any]]) -> NDArray[np.bool_]:
        """Tell of each row id of the whole table whether the part has it; any shape, bool."""
        starts, stops, _ = self._numbers[layer]
        at = np.searchsorted(starts, row_ids, "right") - 1
        held: NDArray[np.bool_] = (at >= 0) & (row_ids < stops[at])
        return held

    def numbers(self, layer: int, row_ids: NDArray[np.integer[Any]]) -> NDArray[np.int64]:
        """Return the part's own numbers of rows that it holds; same shape, int64."""
        starts, _, shifts = self._numbers[layer]
        numbers: NDArray[np.int64] = row_ids + shifts[np.searchsorted(starts, row_ids, "right") - 1]
        return numbers


def _cut(
    whole: Source, layer: int, ranges: Ranges
) -> tuple[tuple[Region, ...], tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]]:
    """Return the regions of a part, by column and row, and how its rows are numbered."""
    columns: list[list[Region]] = []
    facts: list[tuple[int, int, int]] = []  # where rows begin and end in the whole, and the shift
    next_row = 0
    for first, last in ranges:
        for piece in pieces(whole.regions(layer)):
            start, stop = max(first, piece[0].row_start), min(last, piece[0].row_stop)
            if start >= stop:
                continue
            unit = max(region.unit_rows for region in piece)
            begin = start - (start - piece[0].row_start) % unit
            facts.append((start, stop, next_row - begin))
            columns = columns or [[] for _ in piece]
            for column, region in zip(columns, piece, strict=True):
                column.append(_moved(region.between(begin, stop), next_row))
            next_row += stop - begin
    starts, stops, shifts = np.array(sorted(facts), np.int64).T.copy()
    return tuple(region for column in columns for region in column), (starts, stops, shifts)


def _moved(region: Region, row_start: int) -> Region:
    """Return a region with its rows counted from another one on."""
    rows = region.row_stop - region.row_start
    return Region(
        region.path, region.column, region.width, row_start, row_start + rows, region.offset,
        region.unit_rows, region.unit_bytes,
    )  # fmt: skip
