"""Blocks of stored values -> floats, as vector operations: what LLVM would not find in a loop.

Each function made here is for numba kernels and reads and writes where it is told to. The vectors
are LLVM's own, so any processor has them. The plain definition is
`engramctl.storage.record.codecs`; tests compare every dtype with it.
"""

import math
from collections.abc import Callable
from typing import Any

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from engramctl.storage.record.codecs_ggml import IQ4_NL

_BYTE, _SHORT, _WORD, _FLOAT = ir.IntType(8), ir.IntType(16), ir.IntType(32), ir.FloatType()
Decode = Callable[[Any, Any, int], Any]


def plain_writer(decode: Decode, num_values: int) -> Any:
    """Return a function that writes values, each times one factor where the dtype has one.

    Its arguments: address of their bytes, int64; factor, float32; address of the output, int64;
    whether to write bfloat16, else float32. A NaN comes out as one, whatever its bits.

    Args:
        decode: emits the values as float32; takes builder, address and number.
        num_values: how many.
    """

    @intrinsic
    def write(typingctx: Any, source: Any, factor: Any, target: Any, to_bf16: Any) -> Any:
        def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            at, factor, target, to_bf16 = args
            values = decode(builder, at, num_values)
            if decode not in _UNSCALED:
                values = builder.fmul(values, _splat(builder, factor, 0, num_values))
            _write(builder, [(values, 0)], target, to_bf16, any_nan=decode is f32)
            return context.get_dummy_value()

        return types.void(types.int64, types.float32, types.int64, types.boolean), codegen

    return write


def block_writer(
    decode: Decode,
    num_blocks: int,
    *,
    factor: Decode,
    block_bytes: int,
    factor_step: int,
    num_values: int = 32,
) -> Any:
    """Return a function that writes blocks of values, each times its block's factor.

    Several blocks at a time, because reading factors costs as much as widening values. Its
    arguments: address of the first block's codes; of its factor; of its bias, for `affine`, all
    int64; a float32 that scales every factor; address of the output, int64; whether to write
    bfloat16, else float32.

    Args:
        decode: emits the codes of a block as float32; takes builder, address and number.
        num_blocks: how many.
        factor: emits factors, and biases.
        block_bytes: from one block's codes to the next one's.
        factor_step: bytes from one factor to the next; when they lie close, they are read at once.
        num_values: of a block.
    """

    @intrinsic
    def write(
        typingctx: Any, codes: Any, factors: Any, biases: Any, scale: Any, target: Any, to_bf16: Any
    ) -> Any:
        def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            codes, factors, biases, scale, target, to_bf16 = args
            wide = _spread(builder, factor, factors, factor_step, num_blocks)
            if decode is e2m1:
                wide = builder.fmul(wide, _splat(builder, scale, 0, num_blocks))
            shifts = factor(builder, biases, num_blocks) if decode is affine else None
            done = []
            for block in range(num_blocks):
                at = builder.add(codes, codes.type(block * block_bytes))
                values = decode(builder, at, num_values)
                values = builder.fmul(values, _splat(builder, wide, block, num_values))
                if shifts is not None:
                    values = builder.fadd(values, _splat(builder, shifts, block, num_values))
                done.append((values, block * num_values))
            _write(builder, done, target, to_bf16)
            return context.get_dummy_value()

        words = (types.int64, types.int64, types.int64, types.float32, types.int64, types.boolean)
        return types.void(*words), codegen

    return write


def _spread(builder: Any, decode: Decode, at: Any, step: int, count: int) -> Any:
    """Emit values that lie `step` bytes apart, as one vector."""
    if step <= 2:
        return decode(builder, at, count)
    return _widened_f16(builder, _far_halves(builder, at, step, count), count)


def _far_halves(builder: Any, at: Any, step: int, count: int) -> Any:
    halves = ir.Constant(_vector(_SHORT, count), [0] * count)
    for n in range(count):
        one = _load(builder, builder.add(at, at.type(n * step)), _SHORT, 1)
        one = builder.extract_element(one, _WORD(0))
        halves = builder.insert_element(halves, one, _WORD(n))
    return halves


def _write(
    builder: Any, done: list[tuple[Any, int]], target: Any, to_bf16: Any, *, any_nan: bool = False
) -> None:
    """Emit the stores of values, each at its place in the output."""
    with builder.if_else(to_bf16) as (short, long):
        with short:
            for values, first in done:
                rounded = _rounded(builder, values, values.type.count, any_nan=any_nan)
                _store(builder, rounded, builder.add(target, target.type(2 * first)))
        with long:
            for values, first in done:
                _store(builder, values, builder.add(target, target.type(4 * first)))


def value_reader(decode: Decode) -> Any:
    """Return a function that reads one value: address, int64, to float32.

    Args:
        decode: see `block_writer`.
    """

    @intrinsic
    def read(typingctx: Any, source: Any) -> Any:
        def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            return builder.extract_element(decode(builder, args[0], 1), _WORD(0))

        return types.float32(types.int64), codegen

    return read


def e8m0(builder: Any, at: Any, count: int) -> Any:
    """Emit 2^(byte - 127): a float32's exponent field, but for 0 (subnormal) and 255 (NaN)."""
    bits = builder.zext(_load(builder, at, _BYTE, count), _vector(_WORD, count))
    zero = builder.icmp_unsigned("==", bits, _all(_WORD, 0, count))
    nan = builder.icmp_unsigned("==", bits, _all(_WORD, 255, count))
    wide = builder.shl(bits, _all(_WORD, 23, count))
    wide = builder.select(zero, _all(_WORD, 1 << 22, count), wide)
    return _floats(builder, builder.select(nan, _all(_WORD, 0x7FC00000, count), wide), count)


def e4m3(builder: Any, at: Any, count: int) -> Any:
    """Emit e4m3fn bytes: exponent and mantissa move to float32's place, plus 120 on the exponent.

    Subnormal ones, below 8, get an exponent one higher, and lose the 2^-6 that this adds: going
    through float32's own would be as exact and many times slower (each costs an assist).
    """
    bits = builder.zext(_load(builder, at, _BYTE, count), _vector(_WORD, count))
    low = builder.and_(bits, _all(_WORD, 0x7F, count))
    small = builder.icmp_unsigned("<", low, _all(_WORD, 8, count))
    base = builder.select(small, _all(_WORD, 121 << 23, count), _all(_WORD, 120 << 23, count))
    size = builder.add(builder.shl(low, _all(_WORD, 20, count)), base)
    extra = builder.select(small, _all(_FLOAT, 2.0**-6, count), _all(_FLOAT, 0.0, count))
    size = _bits(builder, builder.fsub(_floats(builder, size, count), extra), count)
    nan = builder.icmp_unsigned("==", low, _all(_WORD, 0x7F, count))
    size = builder.select(nan, _all(_WORD, 0x7FC00000, count), size)
    sign = builder.shl(builder.and_(bits, _all(_WORD, 0x80, count)), _all(_WORD, 24, count))
    return _floats(builder, builder.or_(size, sign), count)


def signed_bytes(builder: Any, at: Any, count: int) -> Any:
    """Emit int8."""
    return builder.sitofp(_load(builder, at, _BYTE, count), _vector(_FLOAT, count))


def nibbles(builder: Any, at: Any, count: int) -> Any:
    """Emit nibbles, the low one of a byte first, minus 8."""
    return _less_eight(builder, _alternating(builder, at, count), count)


def affine(builder: Any, at: Any, count: int) -> Any:
    """Emit nibbles, the low one of a byte first; a bias is added after the factor."""
    return builder.uitofp(_alternating(builder, at, count), _vector(_FLOAT, count))


def ggml_nibbles(builder: Any, at: Any, count: int) -> Any:
    """Emit nibbles, all low ones first, minus 8."""
    return _less_eight(builder, _halved(builder, at, count), count)


def iq4_nl(builder: Any, at: Any, count: int) -> Any:
    """Emit ggml's 16 values by nibble, all low ones first."""
    return builder.sitofp(_chosen(builder, at, count), _vector(_FLOAT, count))


def _chosen(builder: Any, at: Any, count: int) -> Any:
    """Choose from 16 values by the four bits of a code, halving the choice with each."""
    codes = _halved(builder, at, count)
    choice = [_all(_BYTE, int(value), count) for value in IQ4_NL]
    for bit in range(4):
        mask = builder.and_(codes, _all(_BYTE, 1 << bit, count))
        is_set = builder.icmp_unsigned("!=", mask, _all(_BYTE, 0, count))
        pairs = zip(choice[::2], choice[1::2], strict=True)
        choice = [builder.select(is_set, high, low) for low, high in pairs]
    return choice[0]


def e2m1(builder: Any, at: Any, count: int) -> Any:
    """Emit e2m1 nibbles, the low one of a byte first: 0, 0.5, 1, 1.5, 2, 3, 4, 6 and a sign.

    In the upper half of a float32: from 1 on, exponent and mantissa move to its place.
    """
    codes = builder.zext(_alternating(builder, at, count), _vector(_SHORT, count))
    size = builder.and_(codes, _all(_SHORT, 7, count))
    wide = builder.add(builder.shl(size, _all(_SHORT, 6, count)), _all(_SHORT, 126 << 7, count))
    half = builder.icmp_unsigned("==", size, _all(_SHORT, 1, count))
    wide = builder.select(half, _all(_SHORT, 126 << 7, count), wide)
    zero = builder.icmp_unsigned("==", size, _all(_SHORT, 0, count))
    wide = builder.select(zero, _all(_SHORT, 0, count), wide)
    sign = builder.and_(builder.shl(codes, _all(_SHORT, 12, count)), _all(_SHORT, 1 << 15, count))
    return _upper(builder, builder.or_(wide, sign), count)


def f16(builder: Any, at: Any, count: int) -> Any:
    """Emit float16, by integers: not every processor converts them."""
    return _widened_f16(builder, _load(builder, at, _SHORT, count), count)


def bf16(builder: Any, at: Any, count: int) -> Any:
    """Emit bfloat16."""
    return _upper(builder, _load(builder, at, _SHORT, count), count)


def f32(builder: Any, at: Any, count: int) -> Any:
    """Emit float32."""
    return _load(builder, at, _FLOAT, count)


def f32_factor(builder: Any, at: Any, count: int) -> Any:
    """Emit float32, any NaN as the one without low bits."""
    values = f32(builder, at, count)
    nan = builder.fcmp_unordered("uno", values, values)
    return builder.select(nan, _all(_FLOAT, math.nan, count), values)


_UNSCALED = (f16, bf16, f32)


def _widened_f16(builder: Any, halves: Any, count: int) -> Any:
    bits = builder.zext(halves, _vector(_WORD, count))
    low = builder.and_(bits, _all(_WORD, 0x7FFF, count))
    small = builder.icmp_unsigned("<", low, _all(_WORD, 0x400, count))
    base = builder.select(small, _all(_WORD, 113 << 23, count), _all(_WORD, 112 << 23, count))
    full = builder.icmp_unsigned(">=", low, _all(_WORD, 0x7C00, count))
    base = builder.select(full, _all(_WORD, 224 << 23, count), base)
    size = builder.add(builder.shl(low, _all(_WORD, 13, count)), base)
    extra = builder.select(small, _all(_FLOAT, 2.0**-14, count), _all(_FLOAT, 0.0, count))
    size = _bits(builder, builder.fsub(_floats(builder, size, count), extra), count)
    nan = builder.icmp_unsigned(">", low, _all(_WORD, 0x7C00, count))
    size = builder.select(nan, _all(_WORD, 0x7FC00000, count), size)
    sign = builder.shl(builder.and_(bits, _all(_WORD, 0x8000, count)), _all(_WORD, 16, count))
    return _floats(builder, builder.or_(size, sign), count)


def _alternating(builder: Any, at: Any, count: int) -> Any:
    return _both_nibbles(builder, at, [n // 2 + n % 2 * (count // 2) for n in range(count)])


def _halved(builder: Any, at: Any, count: int) -> Any:
    return _both_nibbles(builder, at, list(range(count)))


def _both_nibbles(builder: Any, at: Any, order: list[int]) -> Any:
    """Emit the nibbles of bytes, low ones and then high ones, in another order, as bytes."""
    half = len(order) // 2
    data = _load(builder, at, _BYTE, half)
    low = builder.and_(data, _all(_BYTE, 15, half))
    high = builder.lshr(data, _all(_BYTE, 4, half))
    return builder.shuffle_vector(low, high, ir.Constant(_vector(_WORD, len(order)), order))


def _less_eight(builder: Any, codes: Any, count: int) -> Any:
    return builder.sitofp(builder.sub(codes, _all(_BYTE, 8, count)), _vector(_FLOAT, count))


def _upper(builder: Any, halves: Any, count: int) -> Any:
    """Emit the float32 whose upper halves these are."""
    words = builder.zext(halves, _vector(_WORD, count))
    return _floats(builder, builder.shl(words, _all(_WORD, 16, count)), count)


def _rounded(builder: Any, values: Any, count: int, *, any_nan: bool) -> Any:
    """Emit the bfloat16 bits of float32, rounded to nearest even; NaN stays NaN.

    NaNs that were computed here have no low bits, which would carry into the sign.
    """
    bits = _bits(builder, values, count)
    odd = builder.and_(builder.lshr(bits, _all(_WORD, 16, count)), _all(_WORD, 1, count))
    near = builder.add(builder.add(bits, _all(_WORD, 0x7FFF, count)), odd)
    if any_nan:
        nan = builder.fcmp_unordered("uno", values, values)
        near = builder.select(nan, _all(_WORD, 0x7FC00000, count), near)
    upper = builder.lshr(near, _all(_WORD, 16, count))
    return builder.trunc(upper, _vector(_SHORT, count))


def _vector(kind: Any, count: int) -> Any:
    return ir.VectorType(kind, count)


def _all(kind: Any, value: float, count: int) -> Any:
    return ir.Constant(_vector(kind, count), [value] * count)


def _splat(builder: Any, value: Any, lane: int, count: int) -> Any:
    """Emit a vector of one value: a scalar, or a lane of another vector."""
    if not isinstance(value.type, ir.VectorType):
        one = ir.Constant(_vector(_FLOAT, 1), [0.0])
        value = builder.insert_element(one, value, _WORD(0))
    return builder.shuffle_vector(value, value, ir.Constant(_vector(_WORD, count), [lane] * count))


def _load(builder: Any, at: Any, kind: Any, count: int) -> Any:
    return builder.load(builder.inttoptr(at, _vector(kind, count).as_pointer()), align=1)


def _store(builder: Any, values: Any, target: Any) -> None:
    builder.store(values, builder.inttoptr(target, values.type.as_pointer()), align=1)


def _floats(builder: Any, bits: Any, count: int) -> Any:
    return builder.bitcast(bits, _vector(_FLOAT, count))


def _bits(builder: Any, values: Any, count: int) -> Any:
    return builder.bitcast(values, _vector(_WORD, count))
