"""GGUF's block types that are read and never written: the K-quants, and q4_1, q5_0, q5_1.

A K-quant's block is 256 values behind small integer scales, which one or two float16 scale in turn.
Nothing looks rows up in them; they are widened to float32, in the order of operations of ggml's
`dequantize_row_*`, so every value is ggml's to the bit.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Bytes = NDArray[np.uint8]


@dataclass(frozen=True)
class ReadOnlyType:
    """A block type that can be widened.

    Attributes:
        name: as ggml has it.
        block_values: values in a block.
        block_bytes: bytes of a block.
        widen: uint8 (blocks, block_bytes) -> float32 (blocks, block_values).
    """

    name: str
    block_values: int
    block_bytes: int
    widen: Callable[[Bytes], Floats]

    def values(self, records: Bytes) -> Floats:
        """Return the values of rows, uint8 (n, whole blocks) -> float32 (n, values)."""
        blocks = np.ascontiguousarray(records).reshape(-1, self.block_bytes)
        with np.errstate(over="ignore", invalid="ignore"):
            return self.widen(blocks).reshape(len(records), -1)


def _halves(data: Bytes) -> Floats:
    return np.ascontiguousarray(data).view(np.float16).astype(np.float32)


def _fields(data: Bytes, run: int, bits: int) -> Bytes:
    """Return fields of `bits` bits: of each run of bytes all low fields, then all next ones."""
    shifts = np.arange(0, 8, bits, dtype=np.uint8).reshape(1, 1, -1, 1)
    fields = data.reshape(len(data), -1, 1, run) >> shifts & np.uint8((1 << bits) - 1)
    return np.asarray(fields.reshape(len(data), -1), np.uint8)


def _scaled(codes: NDArray[np.generic], factors: Floats, biases: Floats | None = None) -> Floats:
    """Return code * factor - bias, one of each for a group of a block's codes."""
    groups = codes.reshape(*factors.shape, -1).astype(np.float32)
    values = factors[:, :, None] * groups
    values = values if biases is None else values - biases[:, :, None]
    return np.asarray(values.reshape(len(codes), -1), np.float32)


def _six_bits(packed: Bytes) -> tuple[Floats, Floats]:
    """Return the eight scales and eight minima of q4_k and q5_k, from 12 bytes."""
    low, high, rest = packed[:, :4], packed[:, 4:8], packed[:, 8:]
    scales = np.concatenate([low & 63, (rest & 15) | (low >> 2 & 48)], axis=1)
    minima = np.concatenate([high & 63, (rest >> 4) | (high >> 2 & 48)], axis=1)
    return scales.astype(np.float32), minima.astype(np.float32)


def _q2_k(blocks: Bytes) -> Floats:
    packed, codes = blocks[:, :16], _fields(blocks[:, 16:80], 32, 2)
    factors = _halves(blocks[:, 80:82]) * (packed & 15).astype(np.float32)
    return _scaled(codes, factors, _halves(blocks[:, 82:84]) * (packed >> 4).astype(np.float32))


def _q3_k(blocks: Bytes) -> Floats:
    low, packed = _fields(blocks[:, 32:96], 32, 2), blocks[:, 96:108]
    high = _fields(blocks[:, :32], 32, 1)  # a set bit takes nothing away
    sixes = _fields(packed[:, :8], 8, 4) | _fields(packed[:, 8:], 4, 2) << 4
    factors = _halves(blocks[:, 108:]) * (sixes.astype(np.float32) - np.float32(32))
    return _scaled(low.astype(np.int8) - 4 * (1 - high.astype(np.int8)), factors)


def _q4_k(blocks: Bytes) -> Floats:
    scales, minima = _six_bits(blocks[:, 4:16])
    codes = _fields(blocks[:, 16:], 32, 4)
    return _scaled(codes, _halves(blocks[:, :2]) * scales, _halves(blocks[:, 2:4]) * minima)


def _q5_k(blocks: Bytes) -> Floats:
    scales, minima = _six_bits(blocks[:, 4:16])
    codes = _fields(blocks[:, 48:], 32, 4) | _fields(blocks[:, 16:48], 32, 1) << 4
    return _scaled(codes, _halves(blocks[:, :2]) * scales, _halves(blocks[:, 2:4]) * minima)


def _q6_k(blocks: Bytes) -> Floats:
    codes = _fields(blocks[:, :128], 64, 4) | _fields(blocks[:, 128:192], 32, 2) << 4
    scales = np.ascontiguousarray(blocks[:, 192:208]).view(np.int8).astype(np.float32)
    return _scaled(codes.astype(np.int8) - np.int8(32), _halves(blocks[:, 208:]) * scales)


def _q4_1(blocks: Bytes) -> Floats:
    return _scaled(_fields(blocks[:, 4:], 16, 4), _halves(blocks[:, :2]), -_halves(blocks[:, 2:4]))


def _q5_0(blocks: Bytes) -> Floats:
    high = np.unpackbits(blocks[:, 2:6], axis=1, bitorder="little")
    codes = _fields(blocks[:, 6:], 16, 4) | high << 4
    return _scaled(codes.astype(np.int8) - np.int8(16), _halves(blocks[:, :2]))


def _q5_1(blocks: Bytes) -> Floats:
    high = np.unpackbits(blocks[:, 4:8], axis=1, bitorder="little")
    codes = _fields(blocks[:, 8:], 16, 4) | high << 4
    return _scaled(codes, _halves(blocks[:, :2]), -_halves(blocks[:, 2:4]))


READ_ONLY = {
    one.name: one
    for one in (
        ReadOnlyType("Q4_1", 32, 20, _q4_1),
        ReadOnlyType("Q5_0", 32, 22, _q5_0),
        ReadOnlyType("Q5_1", 32, 24, _q5_1),
        ReadOnlyType("Q2_K", 256, 84, _q2_k),
        ReadOnlyType("Q3_K", 256, 110, _q3_k),
        ReadOnlyType("Q4_K", 256, 144, _q4_k),
        ReadOnlyType("Q5_K", 256, 176, _q5_k),
        ReadOnlyType("Q6_K", 256, 210, _q6_k),
    )
}
