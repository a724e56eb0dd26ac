"""The 64-bit hash by which rows and n-grams are sampled, and rows of a cache are found."""

import numpy as np

from engramctl.runtime.kernel_cache import compiled

_U33 = np.uint64(33)
_MULTIPLIER_A = np.uint64(0xFF51AFD7ED558CCD)
_MULTIPLIER_B = np.uint64(0xC4CEB9FE1A85EC53)


@compiled
def fmix64(x: np.uint64) -> np.uint64:
    """Return MurmurHash3's 64-bit finaliser (Appleby, public domain) of a uint64."""
    x = (x ^ (x >> _U33)) * _MULTIPLIER_A
    x = (x ^ (x >> _U33)) * _MULTIPLIER_B
    return x ^ (x >> _U33)
