"""The walk's inner loops, written as vectors: eight lanes, whatever the CPU makes of them.

numba hands loops to LLVM and hopes; these are LLVM instructions themselves, so that the speed does
not hang on what the vectoriser guesses of aliasing or of trip counts. They are ordinary vector IR:
one AVX-512 register, two of AVX2 or four of NEON hold eight float64.

**The modulo.** A 64-bit divide does not vectorise, so a mix is cut into limbs of 21 bits,
`mix = a * 2^42 + b * 2^21 + c` with a signed, and folded with constants of the head:

    x = a * (2^42 mod p) + b * (2^21 mod p) + c          x = mix (mod p)
    r = x - rint(x * (1 / p)) * p                        |r| <= p / 2, up to rounding
    slot = min(r, r + p) as unsigned 32-bit integers     the one that is not negative

With p <= 2^30 every product and sum stays below 2^53 in size, so float64 holds each exactly, with
fused multiply-adds or without. The quotient is below 2^22 + 1 in size, so `x * (1 / p)` is off by
less than 2^-29 and r by less than p * 2^-29: never as far as p. (The same idea with two limbs needs
p < 2^21.)

Functions take an int64 array `work` and positions in it; a row of float64 lies in it as bits.
"""

# mypy: disable-error-code="no-untyped-def,no-untyped-call"
from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

LANES = 8
LIMB_BITS = 21
_I32, _I64, _F64 = ir.IntType(32), ir.IntType(64), ir.DoubleType()
_I32S, _I64S, _F64S = (ir.VectorType(kind, LANES) for kind in (_I32, _I64, _F64))
_FUSE = ["contract"]  # LLVM may fuse multiply and add: exact here either way


def _pointer(context: Any, builder: Any, array_type: Any, array: Any, at: Any, kind: Any) -> Any:
    """Return the address of element `at` of an int64 or float64 array, as a pointer to `kind`."""
    data = context.make_array(array_type)(context, builder, array).data
    return builder.bitcast(builder.gep(data, [at]), kind.as_pointer())


def _load(builder: Any, pointer: Any, at: Any, vector: Any) -> Any:
    return builder.load(builder.bitcast(builder.gep(pointer, [at]), vector.as_pointer()), align=8)


def _store(builder: Any, value: Any, pointer: Any, at: Any, align: int = 8) -> None:
    place = builder.bitcast(builder.gep(pointer, [at]), value.type.as_pointer())
    builder.store(value, place, align=align)


def _splat(builder: Any, value: Any) -> Any:
    """Return a vector of one value in every lane."""
    nothing = ir.Constant(ir.VectorType(value.type, LANES), ir.Undefined)
    first = builder.insert_element(nothing, value, _I32(0))
    return builder.shuffle_vector(first, nothing, ir.Constant(_I32S, [0] * LANES))


def _constant(vector: Any, value: int) -> Any:
    return ir.Constant(vector, [value] * LANES)


def _multiply_add(builder: Any, x: Any, y: Any, z: Any) -> Any:
    return builder.fadd(builder.fmul(x, y, flags=_FUSE), z, flags=_FUSE)


def _limbs(builder: Any, mix: Any) -> list[Any]:
    """Cut int64 lanes into three limbs, float64, the highest first."""
    mask = _constant(_I64S, (1 << LIMB_BITS) - 1)
    high = builder.ashr(mix, _constant(_I64S, 2 * LIMB_BITS))
    middle = builder.and_(builder.lshr(mix, _constant(_I64S, LIMB_BITS)), mask)
    parts = (high, middle, builder.and_(mix, mask))
    return [builder.sitofp(builder.trunc(part, _I32S), _F64S) for part in parts]


@intrinsic
def mix_block(typing, work, source, multiplier, mixes, limbs, stride, length, keep):
    """Set `mixes = (mixes if keep else 0) ^ source * multiplier`, and its limbs, for one distance.

    `source`, `mixes` and `limbs` are positions in `work`; the limbs are three float64 rows,
    `stride` apart. Whole vectors are computed: up to seven elements beyond `length` change.
    """
    signature = types.void(work, source, multiplier, mixes, limbs, stride, length, keep)

    def codegen(context, builder, signature, values):
        array, source_at, factor, mixes_at, limbs_at, row, count, keep_bit = values
        source, mixes = (
            _pointer(context, builder, work, array, at, _I64) for at in (source_at, mixes_at)
        )
        limbs = _pointer(context, builder, work, array, limbs_at, _F64)
        kept = _splat(builder, builder.sext(builder.trunc(keep_bit, ir.IntType(1)), _I64))
        factors = _splat(builder, factor)
        with cgutils.for_range_slice(builder, _I64(0), count, _I64(LANES)) as (at, _):
            term = builder.mul(_load(builder, source, at, _I64S), factors)
            before = builder.and_(_load(builder, mixes, at, _I64S), kept)
            mix = builder.xor(before, term)
            _store(builder, mix, mixes, at)
            for k, limb in enumerate(_limbs(builder, mix)):
                _store(builder, limb, limbs, builder.add(at, builder.mul(row, _I64(k))))
        return context.get_dummy_value()

    return signature, codegen


@intrinsic
def widen_block(typing, work, source, target, length):
    """Write int64 values below 2^31 as float64; up to seven elements beyond `length` change."""
    signature = types.void(work, source, target, length)

    def codegen(context, builder, signature, values):
        array, source_at, target_at, count = values
        source = _pointer(context, builder, work, array, source_at, _I64)
        target = _pointer(context, builder, work, array, target_at, _F64)
        with cgutils.for_range_slice(builder, _I64(0), count, _I64(LANES)) as (at, _):
            ids = builder.trunc(_load(builder, source, at, _I64S), _I32S)
            _store(builder, builder.sitofp(ids, _F64S), target, at)
        return context.get_dummy_value()

    return signature, codegen


@intrinsic
def reduce_block(typing, work, rows, length, constants, lane, count, out, first, stride):
    """Write `(sum of rows[i] * constants[i]) mod p + offset` for `count` heads of every token.

    `rows` is a tuple of positions in `work` of float64 rows, one value a token, `length` tokens;
    the last row has the factor 1. `constants` is float64 (len(rows) + 2, heads rounded up): the
    factors of the other rows, then 1 / p, p and the offset; the heads begin at column `lane`, and
    eight columns from there exist even when `count` is less. `out` is any contiguous array of
    integers: the first token's first head goes to its element `first`, the next token's `stride`
    elements further.
    """
    signature = types.void(work, rows, length, constants, lane, count, out, first, stride)

    def codegen(context, builder, signature, values):
        array, positions, tokens, table, lane_at, lanes, target, start, step = values
        sources = [
            _pointer(context, builder, work, array, at, _F64)
            for at in cgutils.unpack_tuple(builder, positions, len(rows))
        ]
        head = _Head(context, builder, constants, table, lane_at, len(rows) - 1)

        def slots(at: Any) -> Any:
            terms = [_splat(builder, builder.load(builder.gep(row, [at]))) for row in sources]
            return head.slots(terms)

        head.write_all(tokens, slots, out, target, start, step, lanes)
        return context.get_dummy_value()

    return signature, codegen


@intrinsic
def reduce_sums(typing, work, rows, length, weights, constants, lane, count, out, first, stride):
    """As `reduce_block`, for sums in wrapping int64, not folded yet.

    Writes `(sum of rows[i] * weights[i]) mod p + offset`. `rows` are positions of int64 rows;
    `weights` is int64 (len(rows), heads rounded up); `constants` has five rows: 2^42 mod p,
    2^21 mod p, 1 / p, p and the offset.
    """
    signature = types.void(work, rows, length, weights, constants, lane, count, out, first, stride)

    def codegen(context, builder, signature, values):
        array, positions, tokens, factors, table, lane_at, lanes, target, start, step = values
        sources = [
            _pointer(context, builder, work, array, at, _I64)
            for at in cgutils.unpack_tuple(builder, positions, len(rows))
        ]
        width = _columns(context, builder, weights, factors)
        weight = _pointer(context, builder, weights, factors, lane_at, _I64)
        scales = [
            _load(builder, weight, builder.mul(width, _I64(k)), _I64S) for k in range(len(rows))
        ]
        head = _Head(context, builder, constants, table, lane_at, 2)

        def slots(at: Any) -> Any:
            total = _constant(_I64S, 0)
            for row, scale in zip(sources, scales, strict=True):
                term = _splat(builder, builder.load(builder.gep(row, [at])))
                total = builder.add(total, builder.mul(term, scale))
            return head.slots(_limbs(builder, total))

        head.write_all(tokens, slots, out, target, start, step, lanes)
        return context.get_dummy_value()

    return signature, codegen


def _columns(context: Any, builder: Any, array_type: Any, array: Any) -> Any:
    """Return the number of columns of a two-dimensional array."""
    shape = context.make_array(array_type)(context, builder, array).shape
    return cgutils.unpack_tuple(builder, shape, 2)[1]


class _Head:
    """The constants of up to LANES heads, in registers, and what is done with them."""

    def __init__(
        self, context: Any, builder: Any, table_type: Any, table: Any, lane: Any, factors: int
    ) -> None:
        width = _columns(context, builder, table_type, table)
        place = _pointer(context, builder, table_type, table, lane, _F64)
        rows = [
            _load(builder, place, builder.mul(width, _I64(k)), _F64S) for k in range(factors + 3)
        ]
        self._context, self._builder = context, builder
        self._factors = rows[:factors]
        self._inverse, self._modulus, offset = rows[factors:]
        self._modulus_32 = builder.fptosi(self._modulus, _I32S)
        self._offset = builder.fptosi(offset, _I64S)

    def slots(self, terms: list[Any]) -> Any:
        """Return the slots of one token, int32 lanes."""
        builder = self._builder
        x = terms[-1]
        for term, factor in zip(terms, self._factors, strict=False):
            x = _multiply_add(builder, term, factor, x)
        rint = cgutils.get_or_insert_function(
            builder.module, ir.FunctionType(_F64S, [_F64S]), f"llvm.rint.v{LANES}f64"
        )
        quotient = builder.call(rint, [builder.fmul(x, self._inverse)])
        near = builder.fsub(x, builder.fmul(quotient, self._modulus, flags=_FUSE), flags=_FUSE)
        rest = builder.fptosi(near, _I32S)
        above = builder.add(rest, self._modulus_32)
        return builder.select(builder.icmp_unsigned("<", rest, above), rest, above)

    def write_all(
        self, tokens: Any, slots: Any, out_type: Any, out: Any, first: Any, stride: Any, count: Any
    ) -> None:
        """Loop over the tokens; a full vector is stored whole, a part of one under a mask."""
        builder, element = self._builder, self._context.get_data_type(out_type.dtype)
        data = self._context.make_array(out_type)(self._context, builder, out).data
        data = builder.gep(data, [first])
        lanes = ir.VectorType(element, LANES)
        resize = builder.trunc if element.width < 64 else (lambda value, kind: value)
        offset = resize(self._offset, lanes)
        below = ir.Constant(_I64S, list(range(LANES)))
        mask = builder.icmp_signed("<", below, _splat(builder, count))
        store = cgutils.get_or_insert_function(
            builder.module,
            ir.FunctionType(ir.VoidType(), [lanes, lanes.as_pointer(), _I32, mask.type]),
            f"llvm.masked.store.v{LANES}i{element.width}.p0",
        )

        def row_ids(at: Any) -> Any:
            found = slots(at)
            if element.width > 32:
                found = builder.zext(found, lanes)
            elif element.width < 32:
                found = builder.trunc(found, lanes)
            return builder.add(found, offset)

        whole = builder.icmp_signed("==", count, _I64(LANES))
        with builder.if_else(whole) as (then, otherwise):
            with then, cgutils.for_range(builder, tokens) as loop:
                at = builder.mul(loop.index, stride)
                _store(builder, row_ids(loop.index), data, at, element.width // 8)
            with otherwise, cgutils.for_range(builder, tokens) as loop:
                at = builder.gep(data, [builder.mul(loop.index, stride)])
                place = builder.bitcast(at, lanes.as_pointer())
                align = _I32(element.width // 8)
                builder.call(store, [row_ids(loop.index), place, align, mask])
