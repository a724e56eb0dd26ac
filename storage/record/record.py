"""One row at rest: its geometry, and the small floats its bytes are made of.

`engramctl.storage.record.codecs` has the plain way between records and values; docs/format.md says
the same for people.
"""

from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import ArrayLike, NDArray

from engramctl.errors import ConfigError, unknown
from engramctl.storage.record.dtypes import BY_NAME, DTYPES, Dtype

BLOCK_VALUES = 32
MAX_ROW_DIM = 1 << 16
E4M3_MAX = 448.0
_ELEMENTS: dict[int, type[np.uint8] | type[np.uint16] | type[np.uint32]] = {
    1: np.uint8,
    2: np.uint16,
    4: np.uint32,
}


@dataclass(frozen=True)
class RecordSpec:
    """The geometry of one record: values first, then scales.

    Attributes:
        dtype: one of DTYPES.
        row_dim: values in a row; a multiple of the dtype's block (32 for f8_e4m3).

    Raises:
        ConfigError: an unknown dtype, or a row_dim it cannot have.

    Example:
        >>> spec = RecordSpec("f8_e4m3", 256)
        >>> spec.weight_bytes, spec.scale_bytes, spec.record_bytes
        (256, 8, 264)
    """

    dtype: str
    row_dim: int

    def __post_init__(self) -> None:
        """Refuse what cannot be stored."""
        if self.dtype not in BY_NAME:
            raise unknown("dtype", self.dtype, DTYPES)
        if not 1 <= self.row_dim <= MAX_ROW_DIM:
            raise ConfigError(
                f"row_dim {self.row_dim} is out of range",
                facts={"expected": f"1 to {MAX_ROW_DIM:,}"},
            )
        if self.row_dim % self.facts.block_values:
            raise ConfigError(
                f"row_dim {self.row_dim} does not fit dtype {self.dtype}",
                facts={
                    "expected": f"a multiple of {self.facts.block_values}: a block has that many"
                },
                hint="choose such a row_dim, or dtype bf16",
            )

    @property
    def facts(self) -> Dtype:
        """What holds for every row of the dtype."""
        return BY_NAME[self.dtype]

    @property
    def weight_bytes(self) -> int:
        """Bytes of one row's values."""
        return self.row_dim // self.facts.block_values * self.facts.block_bytes

    @property
    def scale_bytes(self) -> int:
        """Bytes of one row's scales; 0 when the dtype has none apart from its values."""
        blocks = self.row_dim // self.facts.block_values
        return blocks * self.facts.block_scale_bytes + self.facts.row_scale_bytes

    @property
    def record_bytes(self) -> int:
        """Bytes of one record: values, then scales."""
        return self.weight_bytes + self.scale_bytes

    @property
    def element(self) -> type[np.uint8] | type[np.uint16] | type[np.uint32]:
        """The unsigned integer that holds one value's bits."""
        return _ELEMENTS[self.facts.item_bytes]


def round_bits(
    values: NDArray[np.float64], *, mantissa_bits: int, min_exponent: int, top: int, nan: int
) -> NDArray[np.unsignedinteger]:
    """Round float64 to a small float's bits in one step, ties to even.

    A value in binade E is a multiple of 2^(max(E, min_exponent) - mantissa_bits) once rounded;
    with q that multiple, exponent and mantissa fields together are (E - min_exponent) * 2^bits + q
    for normal and subnormal numbers alike, and a carry moves into the exponent by itself.

    Args:
        values: what to round.
        mantissa_bits: stored bits after the point.
        min_exponent: exponent of the smallest normal number.
        top: largest bit pattern without sign; what is beyond becomes it.
        nan: bit pattern of NaN without sign.
    """
    element = np.uint8 if top < 256 else np.uint16
    sign = np.signbit(values).astype(np.int64) << (7 if top < 256 else 15)
    finite = np.where(np.isfinite(values), np.abs(values), 0.0)
    exponent = np.frexp(finite)[1].astype(np.int64) - 1
    exponent = np.where(finite == 0, min_exponent, np.maximum(exponent, min_exponent))
    multiple = np.rint(np.ldexp(finite, mantissa_bits - exponent)).astype(np.int64)
    bits = np.minimum(((exponent - min_exponent) << mantissa_bits) + multiple, top)
    bits = np.where(np.isnan(values), nan, np.where(np.isinf(values), top, bits))
    rounded: NDArray[np.unsignedinteger] = (bits | sign).astype(element)
    return rounded


def to_bf16_bits(values: ArrayLike) -> NDArray[np.uint16]:
    """Return the bf16 bit patterns of values, rounded to nearest even; overflow is infinity.

    Example:
        >>> to_bf16_bits(np.array([1.0, -2.5], dtype=np.float32)).tolist()
        [16256, 49184]
    """
    exact = np.asarray(values, dtype=np.float64)
    bits = round_bits(exact, mantissa_bits=7, min_exponent=-126, top=0x7F80, nan=0x7FC0)
    return bits.astype(np.uint16)


def to_e4m3_bytes(values: ArrayLike) -> NDArray[np.uint8]:
    """Return the e4m3fn bytes of values, rounded to nearest even.

    Beyond 448, infinities included, the byte is that of 448 with the value's sign; NaN stays NaN.

    Example:
        >>> to_e4m3_bytes([1.0, -448.0, 1e9]).tolist()
        [56, 254, 126]
    """
    exact = np.asarray(values, dtype=np.float64)
    return round_bits(exact, mantissa_bits=3, min_exponent=-6, top=0x7E, nan=0x7F).astype(np.uint8)


@cache
def e4m3_values() -> NDArray[np.float32]:
    """Return the value of each e4m3fn byte, float32 (256,): no infinities, NaN at 0x7F and 0xFF."""
    byte = np.arange(256)
    exponent, mantissa = (byte >> 3) & 15, byte & 7
    size = np.where(exponent == 0, np.ldexp(mantissa, -9), np.ldexp(8.0 + mantissa, exponent - 10))
    size[(byte & 127) == 127] = np.nan
    return np.asarray(np.where(byte & 128, -size, size), dtype=np.float32)


@cache
def e8m0_values() -> NDArray[np.float32]:
    """Return the value of each e8m0 byte, float32 (256,): 2^(byte - 127), NaN at 255."""
    values = np.ldexp(1.0, np.arange(256) - 127)
    values[255] = np.nan
    return np.asarray(values, dtype=np.float32)


def e8m0_at_least(size: ArrayLike) -> NDArray[np.uint8]:
    """Return the e8m0 bytes of the smallest powers of two that are not below `size` (finite).

    Zero gets the smallest byte, 0.

    Example:
        >>> e8m0_at_least([1.0, 1.5, 0.25]).tolist()
        [127, 128, 125]
    """
    mantissa, exponent = np.frexp(np.asarray(size, dtype=np.float64))
    power = exponent - (mantissa == 0.5)
    byte = np.where(mantissa == 0, 0, np.clip(power + 127, 0, 254))
    return byte.astype(np.uint8)
