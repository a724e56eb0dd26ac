"""Records' bytes -> float32 in Triton, bit for bit as `storage.record.codecs` has it.

Integers and exact products only: no fp8 types, which interpreters and older GPUs have otherwise or
not at all. A small float's bits are put where float32 has them and multiplied by the power of two
that is missing, which is exact for its subnormal numbers too.

Whoever calls says by `good` which rows there are. Of the others nothing is read, and their values
are NaN: that is what the scale reads as, or the value where there is no scale.
"""

# mypy: disable-error-code="no-untyped-def,no-untyped-call"
import numpy as np

from engramctl.storage.record.codecs_ggml import IQ4_NL

try:
    import triton
    import triton.language as tl
except ImportError:  # CPU builds of torch come without it
    triton = None

WIDE = {"f32": 4, "bf16": 2, "f16": 2}  # bytes of a value, of codes that are floats themselves
NIBBLES = ("int4", "affine", "e2m1", "iq4_nl")  # two codes a byte
_LOW, _HIGH = (int(half) for half in IQ4_NL.astype(np.int8).view(np.int64))

INTERPRETED = False

if triton is not None:

    @triton.jit
    def _nothing():
        """Show whether Triton compiles functions or interprets them."""

    INTERPRETED = not isinstance(_nothing, triton.runtime.JITFunction)
    _INTERPRETED = tl.constexpr(INTERPRETED)
    _IQ4_LOW, _IQ4_HIGH = tl.constexpr(_LOW), tl.constexpr(_HIGH)
    _NAN = tl.constexpr(0x7FC00000)
    _E4M3_SHIFT = tl.constexpr(2.0**120)  # exponents of e4m3 count from -7, of float32 from -127
    _E4M3_MAX = tl.constexpr(448.0)  # NaN's bits would be 480
    _E2M1_SHIFT = tl.constexpr(2.0**126)

    @triton.jit
    def _float(bits):
        """Read 32 bits as a float32."""
        return bits.to(tl.float32, bitcast=True)

    @triton.jit
    def _e4m3(code):
        """Widen e4m3 bytes, given as int8: 0x7F and 0xFF are NaN."""
        # the sign fills the upper bits: it stays at the top, its copies go
        value = _float((code.to(tl.int32) << 20) & -0x78100000) * _E4M3_SHIFT
        return tl.where(tl.abs(value) > _E4M3_MAX, float("nan"), value)

    @triton.jit
    def _e8m0(code):
        """Widen e8m0 bytes, given as int32: 2^(byte - 127), and NaN at 255."""
        bits = tl.where(code == 0, 0x00400000, code << 23)
        return _float(tl.where(code == 255, _NAN, bits))

    @triton.jit
    def _e2m1(code):
        """Widen e2m1 nibbles."""
        wide = code.to(tl.int32)
        return _float(((wide & 8) << 28) | ((wide & 7) << 22)) * _E2M1_SHIFT

    @triton.jit
    def _iq4_nl(code):
        """Look nibbles up among the 16 values, an int8 each in two words."""
        half = tl.where(code < 8, tl.full(code.shape, _IQ4_LOW, tl.int64), _IQ4_HIGH)
        byte = (half >> ((code & 7).to(tl.int64) * 8)).to(tl.int32) & 0xFF
        return ((byte ^ 0x80) - 0x80).to(tl.float32)

    @triton.jit
    def _word(place, good, count: tl.constexpr, aligned: tl.constexpr, other: tl.constexpr):
        """Read little-endian words of `count` bytes at byte pointers, as int32."""
        if count == 1:
            word = tl.load(place, mask=good, other=other).to(tl.int32)
        elif aligned and count == 2:
            place = place.to(tl.pointer_type(tl.uint16), bitcast=True)
            word = tl.load(place, mask=good, other=other).to(tl.int32)
        elif aligned:
            place = place.to(tl.pointer_type(tl.int32), bitcast=True)
            word = tl.load(place, mask=good, other=other)
        else:
            word = tl.load(place, mask=good, other=0).to(tl.int32)
            for k in tl.static_range(1, count):
                word = word | (tl.load(place + k, mask=good, other=0).to(tl.int32) << (8 * k))
            word = tl.where(good, word, other)
        return word

    @triton.jit
    def scales(place, good, kind: tl.constexpr, aligned: tl.constexpr):
        """Read scales at byte pointers as float32; `kind` is the type that they are stored in."""
        if kind == "e8m0":
            value = _e8m0(_word(place, good, 1, True, 0xFF))
        elif kind == "e4m3":
            value = _e4m3(_word(place, good, 1, True, 0x7F).to(tl.int8))
        elif kind == "F16":
            bits = _word(place, good, 2, aligned, 0x7E00)
            value = bits.to(tl.int16).to(tl.float16, bitcast=True).to(tl.float32)
        elif kind == "BF16":
            value = _float(_word(place, good, 2, aligned, 0x7FC0) << 16)
        else:
            value = _float(_word(place, good, 4, aligned, _NAN))
        return value

    @triton.jit
    def floats(place, good, kind: tl.constexpr):
        """Read values that are stored as floats; `place` points at items, uint16 or int32."""
        if kind == "f32":
            value = _float(tl.load(place, mask=good, other=_NAN))
        elif kind == "bf16":
            value = _float(tl.load(place, mask=good, other=0x7FC0).to(tl.int32) << 16)
        else:
            bits = tl.load(place, mask=good, other=0x7E00).to(tl.int16)
            value = bits.to(tl.float16, bitcast=True).to(tl.float32)
        return value

    @triton.jit
    def numbers(code, kind: tl.constexpr):
        """Return what codes, uint8, count: bytes of int8 and e4m3, nibbles of the others."""
        if kind == "int8":
            value = code.to(tl.int8, bitcast=True).to(tl.float32)
        elif kind == "e4m3":
            value = _e4m3(code.to(tl.int8, bitcast=True))
        elif kind == "e2m1":
            value = _e2m1(code)
        elif kind == "iq4_nl":
            value = _iq4_nl(code)
        elif kind == "affine":
            value = code.to(tl.float32)
        else:
            value = (code.to(tl.int32) - 8).to(tl.float32)
        return value

    @triton.jit
    def rounded(value, kind: tl.constexpr):
        """Round float32 to `kind`, to nearest even; Triton's interpreter does not by itself."""
        if kind == tl.bfloat16 and _INTERPRETED:
            bits = value.to(tl.uint32, bitcast=True)
            bits = bits + 0x7FFF + ((bits >> 16) & 1)
            bits = tl.where(value == value, bits >> 16, 0x7FC0)
            value = bits.to(tl.uint16).to(tl.bfloat16, bitcast=True)
        return value.to(kind)
