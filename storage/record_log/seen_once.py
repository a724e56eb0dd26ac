"""Which n-grams were seen once: a filter of a fixed size, two bytes an n-gram.

Sets of eight fingerprints, the newest first, the oldest forgotten. Two n-grams may share set and
fingerprint: then the second is taken for the first, about once in 8,000 of a full filter.
"""

import threading

import numpy as np
from numpy.typing import NDArray

from engramctl.errors import ConfigError
from engramctl.runtime.fmix64 import fmix64
from engramctl.runtime.kernel_cache import compiled

WAYS = 8
_SET_BYTES = 2 * WAYS
_MOST_BYTES = 1 << 35  # sets are numbered with 32 bits


class SeenOnce:
    """A filter; safe from several threads.

    Example:
        >>> seen, keys = SeenOnce(1 << 10), np.array([[5, 0], [6, 0], [5, 0]], np.uint64)
        >>> seen.second(np.zeros(3, np.int64), keys).tolist()
        [False, False, True]
    """

    def __init__(self, num_bytes: int) -> None:
        """Begin with nothing seen.

        Args:
            num_bytes: of RAM at most.

        Raises:
            ConfigError: less than a set, or more than 32 GiB.
        """
        if not _SET_BYTES <= num_bytes <= _MOST_BYTES:
            raise ConfigError(
                f"a filter of n-grams cannot have {num_bytes:,} bytes",
                facts={"expected": f"{_SET_BYTES:,} to {_MOST_BYTES:,}"},
            )
        self._sets = np.zeros((num_bytes // _SET_BYTES, WAYS), np.uint16)
        self._lock = threading.Lock()
        self.second(np.empty(0, np.int64), np.empty((0, 2), np.uint64))  # compiled now

    @property
    def num_bytes(self) -> int:
        """Bytes of RAM."""
        return self._sets.nbytes

    def second(
        self, order_index: NDArray[np.integer], keys: NDArray[np.uint64]
    ) -> NDArray[np.bool_]:
        """Say which n-grams were seen before, in an earlier call or place; mark the others.

        Args:
            order_index: integers (n,).
            keys: low and high words, uint64 (n, 2).

        Returns:
            bool (n,); few are wrongly True.
        """
        out = np.empty(len(keys), np.bool_)
        orders, keys = order_index.astype(np.uint64), np.ascontiguousarray(keys)
        with self._lock:
            _second(orders, keys, self._sets, out)
        return out


@compiled
def _second(
    orders: NDArray[np.uint64],
    keys: NDArray[np.uint64],
    sets: NDArray[np.uint16],
    out: NDArray[np.bool_],
) -> None:  # pragma: no cover
    for i in range(len(keys)):
        mixed = fmix64(keys[i, 0] ^ fmix64(fmix64(keys[i, 1]) + orders[i] + np.uint64(1)))
        place = ((mixed >> np.uint64(32)) * np.uint64(len(sets))) >> np.uint64(32)
        fingerprint = np.uint16(max(np.uint64(1), mixed & np.uint64(0xFFFF)))  # 0: nothing there
        out[i] = False
        for way in range(WAYS):
            if sets[place, way] == fingerprint:
                out[i] = True
        if not out[i]:
            for way in range(WAYS - 1, 0, -1):
                sets[place, way] = sets[place, way - 1]
            sets[place, 0] = fingerprint
