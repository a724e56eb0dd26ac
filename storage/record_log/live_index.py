"""Which record holds an n-gram, while records come and go: exact, twelve bytes an entry.

A hash table with linear probing. An entry is a key's mixed low word and 32 bits: the record's
number from 1, and how far the entry lies from its home slot. The home slot follows from the key's
bucket and word (`key_mixing`), so an equal word at an equal home is an equal key. Entries with a
nearer home give way (Robin Hood: Celis, Larson, Munro, 1985), so that a search ends early, and one
taken out is closed up behind. An entry that would lie too far away is not taken: a hit lost.
"""

import threading

import numpy as np
from numpy.typing import NDArray

from engramctl.errors import ConfigError
from engramctl.storage.format.dictionary_index import bucket_bits
from engramctl.storage.format.key_mixing import (
    highest_word,
    keys_fit,
    order_bits,
    surplus_bits,
)
from engramctl.storage.record_log.live_slots import (
    find_entries,
    insert_entries,
    remove_entries,
    sweep_entries,
)

MAX_RECORDS = (1 << 26) - 1
_MOST_AWAY = 255  # slots from home, and where numbers are long, less
_NUMBER_BITS = 32
_SLOTS_FOR_7 = 8  # filled to 7/8 at most
_SWEPT_SLOTS = 1 << 16  # at a time: nobody who looks up waits for longer


class LiveIndex:
    """N-grams and their records' numbers; found by any thread, while one other changes it.

    Attributes:
        entries: how many n-grams it has.
        num_bytes: of RAM, all taken when it is made.

    Example:
        >>> index = LiveIndex(100, num_orders=2, key_bits=68)
        >>> orders, keys = np.array([0, 1]), np.array([[5, 1], [5, 1]], np.uint64)
        >>> index.insert(orders, keys, np.array([7, 8]))
        >>> index.find(np.array([1, 0, 0]), np.array([[5, 1], [5, 1], [5, 2]], np.uint64)).tolist()
        [8, 7, -1]
    """

    def __init__(self, max_records: int, *, num_orders: int, key_bits: int) -> None:
        """Begin empty.

        Args:
            max_records: numbers lie below.
            num_orders: order indices lie below.
            key_bits: keys have no bit from here on.

        Raises:
            ConfigError: keys that are too long for an exact index, or too many records.
        """
        bucket_bits(0, num_orders, key_bits)  # are they not too long?
        if not 1 <= max_records <= MAX_RECORDS:
            raise ConfigError(
                f"an n-gram log cannot hold {max_records:,} records",
                facts={"expected": f"1 to {MAX_RECORDS:,}", "found": f"{max_records:,}"},
                hint="name another size for it",
            )
        bits = max(1, surplus_bits(num_orders, key_bits))
        width = -(-max_records * _SLOTS_FOR_7 // 7) // (1 << bits) + 1
        away_bits = _NUMBER_BITS - max_records.bit_length()
        most = min(_MOST_AWAY, (1 << away_bits) - 1)
        slots = (width << bits) + most
        self._orders, self._key_bits = num_orders, key_bits
        self._shape = np.array([order_bits(num_orders), bits, width, away_bits, most], np.uint64)
        self._remainders = np.zeros(slots, np.uint64)
        self._words = np.zeros(slots, np.uint32)
        self._highest = highest_word(key_bits)
        self._hidden = np.zeros(2, np.int64)
        self.entries = 0
        self.renew()
        none = np.empty(0, np.int64), np.empty((0, 2), np.uint64)
        self.find(*none)  # compiled now, not when rows are waited for
        self.insert(*none, none[0])
        self.remove(*none, none[0])
        sweep_entries(0, 0, 0, 0, self._shape[3], self._remainders, self._words)

    def renew(self) -> None:
        """Make the lock anew in a forked child."""
        self._lock = threading.Lock()  # held for a batch, or a part of a sweep

    @property
    def num_bytes(self) -> int:
        """Bytes of RAM."""
        return self._remainders.nbytes + self._words.nbytes

    def fits(self, order_index: NDArray[np.integer], keys: NDArray[np.uint64]) -> NDArray[np.bool_]:
        """Say which n-grams it can hold, bool (n,)."""
        return keys_fit(order_index, keys, self._orders, self._key_bits)

    def find(self, order_index: NDArray[np.integer], keys: NDArray[np.uint64]) -> NDArray[np.int64]:
        """Return the record of each n-gram, or -1.

        Args:
            order_index: each in range, integers (n,).
            keys: low and high words, uint64 (n, 2).

        Returns:
            int64 (n,).
        """
        out = np.empty(len(keys), np.int64)
        orders, keys = order_index.astype(np.uint64), np.ascontiguousarray(keys)
        with self._lock:
            find_entries(
                orders, keys, self._highest, self._shape, self._remainders, self._words, out
            )
            out[(out >= self._hidden[0]) & (out < self._hidden[1])] = -1
        return out

    def insert(
        self,
        order_index: NDArray[np.integer],
        keys: NDArray[np.uint64],
        numbers: NDArray[np.integer],
    ) -> None:
        """Take n-grams in; of one that is there the number changes, one without room is left out.

        Args:
            order_index: integers (n,).
            keys: uint64 (n, 2); with their order index, such that `fits`.
            numbers: integers (n,), each below `max_records`.
        """
        orders, numbered = order_index.astype(np.uint64), numbers.astype(np.uint32)
        with self._lock:
            self.entries += insert_entries(
                orders, keys, numbered, self._shape, self._remainders, self._words
            )

    def remove(
        self,
        order_index: NDArray[np.integer],
        keys: NDArray[np.uint64],
        numbers: NDArray[np.integer],
    ) -> None:
        """Take n-grams out, if they have these numbers; shapes as in `insert`."""
        orders, numbered = order_index.astype(np.uint64), numbers.astype(np.uint32)
        with self._lock:
            self.entries -= remove_entries(
                orders, keys, numbered, self._shape, self._remainders, self._words
            )

    def drop(self, first: int, stop: int) -> int:
        """Take out all records whose number lies in [first, stop); returns how many there were.

        From its beginning on none of them is found.
        """
        before = self.entries
        with self._lock:
            self._hidden[:] = first, stop
        for begin in range(0, len(self._words), _SWEPT_SLOTS):
            end = min(begin + _SWEPT_SLOTS, len(self._words))
            with self._lock:
                self.entries -= sweep_entries(
                    begin, end, first, stop, self._shape[3], self._remainders, self._words
                )
        with self._lock:
            self._hidden[:] = 0
        return before - self.entries
