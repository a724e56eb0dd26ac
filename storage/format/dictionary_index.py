"""Which record holds an n-gram: an exact index of eight bytes an entry.

An entry is a key's mixed low word, in the bucket that the rest of the key gives it (`key_mixing`):
equal entries are equal keys, so a hit is never false. Entries ascend by bucket and word, and the
place in that order is the record's number.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from engramctl.errors import ConfigError, FormatError
from engramctl.runtime.fmix64 import fmix64
from engramctl.runtime.kernel_cache import njit
from engramctl.storage.format.key_mixing import (
    WORD_BITS,
    bucket_of,
    highest_word,
    keys_fit,
    mixed_keys,
    order_bits,
    surplus_bits,
)

MAX_BUCKET_BITS = 24
MAX_ENTRIES = (1 << 32) - 1
BUCKET_ENTRIES = 8  # at least, but for the last doubling below 16
_LONG_BUCKET = 64  # entries that are looked through one by one


def bucket_bits(entries: int, num_orders: int, key_bits: int) -> int:
    """Return b: buckets of 8 to 16 entries, and as many as exactness needs.

    Raises:
        ConfigError: more entries than 2^32 - 1, or keys that would need more than 2^24 buckets.

    Example:
        >>> bucket_bits(1 << 20, 3, 68)
        17
    """
    needed = surplus_bits(num_orders, key_bits)
    if not 0 <= entries <= MAX_ENTRIES or num_orders < 1 or not 1 <= key_bits <= 2 * WORD_BITS:
        raise ConfigError(f"{entries:,} n-grams of {key_bits} bits cannot be indexed")
    if needed > MAX_BUCKET_BITS:
        raise ConfigError(
            f"n-gram keys of {key_bits} bits are too long for an exact index",
            facts={
                "expected": f"at most 2^{MAX_BUCKET_BITS} buckets",
                "found": f"2^{needed} buckets",
            },
            hint="leave out the longest orders",
        )
    return min(MAX_BUCKET_BITS, max(1, needed, (entries // BUCKET_ENTRIES).bit_length() - 1))


def index_bytes(entries: int, num_orders: int, key_bits: int) -> int:
    """Return the bytes of an index, in RAM as in its file without header."""
    return 8 * entries + 4 * ((1 << bucket_bits(entries, num_orders, key_bits)) + 1)


@dataclass(frozen=True, eq=False)
class NgramIndex:
    """An exact index; safe from several threads.

    Attributes:
        num_orders: order indices lie in [0, num_orders).
        key_bits: keys have no bit from here on.
        remainders: the mixed low words, uint64 (entries,), bucket by bucket, ascending in each.
        offsets: where each bucket begins, and the end, uint32 (2^b + 1,).

    Raises:
        FormatError: arrays that are no index of this geometry.
    """

    num_orders: int
    key_bits: int
    remainders: NDArray[np.uint64]
    offsets: NDArray[np.uint32]

    def __post_init__(self) -> None:
        """Refuse offsets that would lead a search outside the entries."""
        bits = bucket_bits(len(self), self.num_orders, self.key_bits)
        offsets = self.offsets
        if (
            self.remainders.dtype != np.uint64
            or offsets.dtype != np.uint32
            or offsets.shape != ((1 << bits) + 1,)
            or offsets[0] != 0
            or int(offsets[-1]) != len(self)
            or bool((offsets[1:] < offsets[:-1]).any())
        ):
            raise FormatError(
                "the n-gram index contradicts itself",
                facts={"expected": f"{(1 << bits) + 1:,} ascending offsets, 0 to {len(self):,}"},
                hint="delete the dictionary, or lay out again",
            )

    @classmethod
    def build(
        cls,
        order_index: NDArray[np.integer],
        keys: NDArray[np.uint64],
        *,
        num_orders: int,
        key_bits: int,
    ) -> tuple["NgramIndex", NDArray[np.int64]]:
        """Make an index.

        Args:
            order_index: which of the scheme's orders, integers (n,).
            keys: low and high words, uint64 (n, 2); with their order each once.
            num_orders: orders of the scheme.
            key_bits: bits of the longest key.

        Returns:
            The index, and which entry each record is to hold, int64 (n,).

        Raises:
            ConfigError: as `bucket_bits`; a key that is too long, or is there twice.
        """
        bits = bucket_bits(len(keys), num_orders, key_bits)
        if not keys_fit(order_index, keys, num_orders, key_bits).all():
            raise ConfigError(f"n-gram keys are longer than {key_bits} bits")
        orders = order_index.astype(np.uint64)
        width = np.uint64(order_bits(num_orders))
        mixed, bucket = mixed_keys(orders, keys, width, np.uint64(bits))
        turn = np.lexsort((mixed, bucket))
        remainders, ordered = mixed[turn], bucket[turn]
        if bool(((remainders[1:] == remainders[:-1]) & (ordered[1:] == ordered[:-1])).any()):
            raise ConfigError("an n-gram is there twice")
        places = np.arange((1 << bits) + 1, dtype=np.uint64)
        offsets = np.searchsorted(ordered, places).astype(np.uint32)
        return cls(num_orders, key_bits, remainders, offsets), turn.astype(np.int64)

    def __len__(self) -> int:
        """Return the number of entries."""
        return len(self.remainders)

    @property
    def bucket_bits(self) -> int:
        """Log2 of the number of buckets."""
        return (len(self.offsets) - 1).bit_length() - 1

    @property
    def num_bytes(self) -> int:
        """Bytes of RAM."""
        return self.remainders.nbytes + self.offsets.nbytes

    def find(
        self, order_index: int | NDArray[np.integer], keys: NDArray[np.uint64]
    ) -> NDArray[np.int64]:
        """Return the record of each key, or -1.

        Args:
            order_index: which of the scheme's orders all of them are of, or each, integers (n,).
            keys: low and high words, uint64 (n, 2).

        Returns:
            int64 (n,).

        Raises:
            ValueError: no such order.
        """
        orders = np.full(len(keys), order_index, np.int64)
        if len(orders) and not 0 <= orders.min() <= orders.max() < self.num_orders:
            raise ValueError(f"order index {order_index} is not in [0, {self.num_orders})")
        out = np.empty(len(keys), np.int64)
        width = np.uint64(order_bits(self.num_orders))
        find_records(
            orders, keys, highest_word(self.key_bits), width,
            np.uint64(self.bucket_bits), self.remainders, self.offsets, out,
        )  # fmt: skip
        return out


@njit(nogil=True, cache=True)
def find_records(  # type: ignore[no-untyped-def]  # pragma: no cover
    orders, keys, highest, order_bits, bits, remainders, offsets, out
):
    """Write the record of every key of an order, -1 where it has none."""
    for i in range(len(keys)):
        high = keys[i, 1]
        out[i] = -1
        if high > highest:
            continue
        m = fmix64(keys[i, 0])
        bucket = bucket_of(m, high, np.uint64(orders[i]), order_bits, bits)
        first, last = np.int64(offsets[bucket]), np.int64(offsets[bucket + np.uint64(1)])
        while last - first > _LONG_BUCKET:  # a stranger's: its remainders ascend, or are not found
            middle = (first + last) // 2
            if remainders[middle] <= m:
                first = middle
            else:
                last = middle
        for place in range(first, last):
            if remainders[place] == m:
                out[i] = place
                break
