"""What vector code is written with: constants, loads and stores, bit casts, rounding to bfloat16.

The vectors are LLVM's own, so any processor has them.
"""

from typing import Any

from llvmlite import ir

BYTE, SHORT, WORD, FLOAT = ir.IntType(8), ir.IntType(16), ir.IntType(32), ir.FloatType()


def vector(kind: Any, count: int) -> Any:
    """Return the type of so many numbers of a kind."""
    return ir.VectorType(kind, count)


def constant(kind: Any, value: float, count: int) -> Any:
    """Return one constant, so many times."""
    return ir.Constant(vector(kind, count), [value] * count)


def splat(builder: Any, value: Any, lane: int, count: int) -> Any:
    """Emit a vector of one value: a scalar, or a lane of another vector."""
    if not isinstance(value.type, ir.VectorType):
        one = ir.Constant(vector(FLOAT, 1), [0.0])
        value = builder.insert_element(one, value, WORD(0))
    return builder.shuffle_vector(value, value, ir.Constant(vector(WORD, count), [lane] * count))


def load(builder: Any, at: Any, kind: Any, count: int) -> Any:
    """Emit numbers read at an address, aligned or not."""
    return builder.load(builder.inttoptr(at, vector(kind, count).as_pointer()), align=1)


def store(builder: Any, values: Any, target: Any) -> None:
    """Emit a store of values at an address, aligned or not."""
    builder.store(values, builder.inttoptr(target, values.type.as_pointer()), align=1)


def as_floats(builder: Any, bits: Any, count: int) -> Any:
    """Emit the float32 of bits."""
    return builder.bitcast(bits, vector(FLOAT, count))


def as_bits(builder: Any, values: Any, count: int) -> Any:
    """Emit the bits of float32."""
    return builder.bitcast(values, vector(WORD, count))


def rounded(builder: Any, values: Any, *, any_nan: bool = False) -> Any:
    """Emit the bfloat16 bits of float32, rounded to nearest even; NaN stays NaN.

    NaNs that were computed here have no low bits, which would carry into the sign.
    """
    count = values.type.count
    bits = as_bits(builder, values, count)
    odd = builder.and_(builder.lshr(bits, constant(WORD, 16, count)), constant(WORD, 1, count))
    near = builder.add(builder.add(bits, constant(WORD, 0x7FFF, count)), odd)
    if any_nan:
        nan = builder.fcmp_unordered("uno", values, values)
        near = builder.select(nan, constant(WORD, 0x7FC00000, count), near)
    upper = builder.lshr(near, constant(WORD, 16, count))
    return builder.trunc(upper, vector(SHORT, count))
