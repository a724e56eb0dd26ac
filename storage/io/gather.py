"""Gather and dequantise rows by address: the one kernel behind the host and ssd tiers.

The kernel reads from raw addresses (anonymous memory or a mapping, it cannot tell) and writes
float32 or bfloat16, or stored records as they are, for who dequantises them elsewhere. Random rows
are cache misses, so it asks for the lines of a later row while it converts this one.
"""

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from engramctl.runtime.kernel_cache import njit
from engramctl.storage.io.row_map import (
    COLUMNS,
    DOUBTED,
    DTYPE,
    ROW_DIM,
    SCALE,
    SCALE_BYTES,
    WEIGHT_BYTES,
    RowMap,
    first_outside,
    locate,
    piece_of,
)
from engramctl.storage.record.intrinsics import copy_bytes, float_from_bits, prefetch_line
from engramctl.storage.widening.bad_scales import has_bad_scale
from engramctl.storage.widening.widen_row import widen_row

if TYPE_CHECKING:
    import torch

_LINE = 64
_AHEAD = 12
_RING = 16  # rows located and not yet read; a power of two above _AHEAD
_TO_BF16 = 2
_STORED = 1  # bytes of a value where a record is copied as it is


@njit(nogil=True, cache=True)
def gather_rows(
    rows: Any,
    start: Any,
    stop: Any,
    packed: Any,
    value_bytes: Any,
    out_address: Any,
    out_bytes: Any,
) -> Any:
    """Write rows[start:stop], dequantised, to their places in the output.

    Args:
        rows: row ids, int64 (n,).
        start: first position of this piece.
        stop: position after its last.
        packed: where they lie; see RowMap.
        value_bytes: of one value written: 2 for bfloat16, 4 for float32; 1: stored bytes.
        out_address: where row_dim values, or a stored record, for each of `rows` go.
        out_bytes: how many bytes there are.

    Returns:
        the first position whose row has a bad scale, not written then, or -1; scales of our own
        tables, which have checksums, are not looked at.

    Raises:
        IndexError: a row id outside the map, or an output of another length; nothing is read.
    """
    _check_output(rows.shape[0], start, stop, packed, value_bytes, out_bytes)
    if first_outside(rows, start, stop, packed) >= 0:
        raise IndexError("a row id is outside the table")
    facts = _row_facts(packed)
    ring = np.empty((_RING, 2), np.int64)
    for i in range(start, min(start + _AHEAD, stop)):
        _ask(rows[i], i, packed, ring)
    for i in range(start, stop):
        if i + _AHEAD < stop:
            _ask(rows[i + _AHEAD], i + _AHEAD, packed, ring)
        weight, scale = ring[i & (_RING - 1), 0], ring[i & (_RING - 1), 1]
        if not _widen(weight, scale, i, facts, value_bytes, out_address):
            return i
    return -1


@njit(nogil=True, cache=True)
def widen_rows(
    addresses_N2: Any,
    targets: Any,
    low: Any,
    high: Any,
    start: Any,
    stop: Any,
    packed: Any,
    value_bytes: Any,
    out_address: Any,
    out_bytes: Any,
) -> Any:
    """Write rows that lie anywhere in one buffer, dequantised; as `gather_rows`.

    Args:
        addresses_N2: of each row's value bytes and of its scale bytes, int64 (n, 2).
        targets: the output row of each, int64 (n,).
        low: no byte below this address is read.
        high: nor one from this address on.
        start: first position of this piece.
        stop: position after its last.
        packed: how rows are stored; see RowMap and `row_facts`: the pieces are not used.
        value_bytes: see `gather_rows`, as the next two.
        out_address: see `gather_rows`.
        out_bytes: see `gather_rows`.

    Returns:
        the first position whose row has a bad scale, not written then, or -1.

    Raises:
        IndexError: an address outside the buffer, or an output of another length; nothing is read.
    """
    num_targets = out_bytes // _out_row_bytes(packed, value_bytes)
    _check_output(num_targets, 0, num_targets, packed, value_bytes, out_bytes)
    if start < 0 or stop > addresses_N2.shape[0] or stop > targets.shape[0]:
        raise IndexError("there are fewer rows")
    for i in range(start, stop):
        if targets[i] < 0 or targets[i] >= num_targets:
            raise IndexError("the output does not fit the rows")
        for part in range(2):
            size = packed[SCALE_BYTES] if part else packed[WEIGHT_BYTES]
            at = addresses_N2[i, part]
            if size and (at < low or at > high - size):
                raise IndexError("an address is outside the buffer")
    facts = _row_facts(packed)
    for i in range(start, stop):
        weight, scale = addresses_N2[i, 0], addresses_N2[i, 1]
        if not _widen(weight, scale, targets[i], facts, value_bytes, out_address):
            return i
    return -1


@njit(inline="always")
def _check_output(
    rows: Any, start: Any, stop: Any, packed: Any, value_bytes: Any, out_bytes: Any
) -> None:
    if start < 0 or stop > rows or out_bytes != rows * _out_row_bytes(packed, value_bytes):
        raise IndexError("the output does not fit the rows")


@njit(inline="always")
def _out_row_bytes(packed: Any, value_bytes: Any) -> Any:
    """Return the bytes of a row of the output."""
    if value_bytes == _STORED:
        return packed[WEIGHT_BYTES] + packed[SCALE_BYTES]
    return packed[ROW_DIM] * value_bytes


@njit(inline="always")
def _row_facts(packed: Any) -> Any:
    """Return what writing a row needs, read once: to LLVM, each row written may have changed it."""
    return (
        packed[DTYPE],
        packed[ROW_DIM],
        packed[WEIGHT_BYTES],
        packed[SCALE_BYTES],
        packed[DOUBTED],
        float_from_bits(np.uint32(packed[SCALE])),
    )


@njit(inline="always")
def _ask(row: Any, i: Any, packed: Any, ring: Any) -> None:
    """Locate a row, and ask for its lines of memory."""
    weight, scale = locate(row, piece_of(row, packed), packed)
    ring[i & (_RING - 1), 0], ring[i & (_RING - 1), 1] = weight, scale
    size = packed[WEIGHT_BYTES]
    if packed[COLUMNS] == 1:
        size += packed[SCALE_BYTES]
    else:
        for line in range(scale, scale + packed[SCALE_BYTES], _LINE):
            prefetch_line(line)
        prefetch_line(scale + packed[SCALE_BYTES] - 1)
    for line in range(weight, weight + size, _LINE):
        prefetch_line(line)
    prefetch_line(weight + size - 1)


@njit(inline="always")
def _widen(weight: Any, scale: Any, i: Any, facts: Any, value_bytes: Any, out_address: Any) -> Any:
    """Write row i of the output; False: it has a bad scale."""
    code, row_dim, weight_bytes, scale_bytes, doubted, table_scale = facts
    if doubted and has_bad_scale(code, weight, scale, weight_bytes, scale_bytes):
        return False
    if value_bytes == _STORED:
        target = out_address + i * (weight_bytes + scale_bytes)
        copy_bytes(weight, target, weight_bytes)
        copy_bytes(scale, target + weight_bytes, scale_bytes)
        return True
    target = out_address + i * row_dim * value_bytes
    widen_row(code, weight, scale, row_dim, table_scale, value_bytes == _TO_BF16, target)
    return True


def compile_gather(row_map: RowMap) -> None:
    """Compile now: not in the middle of a step, nor while another thread forks."""
    gather_rows(np.empty(0, np.int64), 0, 0, row_map.packed, _TO_BF16, 0, 0)


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
        out: bfloat16 or float32, contiguous, on the CPU, row_dim values for each of `rows`; or
            uint8, a stored record for each.
        start: first position of this piece.
        stop: position after its last.

    Raises:
        IndexError: a row id outside the map, or an `out` of another size; nothing is read.
        FormatError: a scale of a checkpoint is NaN or infinite, with file and offset.
    """
    end = len(rows) if stop is None else stop
    bad = gather_rows(
        rows, start, end, row_map.packed, out.element_size(), out.data_ptr(), out.nbytes
    )
    if bad >= 0:
        raise row_map.bad_scale(int(rows[bad]))


def widen(
    addresses_N2: NDArray[np.int64],
    targets: NDArray[np.int64],
    buffer: NDArray[np.uint8],
    row_map: RowMap,
    out: "torch.Tensor",
) -> int:
    """Call the kernel for rows read into a buffer; see `widen_rows`.

    Args:
        addresses_N2: of each row's value bytes and of its scale bytes, int64 (n, 2).
        targets: the output row of each, int64 (n,).
        buffer: holds them all, contiguous.
        row_map: how the rows are stored.
        out: see `gather`.

    Returns:
        the first position with a bad scale (then raise `row_map.bad_scale(row)`), or -1.

    Raises:
        IndexError: an address outside the buffer, a target outside `out`, or an `out` that is not
            made of rows; nothing is read.
    """
    low = buffer.ctypes.data
    bad = widen_rows(
        addresses_N2, targets, low, low + buffer.nbytes, 0, len(addresses_N2), row_map.packed,
        out.element_size(), out.data_ptr(), out.nbytes,
    )  # fmt: skip
    return int(bad)
