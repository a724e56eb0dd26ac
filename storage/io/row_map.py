"""Where one layer's rows lie in this process, as addresses: the one check before raw memory.

Kernels read where they are told to. So addresses are made here alone, from views of known length,
and every row of the map is seen to lie inside its view; kernels compare row ids with the map.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engramctl.errors import StorageError
from engramctl.runtime.kernel_cache import njit
from engramctl.storage.format.geometry import Layout
from engramctl.storage.reading.region import Region, pieces
from engramctl.storage.reading.table import TableFiles
from engramctl.storage.record.widen_row import DTYPE_CODES

View = NDArray[np.uint8]


@dataclass(frozen=True)
class RowMap:
    """Where one layer's rows lie: piece by piece, as addresses or as offsets in files.

    Attributes:
        starts_S: first row of each piece, and the number of rows at the end, int64 (S + 1,).
        weights_S: address of each piece's first value byte, int64 (S,).
        scales_S: address of each piece's first scale byte, int64 (S,); unused when packed.
        geometry: see `geometry_of`.
        table_scale: float32 that scales the layer, 1 for dtypes without one.
        views: what the addresses point into; kept, so that it lives as long as the map.
    """

    starts_S: NDArray[np.int64]
    weights_S: NDArray[np.int64]
    scales_S: NDArray[np.int64]
    geometry: NDArray[np.int64]
    table_scale: np.float32
    views: tuple[View, ...] = ()

    @classmethod
    def in_memory(cls, table: TableFiles, layer: int, view: Callable[[Region], View]) -> "RowMap":
        """Lay a layer out in memory.

        Args:
            table: whose rows.
            layer: which of its layers.
            view: gives the bytes of a region; asked piece by piece, values before scales.

        Raises:
            StorageError: a view does not hold all of its region.
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

        return cls._of(table, layer, address, views)

    @classmethod
    def in_files(cls, table: TableFiles, layer: int) -> "RowMap":
        """Lay a layer out in its files: offsets stand for addresses."""
        return cls._of(table, layer, lambda region: region.offset, [])

    @classmethod
    def _of(
        cls, table: TableFiles, layer: int, address: Callable[[Region], int], views: list[View]
    ) -> "RowMap":
        starts, places, units = [], [], set()
        for piece in pieces(table.regions(layer)):
            starts.append(piece[0].row_start)
            places.append([address(region) for region in piece])
            units.add((piece[0].unit_rows, piece[0].unit_bytes))
        geometry = geometry_of(table.layout)
        weights_S, *scales = np.array(places, np.int64).T
        row_map = cls(
            np.array([*starts, table.num_rows(layer)], np.int64),
            np.ascontiguousarray(weights_S),
            np.ascontiguousarray(scales[0] if scales else np.zeros_like(weights_S)),
            geometry,
            np.float32(table.table_scale(layer) or 1.0),
            tuple(views),
        )
        in_order = row_map.starts_S[0] == 0 and (np.diff(row_map.starts_S) > 0).all()
        if units != {(geometry[0], geometry[1])} or not in_order:
            raise ValueError(f"the regions of layer {layer} are not as the layout says")
        return row_map


def geometry_of(layout: Layout) -> NDArray[np.int64]:
    """Return the scalars of a layout in the kernels' order, int64 (7,).

    Weight address of row r of a piece: weights + r // [0] * [1] + r % [0] * [2]. Scale address:
    scales + r * [3] where values and scales are apart, else weight address + [4], the bytes of a
    row's values. [5] is row_dim, [6] one of DTYPE_CODES.
    """
    planar = layout.form == "planar"
    unit = layout.unit("weight" if planar else "records")
    record = layout.record
    return np.array(
        [
            unit.num_rows, unit.num_bytes, record.record_bytes,
            record.scale_bytes if planar else 0,
            record.weight_bytes, record.row_dim, DTYPE_CODES[record.dtype],
        ],
        dtype=np.int64,
    )  # fmt: skip


@njit(inline="always")
def first_outside(rows: Any, start: Any, stop: Any, starts_S: Any) -> Any:
    """Return the first position in [start, stop) whose row id is not in the map, or -1."""
    for i in range(start, stop):
        if rows[i] < 0 or rows[i] >= starts_S[-1]:
            return i
    return -1


@njit(inline="always")
def piece_of(row: Any, starts_S: Any) -> Any:
    """Return the number of the piece that holds a row of the map."""
    piece = 0
    while row >= starts_S[piece + 1]:
        piece += 1
    return piece


@njit(inline="always")
def locate(row: Any, starts_S: Any, weights_S: Any, scales_S: Any, geometry: Any) -> Any:
    """Return the addresses of a row's values and of its scales."""
    piece = piece_of(row, starts_S)
    local = row - starts_S[piece]
    unit = local // geometry[0]
    weight = weights_S[piece] + unit * geometry[1] + (local - unit * geometry[0]) * geometry[2]
    if geometry[3]:
        return weight, scales_S[piece] + local * geometry[3]
    return weight, weight + geometry[4]
