"""One row of any dtype -> float values; the kernels' loop over its blocks.

The plain definition is `engramctl.storage.record.codecs`; tests compare every dtype with it.
"""

from typing import Any

import numpy as np

from engramctl.runtime.kernel_cache import njit
from engramctl.storage.record.intrinsics import copy_bytes
from engramctl.storage.widening import decoders
from engramctl.storage.widening.writers import block_writer, plain_writer, value_reader

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
    "int8_f16": 12,
    "int8_bf16": 13,
    "int4_row": 14,
    "int4_row_f16": 15,
    "int4_row_bf16": 16,
    "f8_e4m3_f32": 17,
    "f8_e4m3_row": 18,
    "f8_e4m3_row_bf16": 19,
}
_F8, _BF16, _F32, _F16, _F8_SCALAR, _INT8, _INT4, _AFFINE, _NVFP4, _Q8_0, _Q4_0 = range(11)
_VALUES = 32  # written at a time by dtypes without blocks
_BLOCKS = 4  # written at a time by dtypes with blocks
_ONE, _NOWHERE = np.float32(1), 0
_INT8_F16, _INT8_BF16, _INT4_ROW, _INT4_ROW_F16, _INT4_ROW_BF16 = range(12, 17)
_F8_F32, _F8_ROW, _F8_ROW_BF16 = range(17, 20)
_factor = value_reader(decoders.f32_factor)
_factor_f16, _factor_bf16 = value_reader(decoders.f16), value_reader(decoders.bf16)
_half_bytes = plain_writer(decoders.nibbles, _VALUES)


def _plain(decode: Any, item_bytes: int) -> Any:
    """Return a kernel that writes a row of values, each times one factor: see `plain_writer`."""
    many, one = plain_writer(decode, _VALUES), plain_writer(decode, 1)

    @njit()
    def write_row(source: Any, factor: Any, row_dim: Any, target: Any, to_bf16: Any) -> None:
        size = 2 if to_bf16 else 4
        whole = row_dim & ~(_VALUES - 1)
        for j in range(0, whole, _VALUES):
            many(source + item_bytes * j, factor, target + size * j, to_bf16)
        for j in range(whole, row_dim):
            one(source + item_bytes * j, factor, target + size * j, to_bf16)

    return write_row


def _blocks(
    decode: Any, factor: Any, block_bytes: int, factor_step: int, num_values: int = 32
) -> Any:
    """Return a kernel that writes a row of blocks; see `block_writer`."""
    words = {"factor": factor, "block_bytes": block_bytes, "factor_step": factor_step}
    many = block_writer(decode, _BLOCKS, num_values=num_values, **words)
    one = block_writer(decode, 1, num_values=num_values, **words)

    @njit()
    def write_row(
        codes: Any, factors: Any, biases: Any, scale: Any, row_dim: Any, target: Any, to_bf16: Any
    ) -> None:
        size = num_values * (2 if to_bf16 else 4)
        blocks = row_dim // num_values
        whole = blocks & ~(_BLOCKS - 1)
        for b in range(0, whole, _BLOCKS):
            many(
                codes + block_bytes * b, factors + factor_step * b, biases + factor_step * b, scale,
                target + size * b, to_bf16,
            )  # fmt: skip
        for b in range(whole, blocks):
            one(
                codes + block_bytes * b, factors + factor_step * b, biases + factor_step * b, scale,
                target + size * b, to_bf16,
            )  # fmt: skip

    return write_row


@njit()
def _int4_plain_row(source: Any, factor: Any, row_dim: Any, target: Any, to_bf16: Any) -> None:
    """Write a row of nibbles, a multiple of 32, each times one factor."""
    size = 2 if to_bf16 else 4
    for j in range(0, row_dim, _VALUES):
        _half_bytes(source + (j >> 1), factor, target + size * j, to_bf16)


_bf16_row, _f32_row = _plain(decoders.bf16, 2), _plain(decoders.f32, 4)
_f16_row, _int8_row = _plain(decoders.f16, 2), _plain(decoders.signed_bytes, 1)
_f8_scalar_row = _plain(decoders.e4m3, 1)
_f8_row = _blocks(decoders.e4m3, decoders.e8m0, 32, 1)
_f8_f32_row = _blocks(decoders.e4m3, decoders.f32_factor, 32, 4)
_int4_row = _blocks(decoders.nibbles, decoders.f16, 16, 2)
_affine_row = _blocks(decoders.affine, decoders.f16, 16, 2)
_nvfp4_row = _blocks(decoders.e2m1, decoders.e4m3, 8, 1, 16)
_q8_0_row = _blocks(decoders.signed_bytes, decoders.f16, 34, 34)
_q4_0_row = _blocks(decoders.ggml_nibbles, decoders.f16, 18, 18)
_iq4_nl_row = _blocks(decoders.iq4_nl, decoders.f16, 18, 18)


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
    if code == _F8:
        _f8_row(weight, scale, _NOWHERE, _ONE, row_dim, target, to_bf16)
    elif code == _BF16:
        if to_bf16:
            copy_bytes(weight, target, 2 * row_dim)
        else:
            _bf16_row(weight, _ONE, row_dim, target, to_bf16)
    elif code == _F32:
        if to_bf16:
            _f32_row(weight, _ONE, row_dim, target, to_bf16)
        else:
            copy_bytes(weight, target, 4 * row_dim)
    elif code == _F16:
        _f16_row(weight, _ONE, row_dim, target, to_bf16)
    elif code == _F8_SCALAR:
        _f8_scalar_row(weight, table_scale, row_dim, target, to_bf16)
    elif code == _INT8:
        _int8_row(weight, _factor(scale), row_dim, target, to_bf16)
    elif code == _INT4:
        _int4_row(weight, scale, _NOWHERE, _ONE, row_dim, target, to_bf16)
    elif code == _AFFINE:
        _affine_row(weight, scale, scale + (row_dim >> 4), _ONE, row_dim, target, to_bf16)
    elif code == _NVFP4:
        _nvfp4_row(weight, scale, _NOWHERE, table_scale, row_dim, target, to_bf16)
    elif code == _Q8_0:
        _q8_0_row(weight + 2, weight, _NOWHERE, _ONE, row_dim, target, to_bf16)
    elif code == _Q4_0:
        _q4_0_row(weight + 2, weight, _NOWHERE, _ONE, row_dim, target, to_bf16)
    elif code == _INT8_F16:
        _int8_row(weight, _factor_f16(scale), row_dim, target, to_bf16)
    elif code == _INT8_BF16:
        _int8_row(weight, _factor_bf16(scale), row_dim, target, to_bf16)
    elif code == _INT4_ROW:
        _int4_plain_row(weight, _factor(scale), row_dim, target, to_bf16)
    elif code == _INT4_ROW_F16:
        _int4_plain_row(weight, _factor_f16(scale), row_dim, target, to_bf16)
    elif code == _INT4_ROW_BF16:
        _int4_plain_row(weight, _factor_bf16(scale), row_dim, target, to_bf16)
    elif code == _F8_F32:
        _f8_f32_row(weight, scale, _NOWHERE, _ONE, row_dim, target, to_bf16)
    elif code == _F8_ROW:
        _f8_scalar_row(weight, _factor(scale), row_dim, target, to_bf16)
    elif code == _F8_ROW_BF16:
        _f8_scalar_row(weight, _factor_bf16(scale), row_dim, target, to_bf16)
    else:
        _iq4_nl_row(weight + 2, weight, _NOWHERE, _ONE, row_dim, target, to_bf16)
