"""GGUF's block types q8_0, q4_0 and iq4_nl: 32 values behind one float16 scale d.

Source of layouts and rounding: ggml's `quantize_row_*_ref` and `dequantize_row_*`.
"""

import numpy as np
from numpy.typing import NDArray

BLOCK = 32
IQ4_NL = np.array(
    [-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113], np.float32
)
Floats = NDArray[np.float32]
Bytes = NDArray[np.uint8]


def decode_q8_0(weights: Bytes) -> Floats:
    """Return d * q of blocks of d and 32 int8, float32 (n, values)."""
    scales, codes = _parts(weights, 34)
    return _rows(codes.view(np.int8).astype(np.float32) * scales, len(weights))


def encode_q8_0(values: Floats) -> Bytes:
    """Return q8_0 rows, uint8 (n, bytes): d is a block's largest size / 127."""
    blocks = values.reshape(-1, BLOCK)
    scales = np.abs(blocks).max(axis=1, keepdims=True) / np.float32(127)
    scaled = blocks * _inverse(scales)
    rounded = np.trunc(scaled + np.copysign(np.float32(0.5), scaled))  # halves go away from 0
    return _joined(scales, rounded.astype(np.int8).view(np.uint8), len(values))


def decode_q4_0(weights: Bytes) -> Floats:
    """Return d * (q - 8) of blocks of d and 16 bytes: q of j low, of j + 16 high."""
    scales, codes = _parts(weights, 18)
    return _rows((_nibbles(codes).astype(np.float32) - np.float32(8)) * scales, len(weights))


def encode_q4_0(values: Floats) -> Bytes:
    """Return q4_0 rows, uint8 (n, bytes): d is a block's largest value, with its sign, / -8."""
    blocks = values.reshape(-1, BLOCK)
    scales = _extreme(blocks) / np.float32(-8)
    codes = np.trunc(blocks * _inverse(scales) + np.float32(8.5)).clip(0, 15).astype(np.uint8)
    return _joined(scales, _packed(codes), len(values))


def decode_iq4_nl(weights: Bytes) -> Floats:
    """Return d * table[q] of blocks of d and 16 bytes: q of j low, of j + 16 high."""
    scales, codes = _parts(weights, 18)
    return _rows(IQ4_NL[_nibbles(codes)] * scales, len(weights))


def encode_iq4_nl(values: Floats) -> Bytes:
    """Return iq4_nl rows, uint8 (n, bytes): d takes the largest value to -127, codes are nearest.

    ggml searches for a better d; its rows decode the same way.
    """
    blocks = values.reshape(-1, BLOCK)
    scales = (_extreme(blocks) / IQ4_NL[0]).astype(np.float16).astype(np.float32)
    middles = (IQ4_NL[1:] + IQ4_NL[:-1]) / 2
    codes = np.searchsorted(middles, blocks * _inverse(scales)).astype(np.uint8)
    return _joined(scales, _packed(codes), len(values))


def _parts(weights: Bytes, block_bytes: int) -> tuple[Floats, Bytes]:
    blocks = weights.reshape(-1, block_bytes)
    scales = np.ascontiguousarray(blocks[:, :2]).view(np.float16).astype(np.float32)
    return scales, np.ascontiguousarray(blocks[:, 2:])


def _joined(scales: Floats, codes: Bytes, rows: int) -> Bytes:
    halves = scales.astype(np.float16).view(np.uint8).reshape(-1, 2)
    return np.concatenate([halves, codes], axis=1).reshape(rows, -1)


def _extreme(blocks: Floats) -> Floats:
    """Return each block's value of largest size, with its sign, float32 (blocks, 1)."""
    return np.take_along_axis(blocks, np.abs(blocks).argmax(axis=1)[:, None], axis=1)


def _inverse(scales: Floats) -> Floats:
    """Return 1 / d; 0 where that is infinite: such a d is 0 as float16, and codes must be some."""
    inverse = np.float32(1) / np.where(scales == 0, 1, scales)
    return np.where((scales == 0) | np.isinf(inverse), 0, inverse).astype(np.float32)


def _nibbles(codes: Bytes) -> Bytes:
    return np.concatenate([codes & 15, codes >> 4], axis=1)


def _packed(codes: Bytes) -> Bytes:
    return np.asarray(codes[:, :16] | (codes[:, 16:] << 4), dtype=np.uint8)


def _rows(values: NDArray[np.floating], rows: int) -> Floats:
    return values.reshape(rows, -1).astype(np.float32)
