"""Blocks of stored values -> an output row: functions for numba kernels, made of vector operations.

They read and write where they are told to. A loop over a block, left to LLVM, becomes one value
at a time for most dtypes.
"""

from functools import partial
from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from engramctl.storage.widening.decoders import (
    SHORT_SCALES,
    TABLES,
    UNSCALED,
    Decode,
    affine,
    e2m1,
    e4m3,
    e4m3_times_e8m0,
    e8m0,
    f32,
    f32_factor,
    widened_f16,
)  # fmt: skip
from engramctl.storage.widening.emit import (
    BYTE,
    FLOAT,
    SHORT,
    WORD,
    constant,
    load,
    rounded,
    splat,
    store,
    vector,
)  # fmt: skip

# bfloat16's bits of the subnormal e4m3, n * 2^-9; of the others the table holds nothing.
_SMALL_E4M3 = [*(int(np.float32(n / 512).view(np.uint32)) >> 16 for n in range(8)), *[0] * 8]


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
            if decode not in UNSCALED:
                values = builder.fmul(values, splat(builder, factor, 0, num_values))
            with builder.if_else(to_bf16) as (short, long):
                with short:
                    store(builder, rounded(builder, values, any_nan=decode is f32), target)
                with long:
                    store(builder, values, target)
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
                wide = builder.fmul(wide, splat(builder, scale, 0, num_blocks))
            shifts = factor(builder, biases, num_blocks) if decode is affine else None

            def scaled(values: Any, block: int) -> Any:
                count = values.type.count
                values = builder.fmul(values, splat(builder, wide, block, count))
                if shifts is None:
                    return values
                return builder.fadd(values, splat(builder, shifts, block, count))

            def floats(block: int) -> Any:
                at = builder.add(codes, codes.type(block * block_bytes))
                return scaled(decode(builder, at, num_values), block)

            def shorts(block: int) -> Any:
                if decode not in TABLES or not _permutes(context):
                    return rounded(builder, floats(block))
                order, table = TABLES[decode]
                at = builder.add(codes, codes.type(block * block_bytes))
                values = ir.Constant(vector(FLOAT, len(table)), [float(one) for one in table])
                outputs = rounded(builder, scaled(values, block))
                return _permuted(builder, outputs, order(builder, at, num_values))

            def write_all(made: Any, size: int) -> None:
                for block in range(num_blocks):
                    place = builder.add(target, target.type(size * num_values * block))
                    store(builder, made(block), place)

            with builder.if_else(to_bf16) as (short, long):
                with short:
                    if decode is e4m3 and factor is e8m0 and _permutes(context):
                        scales = load(builder, factors, BYTE, num_blocks)
                        quick = partial(_quick_e4m3, builder, codes, scales)
                        with builder.if_else(_all_within(builder, scales)) as (most, others):
                            with most:
                                write_all(quick, 2)
                            with others:
                                write_all(shorts, 2)
                    else:
                        write_all(shorts, 2)
                with long:
                    write_all(floats, 4)
            return context.get_dummy_value()

        words = (types.int64, types.int64, types.int64, types.float32, types.int64, types.boolean)
        return types.void(*words), codegen

    return write


def value_reader(decode: Decode) -> Any:
    """Return a function that reads one value: address, int64, to float32.

    Args:
        decode: see `block_writer`.
    """

    @intrinsic
    def read(typingctx: Any, source: Any) -> Any:
        def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            return builder.extract_element(decode(builder, args[0], 1), WORD(0))

        return types.float32(types.int64), codegen

    return read


def _spread(builder: Any, decode: Decode, at: Any, step: int, count: int) -> Any:
    """Emit values that lie `step` bytes apart, as one vector."""
    if step <= 2 or decode is f32_factor:  # they lie close
        return decode(builder, at, count)
    return widened_f16(builder, _far_halves(builder, at, step, count), count)


def _far_halves(builder: Any, at: Any, step: int, count: int) -> Any:
    halves = ir.Constant(vector(SHORT, count), [0] * count)
    for n in range(count):
        one = load(builder, builder.add(at, at.type(n * step)), SHORT, 1)
        one = builder.extract_element(one, WORD(0))
        halves = builder.insert_element(halves, one, WORD(n))
    return halves


def _all_within(builder: Any, scales: Any) -> Any:
    """Emit whether all e8m0 bytes are of SHORT_SCALES."""
    count = scales.type.count
    low, high = SHORT_SCALES
    steps = builder.sub(scales, constant(BYTE, low, count))
    bad = builder.icmp_unsigned(">", steps, constant(BYTE, high - low, count))
    bad = builder.bitcast(bad, ir.IntType(count))
    return builder.icmp_unsigned("==", bad, bad.type(0))


def _quick_e4m3(builder: Any, codes: Any, scales: Any, block: int) -> Any:
    """Emit a block of 32 e4m3 times its scale, of SHORT_SCALES, as bfloat16 bits."""
    at = builder.add(codes, codes.type(32 * block))
    lane = ir.Constant(vector(WORD, 32), [block] * 32)
    scale = builder.zext(builder.shuffle_vector(scales, scales, lane), vector(SHORT, 32))
    table = ir.Constant(vector(SHORT, 16), _SMALL_E4M3)
    return e4m3_times_e8m0(builder, at, scale, partial(_permuted, builder, table), 32)


def _permutes(context: Any) -> bool:
    """Tell whether the processor chooses 16-bit numbers from a table in one step."""
    features = context.codegen().magic_tuple()[2]
    return "+avx512bw" in features and "+avx512vl" in features


def _permuted(builder: Any, table: Any, codes: Any) -> Any:
    """Emit the numbers of a table, <16 x i16>, that codes, bytes or shorts, choose: 16 or 32."""
    count = codes.type.count
    kind = vector(SHORT, count)
    codes = codes if codes.type == kind else builder.zext(codes, kind)
    repeated = ir.Constant(vector(WORD, count), [n % 16 for n in range(count)])
    table = builder.shuffle_vector(table, table, repeated)
    name = f"llvm.x86.avx512.permvar.hi.{16 * count}"
    function = builder.module.globals.get(name) or ir.Function(
        builder.module, ir.FunctionType(kind, [kind, kind]), name
    )
    return builder.call(function, [table, codes])
