"""Gather and dequantise rows by address: the one kernel behind the host and ssd tiers.

The kernel reads from raw addresses (anonymous memory or a mapping, it cannot tell) and writes
float32 or bfloat16. Random rows are cache misses, so it asks for the lines of a later row while it
converts this one.
"""

from typing import TYPE_CHECKING, Any

import numpy as np
from numba import carray
from numpy.typing import NDArray

from engramctl.runtime.kernel_cache import njit
from engramctl.storage.io.row_map import RowMap, first_outside, locate
from engramctl.storage.record.intrinsics import as_pointer, prefetch_line
from engramctl.storage.record.record import BLOCK_VALUES, e8m0_values
from engramctl.storage.record.widen_row import DTYPE_CODES, e4m3, half_values, round_bf16, widen_row

if TYPE_CHECKING:
    import torch

_LINE = 64
_AHEAD = 12
_F8, _BF16, _F32 = (DTYPE_CODES[name] for name in ("f8_e4m3", "bf16", "f32"))
_TO_BF16 = 2
_SPREAD = np.uint64(0x9E3779B97F4A7C15)
_SPREAD_AGAIN = np.uint64(0xD6E8FEB86659FD93)
_HALF = np.uint64(32)


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
    value_bytes: Any,
    out_address: Any,
    out_bytes: Any,
) -> None:
    """Write rows[start:stop], dequantised, to their places in the output.

    Args:
        rows: row ids, int64 (n,).
        start: first position of this piece.
        stop: position after its last.
        starts_S: see RowMap, as the next three.
        weights_S: see RowMap.
        scales_S: see RowMap.
        geometry: see RowMap.
        table_scale: see RowMap.
        scale_values: float32 (256,), the value of each e8m0 byte.
        halves: float32 (65536,), the value of each float16.
        value_bytes: of one value written: 2 for bfloat16, 4 for float32.
        out_address: where row_dim values for each of `rows` go.
        out_bytes: how many bytes there are.

    Raises:
        IndexError: a row id outside the map, or an output of another length; nothing is read.
    """
    row_dim, dtype_code = geometry[5], geometry[6]
    weight_bytes = geometry[4]
    to_bf16 = value_bytes == _TO_BF16
    out_row_bytes = row_dim * value_bytes
    if start < 0 or stop > rows.shape[0] or out_bytes != rows.shape[0] * out_row_bytes:
        raise IndexError("the output does not fit the rows")
    if first_outside(rows, start, stop, starts_S) >= 0:
        raise IndexError("a row id is outside the table")
    for i in range(start, stop):
        if i + _AHEAD < stop:
            later, _ = locate(rows[i + _AHEAD], starts_S, weights_S, scales_S, geometry)
            for line in range(0, weight_bytes + _LINE, _LINE):
                prefetch_line(later + line)
        weight, scale = locate(rows[i], starts_S, weights_S, scales_S, geometry)
        target = out_address + i * out_row_bytes
        if dtype_code == _F8:
            scales = carray(as_pointer(scale), (row_dim // BLOCK_VALUES,), np.uint8)
            for block in range(row_dim // BLOCK_VALUES):
                factor = scale_values[scales[block]]
                first = block * BLOCK_VALUES
                values = carray(as_pointer(weight + first), (BLOCK_VALUES,), np.uint8)
                if to_bf16:
                    shorts = carray(as_pointer(target + 2 * first), (BLOCK_VALUES,), np.uint16)
                    for j in range(BLOCK_VALUES):
                        shorts[j] = round_bf16(e4m3(values[j]) * factor)
                else:
                    longs = carray(as_pointer(target + 4 * first), (BLOCK_VALUES,), np.float32)
                    for j in range(BLOCK_VALUES):
                        longs[j] = e4m3(values[j]) * factor
        elif dtype_code == _BF16:
            halves_E = carray(as_pointer(weight), (row_dim,), np.uint16)
            if to_bf16:
                short_E = carray(as_pointer(target), (row_dim,), np.uint16)
                for j in range(row_dim):
                    short_E[j] = halves_E[j]
            else:
                words_E = carray(as_pointer(target), (row_dim,), np.uint32)
                for j in range(row_dim):
                    words_E[j] = np.uint32(halves_E[j]) << np.uint32(16)
        elif dtype_code > _F32:
            widen_row(
                dtype_code, weight, scale, row_dim, geometry[2], table_scale, halves, to_bf16,
                target,
            )  # fmt: skip
        else:
            floats_E = carray(as_pointer(weight), (row_dim,), np.float32)
            if to_bf16:
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


def compile_gather(row_map: RowMap) -> None:
    """Compile now: not in the middle of a step, nor while another thread forks."""
    _gather(np.empty(0, np.int64), row_map, 0, 0, _TO_BF16, 0, 0)


def gather(
    rows: NDArray[np.int64],
    row_map: RowMap,
    out: "torch.Tensor",
    start: int = 0,
    stop: int | None = None,
) -> None:
    """Call the kernel for one piece; see `gather_rows`.

    Args:
        rows: row ids, int64 (n,).
        row_map: where they lie.
        out: bfloat16 or float32, contiguous, on the CPU, row_dim values for each of `rows`.
        start: first position of this piece.
        stop: position after its last.

    Raises:
        IndexError: a row id outside the map, or an `out` of another size; nothing is read.
    """
    end = len(rows) if stop is None else stop
    _gather(rows, row_map, start, end, out.element_size(), out.data_ptr(), out.nbytes)


def _gather(rows: NDArray[np.int64], row_map: RowMap, start: int, stop: int, *out: int) -> None:
    gather_rows(
        rows, start, stop, row_map.starts_S, row_map.weights_S, row_map.scales_S,
        row_map.geometry, row_map.table_scale, e8m0_values(), half_values(), *out,
    )  # fmt: skip
