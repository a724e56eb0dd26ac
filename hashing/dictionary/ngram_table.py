"""An exact set of n-grams as a trie of suffixes in one open-addressing table.

A node stands for a suffix: ids c_0 (the newest), c_1, .., c_d. Its key is the pair (node of the
suffix one shorter, c_d) in 64 bits, so nothing is hashed without being compared, whatever the
orders and the vocabulary, and look-up stops at the first id that leads nowhere. A node's number is
the slot its key rests in. The first nodes
stand for two ids, and their key is that pair.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from engramctl.runtime.kernel_cache import njit

NO_ROW = -1
FREE = np.uint64(2**64 - 1)  # no key: canonical ids have 31 bits
_DEEPER = np.uint64(1 << 63)
_LOW_HALF = np.uint64(32)
_ODD_1, _ODD_2 = np.uint64(0x9FB21C651E98DF25), np.uint64(0xD6E8FEB86659FD93)
_FOLD = np.uint64(29)


@njit(nogil=True, cache=True)
def pair_key(newest: Any, older: Any) -> Any:
    """Return the key of the suffix of two ids."""
    return np.uint64(newest) << _LOW_HALF | np.uint64(older)


@njit(nogil=True, cache=True)
def child_key(node: Any, older: Any) -> Any:
    """Return the key of a suffix by the node of all its ids but the oldest, and the oldest."""
    return _DEEPER | np.uint64(node) << _LOW_HALF | np.uint64(older)


@njit(nogil=True, cache=True)
def home(key: Any, num_slots: Any) -> Any:
    """Return the slot where the search for a key begins."""
    mixed = (key ^ (key >> _LOW_HALF)) * _ODD_1
    mixed = (mixed ^ (mixed >> _FOLD)) * _ODD_2
    return ((mixed >> _LOW_HALF) * np.uint64(num_slots)) >> _LOW_HALF


@njit(nogil=True, cache=True)
def find(keys: Any, key: Any, slot: Any) -> Any:
    """Return the slot of a key, or the free slot where it would rest; search on from `slot`."""
    while keys[slot] != key and keys[slot] != FREE:
        slot += np.uint64(1)
        if slot == np.uint64(keys.shape[0]):
            slot = np.uint64(0)
    return slot


@njit(nogil=True, cache=True)
def _insert(lengths: Any, ids: Any, keys: Any, rows: Any) -> Any:
    """Add every n-gram; return the first that is already there, or -1."""
    num_slots = keys.shape[0]
    newest = -1
    for rank in range(lengths.shape[0]):
        newest += lengths[rank]
        slot = np.uint64(0)
        for d in range(1, lengths[rank]):
            older = ids[newest - d]
            key = pair_key(ids[newest], older) if d == 1 else child_key(slot, older)
            slot = find(keys, key, home(key, num_slots))
            keys[slot] = key
        if rows[slot] != NO_ROW:
            return rank
        rows[slot] = rank
    return -1


@njit(nogil=True, cache=True)
def _inherit(lengths: Any, ids: Any, keys: Any, rows: Any) -> None:
    """Give every node without a row the row of the longest n-gram that is a suffix of it."""
    num_slots = keys.shape[0]
    newest = -1
    for rank in range(lengths.shape[0]):
        newest += lengths[rank]
        slot = np.uint64(0)
        longest = np.int32(NO_ROW)
        for d in range(1, lengths[rank]):
            older = ids[newest - d]
            key = pair_key(ids[newest], older) if d == 1 else child_key(slot, older)
            slot = find(keys, key, home(key, num_slots))
            if rows[slot] == NO_ROW:
                rows[slot] = longest
            longest = rows[slot]


class NgramTable:
    """The built table.

    Attributes:
        keys: uint64 (slots,), FREE where a slot is free; never more than two thirds are taken.
        rows: int32 (slots,): row of the longest n-gram that is a suffix of the node, or NO_ROW.
        duplicate: the first n-gram that the list holds twice, or -1; then the table is no good.
    """

    def __init__(self, lengths: NDArray[np.uint8], ids: NDArray[np.int32]) -> None:
        """Build from `NgramList.lengths`, all at least 2, and `NgramList.ids`."""
        nodes = len(ids) - len(lengths)  # at most: shared suffixes need one
        self.keys = np.full(nodes + nodes // 2 + 1, FREE, np.uint64)
        self.rows = np.full(len(self.keys), NO_ROW, np.int32)
        lengths64 = lengths.astype(np.int64)
        self.duplicate = int(_insert(lengths64, ids, self.keys, self.rows))
        if self.duplicate < 0:
            _inherit(lengths64, ids, self.keys, self.rows)
