"""Values -> records and back for the dtypes that whole checkpoints are converted to, compiled.

The plain definition is `engramctl.storage.record.codecs`, which also does the other dtypes; tests
compare every bit.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from engramctl.runtime.kernel_cache import njit
from engramctl.storage.record import codecs
from engramctl.storage.record.group_steps import group_steps
from engramctl.storage.record.intrinsics import (
    bits_from_double,
    bits_from_float,
    double_from_bits,
    float_from_bits,
)
from engramctl.storage.record.record import RecordSpec, e8m0_values
from engramctl.storage.record.value_range import check_values


def encode(
    spec: RecordSpec,
    values: NDArray[np.float32],
    table_scale: float | None,
    out: NDArray[np.uint8],
    *,
    layer: int | None = None,
    row: int = 0,
) -> None:
    """Write records of values; see `codecs.encode`.

    Args:
        spec: how to store them.
        values: float32 (n, row_dim), contiguous.
        table_scale: of the layer, for dtypes that have one.
        out: uint8 (n, record_bytes), contiguous.
        layer: whose rows they are, for messages.
        row: the first of them.

    Raises:
        FormatError: as `check_values`.
    """
    check_values(spec, values, layer=layer, row=row)
    if spec.dtype == "f8_e4m3":
        _encode_f8(values, values.view(np.uint32), out)
    elif spec.dtype == "f8_e4m3_scalar":
        _encode_f8_scalar(values, np.float64(np.float32(table_scale or 1.0)), out)
    elif spec.dtype == "bf16":
        _encode_bf16(values.view(np.uint32), out.view(np.uint16))
    elif spec.dtype in _GROUPED:
        _encode_grouped(spec, values, np.float32(table_scale or 1.0), out)
    else:
        out[:] = codecs.encode(spec, values, table_scale)


def decode(
    spec: RecordSpec, records: NDArray[np.uint8], table_scale: float | None
) -> NDArray[np.float32]:
    """Return the values of records, float32 (n, row_dim); see `codecs.decode`."""
    if spec.dtype not in ("f8_e4m3", "f8_e4m3_scalar"):
        return codecs.decode(spec, records, table_scale)
    values = np.empty((len(records), spec.row_dim), np.float32)
    if spec.dtype == "f8_e4m3":
        _decode_f8(records, e8m0_values(), values)
    else:
        _decode_f8_scalar(records, np.float32(table_scale or 1.0), values)
    return values


_GROUPED = ("int8", "int4", "int4_affine", "nvfp4")


def _encode_grouped(
    spec: RecordSpec,
    values: NDArray[np.float32],
    table_scale: np.float32,
    out: NDArray[np.uint8],
) -> None:
    """Encode dtypes whose groups have a step: steps as `codecs` has them, codes compiled."""
    size = spec.row_dim if spec.dtype == "int8" else spec.facts.block_values
    extremes = np.empty((3, len(values), spec.row_dim // size), np.float32)
    _extremes(values, extremes[0], extremes[1], extremes[2])
    steps, biases, out[:, spec.weight_bytes :] = group_steps(
        spec.dtype, extremes[0], extremes[1], extremes[2], table_scale
    )
    if spec.dtype == "int8":
        _bytes(values, steps, out)
    elif spec.dtype == "nvfp4":
        _halves_e2m1(values, steps, out)
    else:
        low = 0 if spec.dtype == "int4_affine" else -8
        shifts = np.zeros(steps.shape, np.float32) if biases is None else biases
        _halves(values, steps, shifts, low, low + 15, out)


@njit(nogil=True, cache=True)
def _extremes(values: Any, low: Any, high: Any, largest: Any) -> None:
    """Write the smallest, the largest and the largest absolute value of every group."""
    group = values.shape[1] // low.shape[1]
    for i in range(len(values)):
        for g in range(low.shape[1]):
            least = most = values[i, g * group]
            for j in range(g * group + 1, (g + 1) * group):
                least = min(least, values[i, j])
                most = max(most, values[i, j])
            low[i, g], high[i, g] = least, most
            largest[i, g] = max(most, -least)


@njit(inline="always")
def _step_code(value: Any, step: Any, low: Any, high: Any) -> Any:
    """Return the nearest multiple of a step, in a range; a step of 0 gives 0."""
    nearest = np.rint(np.float64(value) / (step if step != 0.0 else 1.0))
    nearest = nearest if step != 0.0 else 0.0
    return np.int32(min(max(nearest, np.float64(low)), np.float64(high)))


@njit(nogil=True, cache=True)
def _bytes(values: Any, steps: Any, out: Any) -> None:
    for i in range(len(values)):
        step = steps[i, 0]
        for j in range(values.shape[1]):
            out[i, j] = np.uint8(_step_code(values[i, j], step, -127, 127))


@njit(inline="always")
def _pack(codes: Any, out: Any) -> None:
    """Write nibbles as bytes, the low one first."""
    for k in range(len(codes) // 2):
        out[k] = codes[2 * k] | (codes[2 * k + 1] << np.uint8(4))


@njit(nogil=True, cache=True)
def _halves(values: Any, steps: Any, biases: Any, low: Any, high: Any, out: Any) -> None:
    group = values.shape[1] // steps.shape[1]
    codes = np.empty(values.shape[1], np.uint8)
    for i in range(len(values)):
        for g in range(steps.shape[1]):
            step, bias = steps[i, g], biases[i, g]
            for j in range(g * group, (g + 1) * group):
                shifted = np.float32(values[i, j] - bias)
                codes[j] = np.uint8(_step_code(shifted, step, low, high) - np.int32(low))
        _pack(codes, out[i])


@njit(inline="always")
def _e2m1_code(value: Any, factor: Any) -> Any:
    """Round a value over a factor to e2m1, as `codecs` does; a factor of 0 gives 0."""
    shrunk = np.float64(value) / (factor if factor != 0.0 else 1.0)
    bits = bits_from_double(shrunk if factor != 0.0 else 0.0)
    size = double_from_bits(bits & np.uint64((1 << 63) - 1))
    size = min(size, 8.0)
    exponent = np.int64(bits_from_double(size) >> np.uint64(52)) - 1023
    exponent = max(exponent, np.int64(0))
    power = double_from_bits(np.uint64(1024 - exponent) << np.uint64(52))
    code = min((exponent << 1) + np.int64(np.rint(size * power)), np.int64(7))
    return np.uint8(code) | np.uint8((bits >> np.uint64(60)) & np.uint64(8))


@njit(nogil=True, cache=True)
def _halves_e2m1(values: Any, factors: Any, out: Any) -> None:
    group = values.shape[1] // factors.shape[1]
    codes = np.empty(values.shape[1], np.uint8)
    for i in range(len(values)):
        for g in range(factors.shape[1]):
            factor = factors[i, g]
            for j in range(g * group, (g + 1) * group):
                codes[j] = _e2m1_code(values[i, j], factor)
        _pack(codes, out[i])


@njit(inline="always")
def _e4m3_byte(value: Any) -> Any:
    """Round a float64 to e4m3fn as `codecs.to_e4m3_bytes` does."""
    bits = bits_from_double(value)
    sign = np.uint8((bits >> np.uint64(56)) & np.uint64(0x80))
    exponent = np.int64((bits >> np.uint64(52)) & np.uint64(0x7FF)) - 1023
    exponent = max(exponent, np.int64(-6))
    power = double_from_bits(np.uint64(1026 - min(exponent, np.int64(1000))) << np.uint64(52))
    rounded = ((exponent + 6) << 3) + np.int64(np.rint(abs(value) * power))
    byte = np.uint8(min(rounded, np.int64(0x7E))) if exponent < 9 else np.uint8(0x7E)
    return (np.uint8(0x7F) if value != value else byte) | sign


@njit(nogil=True, cache=True)
def _encode_f8(values: Any, words: Any, out: Any) -> None:
    blocks = values.shape[1] // 32
    for i in range(len(values)):
        for b in range(blocks):
            highest = np.uint32(0)  # bits without sign ascend with the value
            for j in range(32 * b, 32 * b + 32):
                size = words[i, j] & np.uint32(0x7FFFFFFF)
                size = size if size < np.uint32(0x7F800000) else np.uint32(0)  # infinite or NaN
                highest = max(highest, size)
            scale = np.int64(1)
            if highest > 0:
                bits = bits_from_double(np.float64(float_from_bits(highest)) / 448.0)
                power = np.int64(bits >> np.uint64(52)) - 1022
                if bits & np.uint64((1 << 52) - 1) == 0:
                    power -= 1
                scale = min(max(power + 127, np.int64(1)), np.int64(254))
            factor = double_from_bits(np.uint64(1023 + 127 - scale) << np.uint64(52))
            for j in range(32 * b, 32 * b + 32):
                out[i, j] = _e4m3_byte(np.float64(values[i, j]) * factor)
            out[i, values.shape[1] + b] = np.uint8(scale)


@njit(nogil=True, cache=True)
def _encode_f8_scalar(values: Any, table_scale: Any, out: Any) -> None:
    for i in range(len(values)):
        for j in range(values.shape[1]):
            out[i, j] = _e4m3_byte(np.float64(values[i, j]) / table_scale)


@njit(nogil=True, cache=True)
def _encode_bf16(bits: Any, out: Any) -> None:
    for i in range(len(bits)):
        for j in range(bits.shape[1]):
            word = bits[i, j]
            odd = (word >> np.uint32(16)) & np.uint32(1)
            near = (word + np.uint32(0x7FFF) + odd) >> np.uint32(16)
            if word & np.uint32(0x7FFFFFFF) > np.uint32(0x7F800000):
                near = np.uint32(0x7FC0) | ((word >> np.uint32(16)) & np.uint32(0x8000))
            out[i, j] = np.uint16(near)


@njit(inline="always")
def _e4m3(byte: Any) -> Any:
    """Widen e4m3fn to float32 without a table, so that the loop vectorises.

    Normal numbers: the seven low bits move to float32's exponent and mantissa, plus 120 on the
    exponent. Subnormal ones are their three bits times 2^-9, as an integer made float: going
    through float32 subnormals would be as exact and many times slower (each costs an assist).
    """
    bits = np.uint32(byte)
    low = bits & np.uint32(0x7F)
    size = (low << np.uint32(20)) + np.uint32(120 << 23)
    if low < np.uint32(8):
        size = bits_from_float(np.float32(low) * np.float32(2.0**-9))
    if low == np.uint32(0x7F):
        size = np.uint32(0x7FC00000)
    return float_from_bits(size | ((bits & np.uint32(0x80)) << np.uint32(24)))


@njit(nogil=True, cache=True)
def _decode_f8(records: Any, scales: Any, values: Any) -> None:
    row_dim = values.shape[1]
    for i in range(len(values)):
        for b in range(row_dim // 32):
            factor = scales[records[i, row_dim + b]]
            for j in range(32 * b, 32 * b + 32):
                values[i, j] = _e4m3(records[i, j]) * factor


@njit(nogil=True, cache=True)
def _decode_f8_scalar(records: Any, table_scale: Any, values: Any) -> None:
    for i in range(len(values)):
        for j in range(values.shape[1]):
            values[i, j] = _e4m3(records[i, j]) * table_scale
