"""One row of any dtype -> float values; the kernels' loop over its blocks.

The plain definition is `engramctl.storage.record.codecs`; tests compare every dtype with it.
"""

from typing import Any

import numpy as np

from engramctl.runtime.kernel_cache import njit
from engramctl.storage.record.intrinsics import copy_bytes
from engramctl.storage.widening import vectors
from engramctl.storage.widening.vectors import block_writer, value_reader

DTYPE_CODES = {
    "f8_e4m3": 0,
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
_F8, _BF16, _F32, _F16, _F8_SCALAR, _INT8, _INT4, _AFFINE, _NVFP4, _Q8_0, _Q4_0 = range(11)
_BLOCK = 32
_ONE, _NONE = np.float32(1), np.float32(0)
_e8m0, _one_e4m3 = value_reader(vectors.e8m0), value_reader(vectors.e4m3)
_half, _float = value_reader(vectors.f16), value_reader(vectors.f32)
_e4m3, _e4m3_last = block_writer(vectors.e4m3, 32), block_writer(vectors.e4m3, 1)
_bytes, _bytes_last = block_writer(vectors.signed_bytes, 32), block_writer(vectors.signed_bytes, 1)
_bf16, _bf16_last = block_writer(vectors.bf16, 32), block_writer(vectors.bf16, 1)
_f16, _f16_last = block_writer(vectors.f16, 32), block_writer(vectors.f16, 1)
_f32, _f32_last = block_writer(vectors.f32, 32), block_writer(vectors.f32, 1)
_nibbles, _affine = block_writer(vectors.nibbles, 32), block_writer(vectors.affine, 32)
_e2m1, _q4_0 = block_writer(vectors.e2m1, 16), block_writer(vectors.ggml_nibbles, 32)
_iq4_nl = block_writer(vectors.iq4_nl, 32)


@njit(nogil=True, cache=True)
def widen_row(
    code: Any,
    weight: Any,
    scale: Any,
    row_dim: Any,
    table_scale: Any,
    to_bf16: Any,
    target: Any,
) -> None:
    """Write the values of one row.

    Args:
        code: one of DTYPE_CODES.
        weight: address of its value bytes.
        scale: address of its scale bytes.
        row_dim: values.
        table_scale: float32, of the layer.
        to_bf16: write bfloat16, else float32.
        target: address of the output row.
    """
    size = 2 if to_bf16 else 4
    blocks = row_dim >> 5
    whole = blocks << 5
    if code == _F8:
        for b in range(blocks):
            _e4m3(weight + 32 * b, _e8m0(scale + b), _NONE, target + 32 * b * size, to_bf16)
    elif code == _BF16:
        if to_bf16:
            copy_bytes(weight, target, 2 * row_dim)
            return
        for j in range(0, whole, _BLOCK):
            _bf16(weight + 2 * j, _ONE, _NONE, target + j * size, to_bf16)
        for j in range(whole, row_dim):
            _bf16_last(weight + 2 * j, _ONE, _NONE, target + j * size, to_bf16)
    elif code == _F32:
        if not to_bf16:
            copy_bytes(weight, target, 4 * row_dim)
            return
        for j in range(0, whole, _BLOCK):
            _f32(weight + 4 * j, _ONE, _NONE, target + j * size, to_bf16)
        for j in range(whole, row_dim):
            _f32_last(weight + 4 * j, _ONE, _NONE, target + j * size, to_bf16)
    elif code == _F16:
        for j in range(0, whole, _BLOCK):
            _f16(weight + 2 * j, _ONE, _NONE, target + j * size, to_bf16)
        for j in range(whole, row_dim):
            _f16_last(weight + 2 * j, _ONE, _NONE, target + j * size, to_bf16)
    elif code == _F8_SCALAR:
        for j in range(0, whole, _BLOCK):
            _e4m3(weight + j, table_scale, _NONE, target + j * size, to_bf16)
        for j in range(whole, row_dim):
            _e4m3_last(weight + j, table_scale, _NONE, target + j * size, to_bf16)
    elif code == _INT8:
        factor = _float(scale)
        for j in range(0, whole, _BLOCK):
            _bytes(weight + j, factor, _NONE, target + j * size, to_bf16)
        for j in range(whole, row_dim):
            _bytes_last(weight + j, factor, _NONE, target + j * size, to_bf16)
    elif code == _INT4:
        for b in range(blocks):
            _nibbles(weight + 16 * b, _half(scale + 2 * b), _NONE, target + 32 * b * size, to_bf16)
    elif code == _AFFINE:
        biases = scale + 2 * blocks
        for b in range(blocks):
            _affine(
                weight + 16 * b, _half(scale + 2 * b), _half(biases + 2 * b),
                target + 32 * b * size, to_bf16,
            )  # fmt: skip
    elif code == _NVFP4:
        for b in range(row_dim >> 4):
            factor = _one_e4m3(scale + b) * table_scale
            _e2m1(weight + 8 * b, factor, _NONE, target + 16 * b * size, to_bf16)
    elif code == _Q8_0:
        for b in range(blocks):
            at = weight + 34 * b
            _bytes(at + 2, _half(at), _NONE, target + 32 * b * size, to_bf16)
    elif code == _Q4_0:
        for b in range(blocks):
            at = weight + 18 * b
            _q4_0(at + 2, _half(at), _NONE, target + 32 * b * size, to_bf16)
    else:
        for b in range(blocks):
            at = weight + 18 * b
            _iq4_nl(at + 2, _half(at), _NONE, target + 32 * b * size, to_bf16)
