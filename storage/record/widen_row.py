"""One row of the dtypes that are not read often enough for a loop of their own -> float values.

The plain definition is `engramctl.storage.record.codecs`; tests compare every dtype with it.
"""

from functools import cache
from typing import Any

import numpy as np
from numba import carray
from numpy.typing import NDArray

from engramctl.runtime.kernel_cache import njit
from engramctl.storage.record.codecs import E2M1_VALUES
from engramctl.storage.record.codecs_ggml import IQ4_NL
from engramctl.storage.record.intrinsics import as_pointer, bits_from_float, float_from_bits

DTYPE_CODES = {
    "f8_e4m3": 0,  # the first three have loops of their own in the gather kernel
    "bf16": 1,
    "f32": 2,
    "f16": 3,
    "f8_e4m3_scalar": 4,
    "int8": 5,
    "int4": 6,
    "int4_affine": 7,
    "nvfp4": 8,
    "q8_0": 9,
    "q4_0": 10,
    "iq4_nl": 11,
}
_F16, _F8_SCALAR, _INT8, _INT4, _AFFINE, _NVFP4, _Q8_0, _Q4_0 = range(3, 11)


@cache
def half_values() -> NDArray[np.float32]:
    """Return the value of each float16 bit pattern, float32 (65536,)."""
    return np.arange(1 << 16, dtype=np.uint16).view(np.float16).astype(np.float32)


@njit(inline="always")
def round_bf16(value: Any) -> Any:
    """Return the bf16 bits of a float32, rounded to nearest even; NaN stays NaN."""
    bits = bits_from_float(value)
    if value != value:
        return np.uint16(0x7FC0)
    return np.uint16((bits + np.uint32(0x7FFF) + ((bits >> np.uint32(16)) & np.uint32(1)))
                     >> np.uint32(16))  # fmt: skip


@njit(inline="always")
def e4m3(byte: Any) -> Any:
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


@njit(inline="always")
def _half(data: Any, at: Any, halves: Any) -> Any:
    return halves[np.int64(data[at]) | (np.int64(data[at + 1]) << 8)]


@njit(inline="always")
def _nibble(data: Any, at: Any, high: Any) -> Any:
    return (np.int64(data[at]) >> (4 * high)) & 15


@njit(inline="always")
def _value(code: Any, w: Any, s: Any, j: Any, row_dim: Any, scale: Any, halves: Any) -> Any:
    """Return value j of a row: `w` its value bytes, `s` its scale bytes, `scale` the table's."""
    if code == _F16:
        return _half(w, 2 * j, halves)
    if code == _F8_SCALAR:
        return e4m3(w[j]) * scale
    if code == _INT8:
        bits = np.uint32(0)
        for k in range(4):
            bits |= np.uint32(s[k]) << np.uint32(8 * k)
        return np.float32(np.int8(w[j])) * float_from_bits(bits)
    if code == _INT4:
        step = np.float32(_nibble(w, j >> 1, j & 1) - 8)
        return step * _half(s, 2 * (j >> 5), halves)
    if code == _AFFINE:
        group = 2 * (j >> 5)
        exact = np.float64(_nibble(w, j >> 1, j & 1)) * np.float64(_half(s, group, halves))
        return np.float32(exact + np.float64(_half(s, (row_dim >> 4) + group, halves)))
    if code == _NVFP4:
        return E2M1_VALUES[_nibble(w, j >> 1, j & 1)] * (e4m3(s[j >> 4]) * scale)
    if code == _Q8_0:
        block = (j >> 5) * 34
        return np.float32(np.int8(w[block + 2 + (j & 31)])) * _half(w, block, halves)
    block = (j >> 5) * 18
    number = _nibble(w, block + 2 + (j & 15), (j >> 4) & 1)
    if code == _Q4_0:
        return np.float32(number - 8) * _half(w, block, halves)
    return IQ4_NL[number] * _half(w, block, halves)


@njit(nogil=True, cache=True)
def widen_row(
    code: Any,
    weight: Any,
    scale: Any,
    row_dim: Any,
    record_bytes: Any,
    table_scale: Any,
    halves: Any,
    to_bf16: Any,
    target: Any,
) -> None:
    """Write the values of one row.

    Args:
        code: one of DTYPE_CODES, from f16 on.
        weight: address of its value bytes.
        scale: address of its scale bytes.
        row_dim: values.
        record_bytes: no part is longer.
        table_scale: float32, of the layer.
        halves: see `half_values`.
        to_bf16: write bfloat16, else float32.
        target: address of the output row.
    """
    w = carray(as_pointer(weight), (record_bytes,), np.uint8)
    s = carray(as_pointer(scale), (record_bytes,), np.uint8)
    if to_bf16:
        shorts = carray(as_pointer(target), (row_dim,), np.uint16)
        for j in range(row_dim):
            shorts[j] = round_bf16(_value(code, w, s, j, row_dim, table_scale, halves))
    else:
        longs = carray(as_pointer(target), (row_dim,), np.float32)
        for j in range(row_dim):
            longs[j] = _value(code, w, s, j, row_dim, table_scale, halves)
