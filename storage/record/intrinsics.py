"""The few things numba has no name for: raw addresses, bit casts, cache-line prefetch.

Kernels that use these read where they are told to: every address is computed from validated row ids
and a validated manifest, by the caller.
"""

from typing import Any

from llvmlite import ir
from numba import types
from numba.extending import intrinsic


@intrinsic
def as_pointer(typingctx: Any, address: Any) -> Any:
    """Turn an integer address into a pointer for `numba.carray`."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.inttoptr(args[0], context.get_value_type(signature.return_type))

    return types.voidptr(address), codegen


@intrinsic
def float_from_bits(typingctx: Any, bits: Any) -> Any:
    """Reinterpret uint32 as float32."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.bitcast(args[0], ir.FloatType())

    return types.float32(types.uint32), codegen


@intrinsic
def bits_from_float(typingctx: Any, value: Any) -> Any:
    """Reinterpret float32 as uint32."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.bitcast(args[0], ir.IntType(32))

    return types.uint32(types.float32), codegen


@intrinsic
def double_from_bits(typingctx: Any, bits: Any) -> Any:
    """Reinterpret uint64 as float64."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.bitcast(args[0], ir.DoubleType())

    return types.float64(types.uint64), codegen


@intrinsic
def bits_from_double(typingctx: Any, value: Any) -> Any:
    """Reinterpret float64 as uint64."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.bitcast(args[0], ir.IntType(64))

    return types.uint64(types.float64), codegen


@intrinsic
def prefetch_line(typingctx: Any, address: Any) -> Any:
    """Ask for the cache line at `address`, for reading, kept in every level."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        byte_pointer = ir.IntType(8).as_pointer()
        word = ir.IntType(32)
        function_type = ir.FunctionType(ir.VoidType(), [byte_pointer, word, word, word])
        function = builder.module.declare_intrinsic("llvm.prefetch", [byte_pointer], function_type)
        pointer = builder.inttoptr(args[0], byte_pointer)
        builder.call(function, [pointer, word(0), word(3), word(1)])
        return context.get_dummy_value()

    return types.void(address), codegen


@intrinsic
def load_acquire(typingctx: Any, address: Any) -> Any:
    """Read a uint32 that another side writes: nothing after it is read before it."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        pointer = builder.inttoptr(args[0], ir.IntType(32).as_pointer())
        return builder.load_atomic(pointer, "acquire", 4)

    return types.uint32(types.int64), codegen


@intrinsic
def store_release(typingctx: Any, address: Any, value: Any) -> Any:
    """Write a uint32 that another side reads: everything before it is written first."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        pointer = builder.inttoptr(args[0], ir.IntType(32).as_pointer())
        builder.store_atomic(args[1], pointer, "release", 4)
        return context.get_dummy_value()

    return types.void(types.int64, types.uint32), codegen


@intrinsic
def copy_bytes(typingctx: Any, source: Any, target: Any, num_bytes: Any) -> Any:
    """Copy bytes from one address to another; the two do not overlap."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        pointer, word = ir.IntType(8).as_pointer(), ir.IntType(64)
        function_type = ir.FunctionType(ir.VoidType(), [pointer, pointer, word, ir.IntType(1)])
        name = "llvm.memcpy.p0.p0.i64"
        function = builder.module.globals.get(name) or ir.Function(
            builder.module, function_type, name
        )
        source, target = (builder.inttoptr(one, pointer) for one in args[:2])
        builder.call(function, [target, source, args[2], ir.IntType(1)(0)])
        return context.get_dummy_value()

    return types.void(types.int64, types.int64, types.int64), codegen
