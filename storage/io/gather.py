"""Gather and dequantise rows by address: the one kernel behind the host and ssd tiers.

The kernel reads from raw addresses (anonymous memory or a mapping, it cannot tell) and writes
float32 or bfloat16. Random rows are cache misses, so it asks for the lines of a later row while it
converts this one; spec/tiers.md lesson 6 has the gain.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numba import carray, njit
from numpy.typing import NDArray

from engramctl.storage.geometry import Layout
from engramctl.storage.io.native import (
    as_pointer,
    prefetch_line,
)
from engramctl.storage.io.widen import WIDEN_CODES, e4m3, half_values, round_bf16, widen_row
from engramctl.storage.reader import TableFiles
from engramctl.storage.record import BLOCK_VALUES, e8m0_values
from engramctl.storage.region import Region

DTYPE_CODES = {"f8_e4m3": 0, "bf16": 1, "f32": 2, **WIDEN_CODES}
OUT_CODES = {"bf16": 1, "f32": 2}
_LINE = 64
_AHEAD = 12
_F8, _BF16, _F32 = 0, 1, 2
_SPREAD = np.uint64(0x9E3779B97F4A7C15)
_SPREAD_AGAIN = np.uint64(0xD6E8FEB86659FD93)
_HALF = np.uint64(32)


@dataclass(frozen=True)
class RowMap:
    """Where one layer's rows lie in this process: shard by shard, as addresses.

    Attributes:
        starts_S: first row of each shard, and the number of rows at the end, int64 (S + 1,).
        weights_S: address of each shard's first value byte, int64 (S,).
        scales_S: address of each shard's first scale byte, int64 (S,); unused when packed.
        geometry: see `geometry_of`.
        table_scale: float32 that scales the layer, 1 for dtypes without one.
    """

    starts_S: NDArray[np.int64]
    weights_S: NDArray[np.int64]
    scales_S: NDArray[np.int64]
    geometry: NDArray[np.int64]
    table_scale: np.float32

    @classmethod
    def of(cls, table: TableFiles, layer: int, address: Callable[[Region], int]) -> "RowMap":
        """Lay a layer out; `address` gives where a region's bytes begin, values before scales."""
        regions = table.regions(layer)
        values = [region for region in regions if not region.column]
        scales = [region for region in regions if region.column]
        starts = [region.row_start for region in values] + [table.num_rows(layer)]
        return cls(
            np.array(starts, dtype=np.int64),
            np.array([address(region) for region in values], dtype=np.int64),
            np.array([address(one) for one in scales] or [0] * len(values), dtype=np.int64),
            geometry_of(table.layout),
            np.float32(table.table_scale(layer) or 1.0),
        )


def geometry_of(layout: Layout) -> NDArray[np.int64]:
    """Return the scalars of a layout in the kernels' order, int64 (7,).

    Weight address of row r of a shard: weights + r // [0] * [1] + r % [0] * [2]. Scale address:
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
def locate(row: Any, starts_S: Any, weights_S: Any, scales_S: Any, geometry: Any) -> Any:
    """Return the addresses of a row's values and of its scales."""
    shard = 0
    while row >= starts_S[shard + 1]:
        shard += 1
    local = row - starts_S[shard]
    unit = local // geometry[0]
    weight = weights_S[shard] + unit * geometry[1] + (local - unit * geometry[0]) * geometry[2]
    if geometry[3]:
        return weight, scales_S[shard] + local * geometry[3]
    return weight, weight + geometry[4]


@njit(nogil=True, cache=True)
def gather_rows(
    rows: Any,
    start: Any,
    stop: Any,
    starts_S: Any,
    weights_S: Any,
    scales_S: Any,
    geometry: Any,
    table_scale: Any,
    scale_values: Any,
    halves: Any,
    out_code: Any,
    out_address: Any,
) -> None:
    """Write rows[start:stop], dequantised, to their places in the output.

    Args:
        rows: validated row ids, int64 (n,).
        start: first position of this piece.
        stop: position after its last.
        starts_S: see RowMap, as the next three.
        weights_S: see RowMap.
        scales_S: see RowMap.
        geometry: see RowMap.
        table_scale: see RowMap.
        scale_values: float32 (256,), the value of each e8m0 byte.
        halves: float32 (65536,), the value of each float16.
        out_code: OUT_CODES of the output.
        out_address: of row_dim values for rows[0]; the others follow.
    """
    row_dim, dtype_code = geometry[5], geometry[6]
    weight_bytes = geometry[4]
    out_bytes = row_dim * (2 if out_code == _BF16 else 4)
    for i in range(start, stop):
        if i + _AHEAD < stop:
            later, _ = locate(rows[i + _AHEAD], starts_S, weights_S, scales_S, geometry)
            for line in range(0, weight_bytes + _LINE, _LINE):
                prefetch_line(later + line)
        weight, scale = locate(rows[i], starts_S, weights_S, scales_S, geometry)
        target = out_address + i * out_bytes
        if dtype_code == _F8:
            scales = carray(as_pointer(scale), (row_dim // BLOCK_VALUES,), np.uint8)
            for block in range(row_dim // BLOCK_VALUES):
                factor = scale_values[scales[block]]
                first = block * BLOCK_VALUES
                values = carray(as_pointer(weight + first), (BLOCK_VALUES,), np.uint8)
                if out_code == _BF16:
                    shorts = carray(as_pointer(target + 2 * first), (BLOCK_VALUES,), np.uint16)
                    for j in range(BLOCK_VALUES):
                        shorts[j] = round_bf16(e4m3(values[j]) * factor)
                else:
                    longs = carray(as_pointer(target + 4 * first), (BLOCK_VALUES,), np.float32)
                    for j in range(BLOCK_VALUES):
                        longs[j] = e4m3(values[j]) * factor
        elif dtype_code == _BF16:
            halves_E = carray(as_pointer(weight), (row_dim,), np.uint16)
            if out_code == _BF16:
                short_E = carray(as_pointer(target), (row_dim,), np.uint16)
                for j in range(row_dim):
                    short_E[j] = halves_E[j]
            else:
                words_E = carray(as_pointer(target), (row_dim,), np.uint32)
                for j in range(row_dim):
                    words_E[j] = np.uint32(halves_E[j]) << np.uint32(16)
        elif dtype_code > _F32:
            widen_row(
                dtype_code, weight, scale, row_dim, geometry[2], table_scale, halves, out_code,
                target,
            )  # fmt: skip
        else:
            floats_E = carray(as_pointer(weight), (row_dim,), np.float32)
            if out_code == _BF16:
                short_E = carray(as_pointer(target), (row_dim,), np.uint16)
                for j in range(row_dim):
                    short_E[j] = round_bf16(floats_E[j])
            else:
                long_E = carray(as_pointer(target), (row_dim,), np.float32)
                for j in range(row_dim):
                    long_E[j] = floats_E[j]


@njit(inline="always")
def home_slot(row: Any, shift: Any) -> Any:
    """Return where the search for a row begins in a table of 2^(64 - shift) slots.

    Two multiplications: one alone sends rows at some even steps (2^k by its low bits, Fibonacci
    numbers by its high ones) to neighbouring slots, and probing becomes quadratic.

    Args:
        row: uint64.
        shift: uint64.
    """
    mixed = row * _SPREAD
    mixed = (mixed ^ (mixed >> _HALF)) * _SPREAD_AGAIN
    return mixed >> shift


@njit(nogil=True, cache=True)
def take_rows(row_ids: Any, num_rows: Any) -> Any:
    """Copy row ids, check their range and count the distinct ones, in one pass.

    Args:
        row_ids: int32 or int64 (n,).
        num_rows: ids must lie in [0, num_rows).

    Returns:
        (copy int64 (n,), position of the first id out of range or -1, number of distinct ids).
    """
    rows = np.empty(row_ids.shape[0], np.int64)
    slots = 16
    shift = np.uint64(60)
    while slots < 2 * row_ids.shape[0]:
        slots *= 2
        shift -= np.uint64(1)
    table = np.full(slots, -1, np.int64)
    distinct = 0
    for i in range(row_ids.shape[0]):
        row = np.int64(row_ids[i])
        rows[i] = row
        if row < 0 or row >= num_rows:
            return rows, i, distinct
        slot = np.int64(home_slot(np.uint64(row), shift))
        while table[slot] != row and table[slot] != -1:
            slot = (slot + 1) & (slots - 1)
        if table[slot] == -1:
            table[slot] = row
            distinct += 1
    return rows, -1, distinct


def gather(
    rows: NDArray[np.int64], row_map: RowMap, out_code: int, out_address: int,
    start: int = 0, stop: int | None = None,
) -> None:  # fmt: skip
    """Call the kernel for one piece; see `gather_rows`."""
    gather_rows(
        rows, start, len(rows) if stop is None else stop, row_map.starts_S, row_map.weights_S,
        row_map.scales_S, row_map.geometry, row_map.table_scale, e8m0_values(), half_values(),
        out_code, out_address,
    )  # fmt: skip
