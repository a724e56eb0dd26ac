"""Records <-> values, for every dtype: the plain numpy way that the fast ones are tested against.

docs/format.md section "Records and addresses" has each dtype byte by byte. `f8_e4m3` is
DeepSeek-V4.1's row, `f8_e4m3_scalar` and `nvfp4` are those of Qwen3.8-Flash-Next; dtypes whose
scales are floats are in `float_scales`, GGUF's types in `codecs_ggml`.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from engramctl.storage.record import codecs_ggml as ggml
from engramctl.storage.record import float_scales
from engramctl.storage.record.dtypes import BY_NAME
from engramctl.storage.record.float_scales import FLOAT_SCALED, nibbles, packed
from engramctl.storage.record.group_steps import E2M1_MAX, GroupSteps, group_steps
from engramctl.storage.record.record import (
    BLOCK_VALUES,
    E4M3_MAX,
    RecordSpec,
    e4m3_values,
    e8m0_at_least,
    e8m0_values,
    round_bits,
    to_bf16_bits,
    to_e4m3_bytes,
)
from engramctl.storage.record.value_range import check_values

_E2M1_SIZES = np.array([0, 0.5, 1, 1.5, 2, 3, 4, 6], np.float32)
E2M1_VALUES = np.concatenate([_E2M1_SIZES, -_E2M1_SIZES])
Floats = NDArray[np.float32]
Bytes = NDArray[np.uint8]


def decode(spec: RecordSpec, records: Bytes, table_scale: float | None = None) -> Floats:
    """Return the values of records.

    Exact in float32, or where a product of two float32 is not, rounded once.

    Args:
        spec: how they are stored.
        records: uint8 (n, record_bytes): weights, then scales.
        table_scale: of the layer, for dtypes that have one.

    Returns:
        float32 (n, row_dim); NaN where a small float's bits say so.
    """
    if not len(records):
        return np.empty((0, spec.row_dim), np.float32)
    weights = np.ascontiguousarray(records[:, : spec.weight_bytes])
    scales = np.ascontiguousarray(records[:, spec.weight_bytes :])
    with np.errstate(over="ignore", under="ignore", invalid="ignore"):
        if spec.dtype in FLOAT_SCALED:
            return float_scales.decode(spec, weights, scales)
        return _DECODERS[spec.dtype](weights, scales, np.float32(table_scale or 1.0))


def encode(spec: RecordSpec, values: Floats, table_scale: float | None = None) -> Bytes:
    """Return records of values, each rounded once to what its scale allows, to nearest even.

    Scales are the smallest that hold a block's largest value (docs/format.md).

    Args:
        spec: how to store them.
        values: float32 (n, row_dim).
        table_scale: of the layer, for dtypes that have one.

    Returns:
        uint8 (n, record_bytes).

    Raises:
        FormatError: as `check_values`.
    """
    check_values(spec, values)
    out = np.empty((len(values), spec.record_bytes), np.uint8)
    scales: Bytes | None
    with np.errstate(over="ignore", under="ignore", invalid="ignore", divide="ignore"):
        if spec.dtype in FLOAT_SCALED:
            weights, scales = float_scales.encode(spec, values)
        else:
            weights, scales = _ENCODERS[spec.dtype](values, np.float32(table_scale or 1.0))
    out[:, : spec.weight_bytes] = weights
    if scales is not None:
        out[:, spec.weight_bytes :] = scales
    return out


def table_scale_for(spec: RecordSpec, largest: float) -> float | None:
    """Return the table scale with which `largest` is the largest value that can be stored.

    Args:
        spec: how rows are stored.
        largest: absolute value, finite.

    Returns:
        a float32 above 0 as a float, or None for dtypes without one.
    """
    if not spec.facts.table_scale:
        return None
    top = E4M3_MAX * (E2M1_MAX if spec.dtype == "nvfp4" else 1.0)
    return float(np.float32(largest / top)) or 1.0


def _rows(data: NDArray[np.generic], rows: int) -> Bytes:
    return np.ascontiguousarray(data).view(np.uint8).reshape(rows, -1)


def _decode_f32(weights: Bytes, scales: Bytes, table: np.float32) -> Floats:
    return weights.view(np.float32)


def _decode_bf16(weights: Bytes, scales: Bytes, table: np.float32) -> Floats:
    return (weights.view(np.uint16).astype(np.uint32) << 16).view(np.float32)


def _decode_f16(weights: Bytes, scales: Bytes, table: np.float32) -> Floats:
    return weights.view(np.float16).astype(np.float32)


def _decode_f8(weights: Bytes, scales: Bytes, table: np.float32) -> Floats:
    factors = e8m0_values()[scales].repeat(BLOCK_VALUES, axis=1)
    return np.asarray(e4m3_values()[weights] * factors, dtype=np.float32)


def _decode_f8_scalar(weights: Bytes, scales: Bytes, table: np.float32) -> Floats:
    return np.asarray(e4m3_values()[weights] * table, dtype=np.float32)


def _decode_int4(weights: Bytes, scales: Bytes, table: np.float32) -> Floats:
    factors = scales.view(np.float16).astype(np.float32).repeat(32, axis=1)
    return (nibbles(weights).astype(np.float32) - np.float32(8)) * factors


def _decode_int4_affine(weights: Bytes, scales: Bytes, table: np.float32) -> Floats:
    factors, biases = np.split(scales.view(np.float16).astype(np.float32), 2, axis=1)
    exact = nibbles(weights).astype(np.float64) * factors.repeat(32, axis=1)
    return np.asarray(exact + biases.repeat(32, axis=1), dtype=np.float32)


def _decode_nvfp4(weights: Bytes, scales: Bytes, table: np.float32) -> Floats:
    factors = (e4m3_values()[scales] * table).repeat(16, axis=1)
    return np.asarray(E2M1_VALUES[nibbles(weights)] * factors, dtype=np.float32)


Encoded = tuple[Bytes, Bytes | None]


def _encode_f32(values: Floats, table: np.float32) -> Encoded:
    return _rows(values, len(values)), None


def _encode_bf16(values: Floats, table: np.float32) -> Encoded:
    return _rows(to_bf16_bits(values), len(values)), None


def _encode_f16(values: Floats, table: np.float32) -> Encoded:
    return _rows(values.astype(np.float16), len(values)), None


def _encode_f8(values: Floats, table: np.float32) -> Encoded:
    blocks = values.reshape(len(values), -1, BLOCK_VALUES).astype(np.float64)
    finite = np.where(np.isfinite(blocks), np.abs(blocks), 0).max(axis=2)
    scales = np.maximum(e8m0_at_least(finite / E4M3_MAX), 1)
    shrunk = np.ldexp(blocks, 127 - scales[:, :, None].astype(np.int64))
    return to_e4m3_bytes(shrunk).reshape(len(values), -1), scales


def _encode_f8_scalar(values: Floats, table: np.float32) -> Encoded:
    return to_e4m3_bytes(values.astype(np.float64) / table), None


def _quantised(
    values: Floats, scales: NDArray[np.floating], low: int, high: int
) -> NDArray[np.int64]:
    """Return values over scales as the nearest integers in a range; a scale of 0 gives 0."""
    steps = np.where(scales == 0, 0, values.astype(np.float64) / np.where(scales == 0, 1, scales))
    return np.clip(np.rint(steps), low, high).astype(np.int64)


def _grouped(dtype: str, values: Floats, table: np.float32) -> tuple[Floats, GroupSteps]:
    """Return values as (n, groups, values of a group), and their steps."""
    groups = values.reshape(len(values), -1, BY_NAME[dtype].block_values)
    low, high, largest = groups.min(axis=2), groups.max(axis=2), np.abs(groups).max(axis=2)
    return groups, group_steps(dtype, low, high, largest, table)


def _encode_int4(values: Floats, table: np.float32) -> Encoded:
    groups, found = _grouped("int4", values, table)
    codes = _quantised(groups, found.steps[:, :, None], -8, 7) + 8
    return packed(codes.astype(np.uint8).reshape(len(values), -1)), found.scales


def _encode_int4_affine(values: Floats, table: np.float32) -> Encoded:
    groups, found = _grouped("int4_affine", values, table)
    assert found.biases is not None
    codes = _quantised(groups - found.biases[:, :, None], found.steps[:, :, None], 0, 15)
    return packed(codes.astype(np.uint8).reshape(len(values), -1)), found.scales


def _encode_nvfp4(values: Floats, table: np.float32) -> Encoded:
    groups, found = _grouped("nvfp4", values, table)
    factors, blocks = found.steps[:, :, None], groups.astype(np.float64)
    shrunk = np.where(factors == 0, 0, blocks / np.where(factors == 0, 1, factors))
    size = round_bits(np.abs(shrunk), mantissa_bits=1, min_exponent=0, top=7, nan=7)
    codes = (size | (np.signbit(shrunk).astype(np.uint8) << 3)).astype(np.uint8)
    return packed(codes.reshape(len(values), -1)), found.scales


_DECODERS: dict[str, Callable[[Bytes, Bytes, np.float32], Floats]] = {
    "f32": _decode_f32,
    "bf16": _decode_bf16,
    "f16": _decode_f16,
    "f8_e4m3": _decode_f8,
    "f8_e4m3_scalar": _decode_f8_scalar,
    "int4": _decode_int4,
    "int4_affine": _decode_int4_affine,
    "nvfp4": _decode_nvfp4,
    "q8_0": lambda weights, scales, table: ggml.decode_q8_0(weights),
    "q4_0": lambda weights, scales, table: ggml.decode_q4_0(weights),
    "iq4_nl": lambda weights, scales, table: ggml.decode_iq4_nl(weights),
}
_ENCODERS: dict[str, Callable[[Floats, np.float32], Encoded]] = {
    "f32": _encode_f32,
    "bf16": _encode_bf16,
    "f16": _encode_f16,
    "f8_e4m3": _encode_f8,
    "f8_e4m3_scalar": _encode_f8_scalar,
    "int4": _encode_int4,
    "int4_affine": _encode_int4_affine,
    "nvfp4": _encode_nvfp4,
    "q8_0": lambda values, table: (ggml.encode_q8_0(values), None),
    "q4_0": lambda values, table: (ggml.encode_q4_0(values), None),
    "iq4_nl": lambda values, table: (ggml.encode_iq4_nl(values), None),
}
