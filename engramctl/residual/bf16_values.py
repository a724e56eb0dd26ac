"""bfloat16 in numba, which has no such type: arrays of its bits, read and written as float32.

An array of float32 passes both functions unchanged, so that a kernel is written once.
"""

# mypy: disable-error-code="no-untyped-def,no-untyped-call,untyped-decorator,import-untyped"
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

_I16, _I32, _F32 = ir.IntType(16), ir.IntType(32), ir.FloatType()
_HALF_BELOW, _QUIET_NAN = 0x7FFF, 0x7FC0


@intrinsic
def widened(typing_context, value):
    """Return a float32 as it is, and the bits of a bfloat16 (uint16) as the float32 they mean."""
    if value == types.float32:
        return types.float32(value), lambda context, builder, signature, given: given[0]

    def widen(context, builder, signature, given):
        bits = builder.shl(builder.zext(given[0], _I32), ir.Constant(_I32, 16))
        return builder.bitcast(bits, _F32)

    return types.float32(types.uint16), widen


@intrinsic
def narrowed(typing_context, value, array):
    """Return a float32 as an array of float32 or of bfloat16 bits takes it, rounded to even."""
    if array.dtype == types.float32:
        return types.float32(types.float32, array), lambda context, builder, _, given: given[0]

    def narrow(context, builder, signature, given):
        bits = builder.bitcast(given[0], _I32)
        odd = builder.and_(builder.lshr(bits, ir.Constant(_I32, 16)), ir.Constant(_I32, 1))
        raised = builder.add(builder.add(bits, odd), ir.Constant(_I32, _HALF_BELOW))
        cut = builder.trunc(builder.lshr(raised, ir.Constant(_I32, 16)), _I16)
        is_nan = builder.fcmp_unordered("uno", given[0], given[0])
        return builder.select(is_nan, ir.Constant(_I16, _QUIET_NAN), cut)

    return types.uint16(types.float32, array), narrow
