"""Codes times a scale that is a float: a scale a row (int8, int4, e4m3), or for 32 e4m3 values.

Published tables store the scale as F32, F16 or BF16. The plain numpy way, as `codecs`.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from engramctl.storage.record.record import (
    E4M3_MAX,
    RecordSpec,
    e4m3_values,
    to_bf16_bits,
    to_e4m3_bytes,
)

Floats = NDArray[np.float32]
Bytes = NDArray[np.uint8]
Codes = NDArray[np.float64]
FLOAT_SCALED = {
    "int8": "int8",
    "int8_f16": "int8",
    "int8_bf16": "int8",
    "int4_row": "int4",
    "int4_row_f16": "int4",
    "int4_row_bf16": "int4",
    "f8_e4m3_f32": "e4m3",
    "f8_e4m3_row": "e4m3",
    "f8_e4m3_row_bf16": "e4m3",
}
"""What the codes are, by dtype; how many share a scale, and its type, `Dtype` says."""


def widened(scales: Bytes, kind: str) -> Floats:
    """Return stored scales as values: float32 (n, scales).

    Args:
        scales: uint8 (n, bytes), contiguous.
        kind: F32, F16 or BF16.
    """
    if kind == "F32":
        return scales.view(np.float32)
    if kind == "F16":
        return scales.view(np.float16).astype(np.float32)
    return (scales.view(np.uint16).astype(np.uint32) << 16).view(np.float32)


def as_stored(values: Floats, kind: str) -> Bytes:
    """Return scales rounded to their type, ties to even, as bytes: uint8 (n, bytes).

    Args:
        values: float32 (n, scales).
        kind: F32, F16 or BF16.
    """
    stored: NDArray[np.generic] = values
    if kind == "F16":
        stored = values.astype(np.float16)
    elif kind == "BF16":
        stored = to_bf16_bits(values)
    return np.ascontiguousarray(stored).view(np.uint8).reshape(len(values), -1)


def nibbles(weights: Bytes) -> Bytes:
    """Return the nibbles of bytes, the low one first."""
    return np.stack([weights & 15, weights >> 4], axis=2).reshape(len(weights), -1)


def packed(codes: Bytes) -> Bytes:
    """Return bytes of nibbles, the low one first."""
    return np.asarray(codes[:, ::2] | (codes[:, 1::2] << 4), dtype=np.uint8)


def decode(spec: RecordSpec, weights: Bytes, scales: Bytes) -> Floats:
    """Return code times scale, float32 (n, row_dim), rounded once."""
    codes = _NUMBERS[FLOAT_SCALED[spec.dtype]](weights)
    factors = widened(scales, spec.facts.scale_tensor or "")
    product = codes * factors.repeat(spec.row_dim // factors.shape[1], axis=1)
    return np.asarray(product, dtype=np.float32)


def encode(spec: RecordSpec, values: Floats) -> tuple[Bytes, Bytes]:
    """Return weights and scales of values: the scale takes the largest of them to the top code."""
    largest_code, codes_of = _CODES[FLOAT_SCALED[spec.dtype]]
    scale = spec.facts.scale_tensor or ""
    groups = spec.scale_bytes // spec.facts.scale_item_bytes
    blocks = values.reshape(len(values), groups, -1)
    largest = np.abs(blocks).max(axis=2) + np.float32(0)  # no zero has a sign
    stored = as_stored((largest / np.float32(largest_code)).astype(np.float32), scale)
    steps = widened(stored, scale).astype(np.float64)[:, :, None]
    shrunk = np.where(steps == 0, 0, blocks / np.where(steps == 0, 1, steps))
    return codes_of(shrunk.reshape(len(values), -1)), stored


def _int8(shrunk: Codes) -> Bytes:
    return np.clip(np.rint(shrunk), -127, 127).astype(np.int8).view(np.uint8)


def _int4(shrunk: Codes) -> Bytes:
    return packed((np.clip(np.rint(shrunk), -8, 7) + 8).astype(np.uint8))


_NUMBERS: dict[str, Callable[[Bytes], Floats]] = {
    "int8": lambda weights: weights.view(np.int8).astype(np.float32),
    "int4": lambda weights: nibbles(weights).astype(np.float32) - np.float32(8),
    "e4m3": lambda weights: e4m3_values()[weights],
}
_CODES: dict[str, tuple[float, Callable[[Codes], Bytes]]] = {
    "int8": (127, _int8),
    "int4": (7, _int4),
    "e4m3": (E4M3_MAX, to_e4m3_bytes),
}
