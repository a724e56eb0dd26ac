"""The order of rows, and the record that is spilled for an n-gram.

Row order. Rows of order 1 ascend by token id. Rows of order 2 and more ascend by
`(bucket(t0, t1), t0, t1, t2, ...)`, where the bucket is a 12-bit hash of the first two ids:

    bucket(t0, t1) = ((((t0 << 32) | (t1 >> 12)) * 0x9e3779b97f4a7c15 mod 2^64) >> 52)
                     ^ (t1 & 0xfff)

The multiplier is 2^64 over the golden ratio (Knuth, TAOCP volume 3, section 6.4). The partition of
an n-gram is the top of its bucket, so all orders of one place in the text share a partition: one
record of the longest order counts for every order, and the shorter ones are sums over its prefixes.

Record. The longest order that is counted, one record a token: the ids from that token on, behind
the end of the document `end_id`, one above the largest id. With `end_id < 2^v` it is, from the top:

    low bits of the bucket (12 - partition bits) | t0 (v) | t1 >> 12 (v - 12) | t2 (v) | ...

The partition carries the top of the bucket and the bucket gives back the low 12 bits of t1: nothing
is lost (quotienting), so counts are exact. Records of a partition
ascend as their rows do. They take one word up to 64 bits, else two (high word first). The record is
internal: no file's bytes depend on v or on the number of partitions.
"""

from dataclasses import dataclass

import numpy as np

from engramctl.counts.ngrams import MAX_ORDER
from engramctl.errors import ConfigError
from engramctl.runtime.kernel_cache import compiled

BUCKET_BITS = 12  # no more partitions than 2^12

Words = tuple[int, ...]  # only its length counts, which compiled code knows from its type

_U12, _U32, _U52, _U64 = (np.uint64(number) for number in (12, 32, 52, 64))
_LOW12 = np.uint64(0xFFF)
_MULTIPLIER = np.uint64(0x9E3779B97F4A7C15)


@dataclass(frozen=True)
class KeyLayout:
    """How records are packed.

    Attributes:
        order: ids of a record, 2 to 5: the longest order that is counted.
        end_id: stands for what is behind a document's end; above every id.
        partition_bits: log2 of the number of partitions, 1 to 12.
    """

    order: int
    end_id: int
    partition_bits: int

    def __post_init__(self) -> None:
        """Check what the packing relies on."""
        assert 2 <= self.order <= MAX_ORDER
        assert 1 <= self.end_id <= 1 << 32
        assert 1 <= self.partition_bits <= BUCKET_BITS
        assert self.record_bits <= 128
        assert full_bits(2, self.id_bits) - self.partition_bits <= 64

    @property
    def id_bits(self) -> int:
        """Bits of the largest id and of `end_id`: v."""
        return self.end_id.bit_length()

    @property
    def record_bits(self) -> int:
        """Bits that a record uses."""
        return full_bits(self.order, self.id_bits) - self.partition_bits

    @property
    def record_words(self) -> int:
        """Words of 8 bytes a record."""
        return 1 if self.record_bits <= 64 else 2


def full_bits(order: int, id_bits: int) -> int:
    """Return the bits of a record that no partition number helps."""
    return BUCKET_BITS + id_bits + max(0, id_bits - BUCKET_BITS) + (order - 2) * id_bits


def partition_bits(order: int, id_bits: int, tokens: int, target: int) -> int:
    """Choose log2 of the number of partitions; results do not depend on it.

    Args:
        order: the longest order.
        id_bits: bits of `end_id`.
        tokens: about how many tokens there are.
        target: records a partition should hold, so that its table stays in the L2 cache.

    Raises:
        ConfigError: a record would need more than two words.
    """
    bits = max(1, min((tokens // target).bit_length(), BUCKET_BITS))
    for record_bits in (64, 128):
        surplus = full_bits(order, id_bits) - record_bits
        if surplus <= BUCKET_BITS:
            return max(bits, surplus, full_bits(2, id_bits) - 64)
    raise ConfigError(
        f"order {order} cannot be counted for ids as large as these",
        facts={"expected": "ids below 2^28 - 1 at order 5", "found": f"ids of {id_bits} bits"},
        hint="leave the order out: --orders 1,2,3,4",
    )


@compiled
def bucket(first: np.uint64, second: np.uint64) -> np.uint64:
    """Return the bucket of an n-gram's first two ids, uint64 below 2^12."""
    return ((((first << _U32) | (second >> _U12)) * _MULTIPLIER) >> _U52) ^ (second & _LOW12)


@compiled
def push(
    hi: np.uint64, lo: np.uint64, value: np.uint64, bits: np.uint64
) -> tuple[np.uint64, np.uint64]:
    """Shift `bits` (1 to 63) bits of `value` into a key of two words."""
    return (hi << bits) | (lo >> (_U64 - bits)), (lo << bits) | value


@compiled
def shifted(hi: np.uint64, lo: np.uint64, bits: np.uint64) -> tuple[np.uint64, np.uint64]:
    """Return a key of two words without its last `bits` (0 to 127) bits."""
    if bits == 0:
        return hi, lo
    if bits >= _U64:
        return np.uint64(0), hi >> (bits - _U64)
    return hi >> bits, (lo >> bits) | (hi << (_U64 - bits))


@compiled
def first_pair(
    key: np.uint64, partition: np.uint64, low_bits: np.uint64, id_bits: np.uint64
) -> tuple[np.uint64, np.uint64]:
    """Return (t0, t1) of a record's key, from which the later ids were shifted out.

    Args:
        key: low bits of the bucket, t0 and t1 >> 12, as in a record.
        partition: its number.
        low_bits: bits of the bucket that the partition lacks, 12 - partition bits.
        id_bits: v.
    """
    one = np.uint64(1)
    rest_bits = id_bits - min(id_bits, _U12)
    second = key & ((one << rest_bits) - one)
    first = (key >> rest_bits) & ((one << id_bits) - one)
    low = (key >> (rest_bits + id_bits)) & ((one << low_bits) - one)
    whole = (partition << low_bits) | low
    second <<= _U12
    return first, second | ((bucket(first, second) ^ whole) & _LOW12)
