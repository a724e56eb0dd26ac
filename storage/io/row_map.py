"""Where one layer's rows lie in this process, as addresses: the one check before raw memory.

Kernels read where they are told to. So addresses are made here alone, from views of known length,
and every row of the map is seen to lie inside its view; kernels compare row ids with the map.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engramctl.errors import FormatError, StorageError
from engramctl.runtime.kernel_cache import njit
from engramctl.storage.reading.region import Region, pieces
from engramctl.storage.reading.source import CheckpointTables, Source, bad_scale
from engramctl.storage.record.record import RecordSpec
from engramctl.storage.widening.widen_row import DTYPE_CODES

View = NDArray[np.uint8]

# The facts of a map, in front of its pieces: places in the packed array.
NUM_PIECES, NUM_ROWS, ROW_DIM, DTYPE, WEIGHT_BYTES, SCALE_BYTES, COLUMNS, DOUBTED, SCALE = range(9)
_FACTS = 9
_REGION = 4  # numbers of a region: where it begins, rows of a unit, bytes of a unit, width


@dataclass(frozen=True)
class RowMap:
    """Where one layer's rows lie: piece by piece, as addresses or as offsets in files.

    Attributes:
        packed: all that a kernel needs, int64: the facts named above, then `starts_S`, then
            `regions_SC4`. One array, because a kernel's call costs by the argument.
        source: whose rows.
        layer: which of its layers.
        views: what the addresses point into; kept, so that it lives as long as the map.
    """

    packed: NDArray[np.int64]
    source: Source
    layer: int
    views: tuple[View, ...] = ()

    @classmethod
    def in_memory(cls, source: Source, layer: int, view: Callable[[Region], View]) -> "RowMap":
        """Lay a layer out in memory.

        Args:
            source: whose rows.
            layer: which of its layers.
            view: gives the bytes of a region; asked piece by piece, values before scales.

        Raises:
            StorageError: a view does not hold all of its region.
            FormatError: see `in_files`.
        """
        views: list[View] = []

        def address(region: Region) -> int:
            bytes_here = view(region)
            if not bytes_here.flags.c_contiguous or len(bytes_here) < region.num_bytes:
                raise StorageError(
                    f"{region.path.name} holds fewer rows than the manifest says",
                    facts={
                        "file": region.path,
                        "expected": f"{region.num_bytes:,} bytes from {region.offset:,} on",
                        "found": f"{len(bytes_here):,} bytes",
                    },
                    hint=f"run: engramctl verify {region.path.parent}",
                )
            views.append(bytes_here)
            return bytes_here.ctypes.data

        packed = _packed(source, layer, address)
        return cls(packed, source, layer, tuple(views))

    @classmethod
    def in_files(cls, source: Source, layer: int) -> "RowMap":
        """Lay a layer out in its files: offsets stand for addresses.

        Raises:
            FormatError: a record lies in other parts than all of it, or values and scales.
        """
        return cls(_packed(source, layer, lambda region: region.offset), source, layer)

    @classmethod
    def of_entries(
        cls, source: Source, entries: int, entry_bytes: int, at: int, unit: tuple[int, int]
    ) -> "RowMap":
        """Lay out entries of one file that are no rows: n-gram records, each taken whole.

        Args:
            source: of the rows that they hold.
            entries: how many there may be.
            entry_bytes: of each.
            at: offset of the first one.
            unit: entries that stand together, and bytes from these to the next.
        """
        facts = np.zeros(_FACTS, np.int64)
        facts[[NUM_PIECES, NUM_ROWS, COLUMNS, WEIGHT_BYTES]] = 1, entries, 1, entry_bytes
        places = [0, entries, at, *unit, entry_bytes]
        return cls(np.concatenate([facts, np.array(places, np.int64)]), source, -1)

    @property
    def starts_S(self) -> NDArray[np.int64]:
        """First row of each piece, and the number of rows at the end, int64 (S + 1,)."""
        return self.packed[_FACTS : _FACTS + self.num_pieces + 1]

    @property
    def regions_SC4(self) -> NDArray[np.int64]:
        """Each piece's columns, one or two: address, unit_rows, unit_bytes, width; int64."""
        shape = (self.num_pieces, int(self.packed[COLUMNS]), _REGION)
        return self.packed[_FACTS + self.num_pieces + 1 :].reshape(shape)

    @property
    def num_pieces(self) -> int:
        """S, the pieces."""
        return int(self.packed[NUM_PIECES])

    @property
    def row_dim(self) -> int:
        """E, values in a row."""
        return int(self.packed[ROW_DIM])

    def bad_scale(self, row: int) -> FormatError:
        """Return the error for a row whose scale is NaN or infinite."""
        return bad_scale(self.source, self.layer, row)


def _packed(source: Source, layer: int, address: Callable[[Region], int]) -> NDArray[np.int64]:
    record = source.record
    starts, places = [], []
    for piece in pieces(source.regions(layer)):
        _check_columns(piece, record, layer)
        starts.append(piece[0].row_start)
        places.append([(address(one), one.unit_rows, one.unit_bytes, one.width) for one in piece])
    starts.append(source.num_rows(layer))
    if starts[0] != 0 or (np.diff(starts) <= 0).any():
        raise ValueError(f"the regions of layer {layer} are not in the order of rows")
    doubted = isinstance(source, CheckpointTables)
    facts = row_facts(record, source.table_scale(layer), doubted=doubted)
    facts[[NUM_PIECES, NUM_ROWS, COLUMNS]] = len(places), starts[-1], len(places[0])
    return np.concatenate([facts, np.array(starts, np.int64), np.array(places, np.int64).ravel()])


def row_facts(
    record: RecordSpec, table_scale: float | None, *, doubted: bool = False
) -> NDArray[np.int64]:
    """Return the facts of a map as kernels take them, int64: how rows are stored, but not where.

    Args:
        record: how rows are stored.
        table_scale: float32 that scales the layer, for dtypes that have one.
        doubted: whether scales have no checksum, so that they are looked at.
    """
    facts = np.zeros(_FACTS, np.int64)
    facts[ROW_DIM], facts[DTYPE] = record.row_dim, DTYPE_CODES[record.dtype]
    facts[WEIGHT_BYTES], facts[SCALE_BYTES] = record.weight_bytes, record.scale_bytes
    facts[DOUBTED] = doubted
    facts[SCALE] = np.float32(table_scale or 1.0).view(np.uint32)
    return facts


def _check_columns(piece: tuple[Region, ...], record: RecordSpec, layer: int) -> None:
    """Refuse a record in other parts than kernels read."""
    found = [(one.column, one.width) for one in piece]
    whole = [(0, record.record_bytes)]
    apart = [(0, record.weight_bytes), (record.weight_bytes, record.scale_bytes)]
    if found not in (whole, apart):
        raise FormatError(
            f"the rows of layer {layer} lie in parts that cannot be read in place",
            facts={
                "file": piece[0].path,
                "expected": "whole records, or values and scales",
                "found": ", ".join(f"bytes {a} to {a + width}" for a, width in found),
            },
            hint="lay them out first: engramctl layout",
        )


@njit(inline="always")
def first_outside(rows: Any, start: Any, stop: Any, packed: Any) -> Any:
    """Return the first position in [start, stop) whose row id is not in the map, or -1."""
    for i in range(start, stop):
        if rows[i] < 0 or rows[i] >= packed[NUM_ROWS]:
            return i
    return -1


@njit(inline="always")
def piece_of(row: Any, packed: Any) -> Any:
    """Return the number of the piece that holds a row of the map."""
    low, high = 0, packed[NUM_PIECES]
    while high - low > 1:
        middle = (low + high) >> 1
        if row >= packed[_FACTS + middle]:
            low = middle
        else:
            high = middle
    return low


@njit(inline="always")
def part_sizes(packed: Any) -> Any:
    """Return the parts of a row that lie apart, one or two, and the bytes of each."""
    if packed[COLUMNS] > 1:
        return 2, (packed[WEIGHT_BYTES], packed[SCALE_BYTES])
    return 1, (packed[WEIGHT_BYTES] + packed[SCALE_BYTES], 0)


@njit(inline="always")
def locate(row: Any, piece: Any, packed: Any) -> Any:
    """Return the addresses of a row's values and of its scales."""
    local = row - packed[_FACTS + piece]
    at = _FACTS + packed[NUM_PIECES] + 1 + piece * packed[COLUMNS] * _REGION
    weight = _in_region(local, at, packed)
    if packed[COLUMNS] == 1:
        return weight, weight + packed[WEIGHT_BYTES]
    return weight, _in_region(local, at + _REGION, packed)


@njit(inline="always")
def _in_region(local: Any, at: Any, packed: Any) -> Any:
    """Return the address of a row, counted from the region's first; division is slow, and rare."""
    if packed[at + 1] == 1:
        return packed[at] + local * packed[at + 2]
    unit = local // packed[at + 1]
    rest = local - unit * packed[at + 1]
    return packed[at] + unit * packed[at + 2] + rest * packed[at + 3]
