"""The exact key of an n-gram, its 64-bit mix, and the record that is spilled for it.

Key. An n-gram of order 1 to 4 is packed with 32 bits an id, first id highest, into two words
`(hi, lo)`; it is exact for every uint32 id.

Mix. Rows of every counts file ascend by `mix(hi, lo)`, ties by token ids; its top bits are the
partition. fmix64 is the finaliser of MurmurHash3 (Appleby, public domain):

    fmix64(x):  x ^= x >> 33; x *= 0xff51afd7ed558ccd
                x ^= x >> 33; x *= 0xc4ceb9fe1a85ec53
                x ^= x >> 33                             (all modulo 2^64)
    mix(hi, lo) = fmix64(lo ^ fmix64(hi >> 12)) ^ ((hi & 0xfff) << 52)

Record. With ids below 2^v an n-gram needs only n*v bits. Up to 64 they are the record. Up to
`MAX_NARROW_BITS` = 76 the surplus of n*v - 64 bits is left out and the partition carries it
(quotienting, spec/mining.md section 3 item 3): the top of the mix is a function of the rest of the
key, XORed with `hi & 0xfff`, so those bits come back from the partition number. Above that, records
are two words (`engramctl.mining.wide`). The record is internal: no file's bytes depend on v.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar, cast

import numpy as np
from numba import njit

MAX_ORDER = 4
MAX_NARROW_BITS = 76
QUOTIENT_BITS = 12  # of `hi`, on top of the mix; no more partitions than 2^12

Function = TypeVar("Function", bound=Callable[..., object])

_U12, _U32, _U33, _U52 = (np.uint64(number) for number in (12, 32, 33, 52))
_LOW32 = np.uint64(0xFFFFFFFF)
_LOW12 = np.uint64(0xFFF)
_MULTIPLIER_A = np.uint64(0xFF51AFD7ED558CCD)
_MULTIPLIER_B = np.uint64(0xC4CEB9FE1A85EC53)


@dataclass(frozen=True)
class KeyLayout:
    """How the records of one order are packed.

    Attributes:
        order: ids of an n-gram, 1 to 4.
        id_bits: v; every id is below 2^v.
        partition_bits: log2 of the number of partitions, 1 to 12.
    """

    order: int
    id_bits: int
    partition_bits: int

    def __post_init__(self) -> None:
        """Check what the packing relies on."""
        assert 1 <= self.order <= MAX_ORDER
        assert 1 <= self.id_bits <= 32
        assert 1 <= self.partition_bits <= QUOTIENT_BITS
        assert self.wide or self.surplus_bits <= self.partition_bits

    @property
    def surplus_bits(self) -> int:
        """Bits of the key beyond one word; two ids always fit."""
        return 0 if self.order <= 2 else max(0, self.order * self.id_bits - 64)

    @property
    def wide(self) -> bool:
        """Whether a record takes two words."""
        return self.surplus_bits > QUOTIENT_BITS

    @property
    def record_words(self) -> int:
        """Words of 8 bytes a record."""
        return 2 if self.wide else 1


def partition_bits(orders: tuple[int, ...], id_bits: int, tokens: int, target: int) -> int:
    """Choose log2 of the number of partitions; results do not depend on it.

    Args:
        orders: the orders that are counted.
        id_bits: bits of the largest id.
        tokens: about how many tokens there are.
        target: n-grams a partition should hold, so that its table stays in the L2 cache.
    """
    bits = max(1, min((tokens // target).bit_length(), QUOTIENT_BITS))
    for order in orders:
        surplus = KeyLayout(order, id_bits, QUOTIENT_BITS).surplus_bits
        if surplus <= QUOTIENT_BITS:
            bits = max(bits, surplus)
    return bits


def compiled(function: Function) -> Function:
    """Compile with numba on the first call: without the GIL, kept on disk for the next run."""
    return cast(Function, njit(nogil=True, cache=True)(function))


def plain_fmix64(x: Any) -> Any:
    """Return MurmurHash3's 64-bit finaliser of a uint64, or of an array of them."""
    x = (x ^ (x >> _U33)) * _MULTIPLIER_A
    x = (x ^ (x >> _U33)) * _MULTIPLIER_B
    return x ^ (x >> _U33)


fmix64 = compiled(plain_fmix64)


@compiled
def mix(hi: np.uint64, lo: np.uint64) -> Any:
    """Return the 64-bit mix of a key (two uint64) by which rows ascend."""
    return fmix64(lo ^ fmix64(hi >> _U12)) ^ ((hi & _LOW12) << _U52)


@compiled
def pack(
    hi: np.uint64, lo: np.uint64, order: int, id_bits: np.uint64, surplus: np.uint64
) -> np.uint64:
    """Return the one-word record of a key: its ids at `id_bits` each, less `surplus` bits.

    The bits left out are the highest of `hi & 0xfff`.
    """
    if order <= 2:
        return lo
    kept = _U12 - surplus
    low = hi & _LOW32  # the id of `hi` that loses bits
    low = ((low >> _U12) << kept) | (low & ((np.uint64(1) << kept) - np.uint64(1)))
    first = np.uint64(0)
    if order == 4:
        first = (hi >> _U32) << (id_bits - surplus)
    pair = ((lo >> _U32) << id_bits) | (lo & _LOW32)
    return ((first | low) << (id_bits + id_bits)) | pair


@compiled
def unpack(
    record: np.uint64,
    order: int,
    id_bits: np.uint64,
    surplus: np.uint64,
    partition: np.uint64,
    bits: np.uint64,
) -> tuple[np.uint64, np.uint64]:
    """Return the key (hi, lo) of a record that lies in `partition` of 2^bits: `pack`'s inverse."""
    if order <= 2:
        return np.uint64(0), record
    one = np.uint64(1)
    mask = (one << id_bits) - one
    lo = (((record >> id_bits) & mask) << _U32) | (record & mask)
    rest = record >> (id_bits + id_bits)
    first = np.uint64(0)
    if order == 4:
        first = rest >> (id_bits - surplus)
        rest = rest & ((one << (id_bits - surplus)) - one)
    kept = _U12 - surplus
    hi = (first << _U32) | ((rest >> kept) << _U12)
    if surplus > 0:
        top = fmix64(lo ^ fmix64(hi >> _U12)) >> (np.uint64(64) - surplus)
        hi |= (top ^ (partition >> (bits - surplus))) << kept
    return hi | (rest & ((one << kept) - one)), lo
