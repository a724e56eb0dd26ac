"""Stored values -> float32, dtype by dtype, as vector operations.

Each function here emits the values at an address; it takes a builder, the address, and how many.
The plain definition is `engramctl.storage.record.codecs`; tests compare every dtype with it.
"""

import math
from collections.abc import Callable, Sequence
from typing import Any

from llvmlite import ir

from engramctl.storage.record.codecs import E2M1_VALUES
from engramctl.storage.record.codecs_ggml import IQ4_NL
from engramctl.storage.widening.emit import (
    BYTE,
    FLOAT,
    SHORT,
    WORD,
    as_bits,
    as_floats,
    constant,
    load,
    vector,
)  # fmt: skip

Decode = Callable[[Any, Any, int], Any]


def e8m0(builder: Any, at: Any, count: int) -> Any:
    """Emit 2^(byte - 127): a float32's exponent field, but for 0 (subnormal) and 255 (NaN)."""
    bits = builder.zext(load(builder, at, BYTE, count), vector(WORD, count))
    zero = builder.icmp_unsigned("==", bits, constant(WORD, 0, count))
    nan = builder.icmp_unsigned("==", bits, constant(WORD, 255, count))
    wide = builder.shl(bits, constant(WORD, 23, count))
    wide = builder.select(zero, constant(WORD, 1 << 22, count), wide)
    return as_floats(builder, builder.select(nan, constant(WORD, 0x7FC00000, count), wide), count)


def e4m3(builder: Any, at: Any, count: int) -> Any:
    """Emit e4m3fn bytes: exponent and mantissa move to float32's place, plus 120 on the exponent.

    Subnormal ones, below 8, get an exponent one higher, and lose the 2^-6 that this adds: going
    through float32's own would be as exact and many times slower (each costs an assist).
    """
    bits = builder.zext(load(builder, at, BYTE, count), vector(WORD, count))
    low = builder.and_(bits, constant(WORD, 0x7F, count))
    small = builder.icmp_unsigned("<", low, constant(WORD, 8, count))
    base = builder.select(small, constant(WORD, 121 << 23, count), constant(WORD, 120 << 23, count))
    size = builder.add(builder.shl(low, constant(WORD, 20, count)), base)
    extra = builder.select(small, constant(FLOAT, 2.0**-6, count), constant(FLOAT, 0.0, count))
    size = as_bits(builder, builder.fsub(as_floats(builder, size, count), extra), count)
    nan = builder.icmp_unsigned("==", low, constant(WORD, 0x7F, count))
    size = builder.select(nan, constant(WORD, 0x7FC00000, count), size)
    sign = builder.shl(builder.and_(bits, constant(WORD, 0x80, count)), constant(WORD, 24, count))
    return as_floats(builder, builder.or_(size, sign), count)


SHORT_SCALES = (10, 246)
"""Scales, as e8m0 bytes, with which every e4m3 but 0 and NaN is a normal bfloat16."""


def e4m3_times_e8m0(builder: Any, at: Any, scale: Any, small: Any, count: int) -> Any:
    """Emit the bfloat16 bits of e4m3fn bytes times a power of two: exact, so integers do it.

    Args:
        builder: of the function.
        at: address of the bytes.
        scale: of SHORT_SCALES, the e8m0 byte as <count x i16>.
        small: chooses from a table by the low four bits; see `permuted`.
        count: how many.
    """
    bits = builder.zext(load(builder, at, BYTE, count), vector(SHORT, count))
    low = builder.and_(bits, constant(SHORT, 0x7F, count))
    size = builder.shl(low, constant(SHORT, 4, count))
    size = builder.add(size, constant(SHORT, 120 << 7, count))
    subnormal = builder.icmp_unsigned("<", low, constant(SHORT, 8, count))
    size = builder.select(subnormal, small(low), size)
    shift = builder.shl(builder.sub(scale, constant(SHORT, 127, count)), constant(SHORT, 7, count))
    zero = builder.icmp_unsigned("==", low, constant(SHORT, 0, count))
    size = builder.select(zero, low, builder.add(size, shift))
    nan = builder.icmp_unsigned("==", low, constant(SHORT, 0x7F, count))
    size = builder.select(nan, constant(SHORT, 0x7FC0, count), size)
    sign = builder.shl(builder.and_(bits, constant(SHORT, 0x80, count)), constant(SHORT, 8, count))
    return builder.or_(size, sign)


def signed_bytes(builder: Any, at: Any, count: int) -> Any:
    """Emit int8."""
    return builder.sitofp(load(builder, at, BYTE, count), vector(FLOAT, count))


def nibbles(builder: Any, at: Any, count: int) -> Any:
    """Emit nibbles, the low one of a byte first, minus 8."""
    return _less_eight(builder, _alternating(builder, at, count), count)


def affine(builder: Any, at: Any, count: int) -> Any:
    """Emit nibbles, the low one of a byte first; a bias is added after the factor."""
    return builder.uitofp(_alternating(builder, at, count), vector(FLOAT, count))


def ggml_nibbles(builder: Any, at: Any, count: int) -> Any:
    """Emit nibbles, all low ones first, minus 8."""
    return _less_eight(builder, _halved(builder, at, count), count)


def iq4_nl(builder: Any, at: Any, count: int) -> Any:
    """Emit ggml's 16 values by nibble, all low ones first."""
    return builder.sitofp(_chosen(builder, at, count), vector(FLOAT, count))


def _chosen(builder: Any, at: Any, count: int) -> Any:
    """Choose from 16 values by the four bits of a code, halving the choice with each."""
    codes = _halved(builder, at, count)
    choice = [constant(BYTE, int(value), count) for value in IQ4_NL]
    for bit in range(4):
        mask = builder.and_(codes, constant(BYTE, 1 << bit, count))
        is_set = builder.icmp_unsigned("!=", mask, constant(BYTE, 0, count))
        pairs = zip(choice[::2], choice[1::2], strict=True)
        choice = [builder.select(is_set, high, low) for low, high in pairs]
    return choice[0]


def e2m1(builder: Any, at: Any, count: int) -> Any:
    """Emit e2m1 nibbles, the low one of a byte first: 0, 0.5, 1, 1.5, 2, 3, 4, 6 and a sign.

    In the upper half of a float32: from 1 on, exponent and mantissa move to its place.
    """
    codes = builder.zext(_alternating(builder, at, count), vector(SHORT, count))
    size = builder.and_(codes, constant(SHORT, 7, count))
    wide = builder.add(
        builder.shl(size, constant(SHORT, 6, count)), constant(SHORT, 126 << 7, count)
    )
    half = builder.icmp_unsigned("==", size, constant(SHORT, 1, count))
    wide = builder.select(half, constant(SHORT, 126 << 7, count), wide)
    zero = builder.icmp_unsigned("==", size, constant(SHORT, 0, count))
    wide = builder.select(zero, constant(SHORT, 0, count), wide)
    sign = builder.and_(
        builder.shl(codes, constant(SHORT, 12, count)), constant(SHORT, 1 << 15, count)
    )
    return _upper(builder, builder.or_(wide, sign), count)


def f16(builder: Any, at: Any, count: int) -> Any:
    """Emit float16, by integers: not every processor converts them."""
    return widened_f16(builder, load(builder, at, SHORT, count), count)


def bf16(builder: Any, at: Any, count: int) -> Any:
    """Emit bfloat16."""
    return _upper(builder, load(builder, at, SHORT, count), count)


def f32(builder: Any, at: Any, count: int) -> Any:
    """Emit float32."""
    return load(builder, at, FLOAT, count)


def f32_factor(builder: Any, at: Any, count: int) -> Any:
    """Emit float32, any NaN as the one without low bits."""
    values = f32(builder, at, count)
    nan = builder.fcmp_unordered("uno", values, values)
    return builder.select(nan, constant(FLOAT, math.nan, count), values)


def widened_f16(builder: Any, halves: Any, count: int) -> Any:
    """Emit the float32 of float16 bits."""
    bits = builder.zext(halves, vector(WORD, count))
    low = builder.and_(bits, constant(WORD, 0x7FFF, count))
    small = builder.icmp_unsigned("<", low, constant(WORD, 0x400, count))
    base = builder.select(small, constant(WORD, 113 << 23, count), constant(WORD, 112 << 23, count))
    full = builder.icmp_unsigned(">=", low, constant(WORD, 0x7C00, count))
    base = builder.select(full, constant(WORD, 224 << 23, count), base)
    size = builder.add(builder.shl(low, constant(WORD, 13, count)), base)
    extra = builder.select(small, constant(FLOAT, 2.0**-14, count), constant(FLOAT, 0.0, count))
    size = as_bits(builder, builder.fsub(as_floats(builder, size, count), extra), count)
    nan = builder.icmp_unsigned(">", low, constant(WORD, 0x7C00, count))
    size = builder.select(nan, constant(WORD, 0x7FC00000, count), size)
    sign = builder.shl(builder.and_(bits, constant(WORD, 0x8000, count)), constant(WORD, 16, count))
    return as_floats(builder, builder.or_(size, sign), count)


def _alternating(builder: Any, at: Any, count: int) -> Any:
    return _both_nibbles(builder, at, [n // 2 + n % 2 * (count // 2) for n in range(count)])


def _halved(builder: Any, at: Any, count: int) -> Any:
    return _both_nibbles(builder, at, list(range(count)))


def _both_nibbles(builder: Any, at: Any, order: list[int]) -> Any:
    """Emit the nibbles of bytes, low ones and then high ones, in another order, as bytes."""
    half = len(order) // 2
    data = load(builder, at, BYTE, half)
    low = builder.and_(data, constant(BYTE, 15, half))
    high = builder.lshr(data, constant(BYTE, 4, half))
    return builder.shuffle_vector(low, high, ir.Constant(vector(WORD, len(order)), order))


def _less_eight(builder: Any, codes: Any, count: int) -> Any:
    return builder.sitofp(builder.sub(codes, constant(BYTE, 8, count)), vector(FLOAT, count))


def _upper(builder: Any, halves: Any, count: int) -> Any:
    """Emit the float32 whose upper halves these are."""
    words = builder.zext(halves, vector(WORD, count))
    return as_floats(builder, builder.shl(words, constant(WORD, 16, count)), count)


UNSCALED = (f16, bf16, f32)
TABLES: dict[Decode, tuple[Decode, Sequence[float]]] = {
    nibbles: (_alternating, range(-8, 8)),
    affine: (_alternating, range(16)),
    ggml_nibbles: (_halved, range(-8, 8)),
    iq4_nl: (_halved, IQ4_NL.tolist()),
    e2m1: (_alternating, E2M1_VALUES.tolist()),
}
"""Of dtypes with 16 values: the order of their codes, and the values. With few enough, a block's
outputs are made once and chosen, where the processor can."""
