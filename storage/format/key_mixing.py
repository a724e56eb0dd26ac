"""How exact indices hold an n-gram's key: a mixed word, and the bucket that keeps the rest of it.

Quotienting (Knuth, TAOCP volume 3, section 6.4, exercise 13): of a key's low word `lo` a bijection
`m = fmix64(lo)` is kept whole; what a key has beyond it, `s` (the high word's bits, then the
order's), moves it to another bucket:

    bucket = (s + (m >> (64 - b))) mod 2^b,  s < 2^b

Bucket and m give back s, and m gives back lo: equal pairs are equal keys.
"""

import numpy as np
from numpy.typing import NDArray

from engramctl.runtime.fmix64 import fmix64
from engramctl.runtime.kernel_cache import compiled

WORD_BITS = 64


def order_bits(num_orders: int) -> int:
    """Return the bits of an order index."""
    return (num_orders - 1).bit_length()


def surplus_bits(num_orders: int, key_bits: int) -> int:
    """Return the bits of a key and its order beyond the low word."""
    return max(0, key_bits - WORD_BITS) + order_bits(num_orders)


def highest_word(key_bits: int) -> np.uint64:
    """Return the largest high word of a key."""
    return np.uint64((1 << max(0, key_bits - WORD_BITS)) - 1)


def keys_fit(
    order_index: NDArray[np.integer], keys: NDArray[np.uint64], num_orders: int, key_bits: int
) -> NDArray[np.bool_]:
    """Say which n-grams have an order and a key of these, bool (n,).

    Args:
        order_index: integers (n,).
        keys: low and high words, uint64 (n, 2).
        num_orders: order indices lie below.
        key_bits: keys have no bit from here on.
    """
    lowest = np.uint64((1 << min(WORD_BITS, key_bits)) - 1)
    highest = np.array([lowest, highest_word(key_bits)], np.uint64)
    fits: NDArray[np.bool_] = np.all(keys <= highest, axis=1)
    return fits & (order_index >= 0) & (order_index < num_orders)


@compiled
def bucket_of(
    mixed: np.uint64, high: np.uint64, order: np.uint64, order_bits: np.uint64, bits: np.uint64
) -> np.uint64:  # pragma: no cover
    """Return the bucket of a key, whose mixed low word, high word and order index are given."""
    mask = (np.uint64(1) << bits) - np.uint64(1)
    return (((high << order_bits) | order) + (mixed >> (np.uint64(64) - bits))) & mask


@compiled
def mixed_keys(
    orders: NDArray[np.uint64], keys: NDArray[np.uint64], order_bits: np.uint64, bits: np.uint64
) -> tuple[NDArray[np.uint64], NDArray[np.uint64]]:  # pragma: no cover
    """Return the mixed low words and the buckets of keys, uint64 (n,) each."""
    mixed, buckets = np.empty(len(keys), np.uint64), np.empty(len(keys), np.uint64)
    for i in range(len(keys)):
        mixed[i] = fmix64(keys[i, 0])
        buckets[i] = bucket_of(mixed[i], keys[i, 1], orders[i], order_bits, bits)
    return mixed, buckets
