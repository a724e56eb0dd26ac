"""The n-grams of a counts folder that a scheme can look up, each with its key and its worth.

The worth of an n-gram is the number of chunks further text would have it in. Counts hold
occurrences, so it is the count times the share that was measured on real text for such a count and
order, interpolated in the logarithm of the count.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engramctl.counts.scheme_ngrams import Seen, SeenNgrams
from engramctl.hashing import Scheme
from engramctl.hashing.kernels.keys import pack_windows

_COUNTS = np.log([1.0, 2.0, 8.0, 64.0])
_SHARES = {2: [0.54, 0.65, 0.84, 1.0], 3: [0.33, 0.47, 0.75, 1.0], 4: [0.21, 0.355, 0.69, 1.0]}
_PASS_NGRAMS = 1 << 20  # n-grams whose keys are made whole together, about 100 bytes each
_SPREAD = np.uint64(0x9E3779B97F4A7C15)


@dataclass(frozen=True)
class Ngrams:
    """N-grams of any orders, as columns of one length n.

    Attributes:
        value: what each is worth, float64 (n,).
        order_index: which order of the scheme, uint8 (n,).
        keys: low and high words, uint64 (n, 2).
        token_ids: token ids that give the n-gram, oldest first, the last at the end, uint32
            (n, max_order); columns before the n-gram are 0.
    """

    value: NDArray[np.float64]
    order_index: NDArray[np.uint8]
    keys: NDArray[np.uint64]
    token_ids: NDArray[np.uint32]

    def __len__(self) -> int:
        """Return n."""
        return len(self.value)

    def take(self, where: NDArray[Any]) -> "Ngrams":
        """Return some of them."""
        return Ngrams(*(column[where] for column in self._columns()))

    @classmethod
    def joined(cls, parts: Sequence["Ngrams"]) -> "Ngrams":
        """Return all of them, one part after the other."""
        columns = zip(*(part._columns() for part in parts), strict=True)
        return cls(*(np.concatenate(column) for column in columns))

    def _columns(self) -> tuple[NDArray[Any], ...]:
        return self.value, self.order_index, self.keys, self.token_ids


class Best:
    """The most valuable of all that were added; equal values by order and key."""

    def __init__(self, entries: int) -> None:
        """Keep at most so many."""
        self._entries = entries
        self._parts: list[Ngrams] = []
        self._least = 0.0

    def add(self, ngrams: Ngrams) -> None:
        """Look at more."""
        hopeful = ngrams.value >= self._least
        self._parts.append(ngrams if hopeful.all() else ngrams.take(hopeful))
        if sum(map(len, self._parts)) > self._entries + _PASS_NGRAMS:
            self.all()

    def all(self) -> Ngrams | None:
        """Return what is kept, None when nothing was added."""
        if not self._parts:
            return None
        found = Ngrams.joined(self._parts)
        if len(found) > self._entries:
            least = np.partition(found.value, -self._entries)[-self._entries]
            found = found.take(found.value >= least)
            low, high = found.keys[:, 0], found.keys[:, 1]
            turn = np.lexsort((low, high, found.order_index, -found.value))[: self._entries]
            found, self._least = found.take(turn), float(least)
        self._parts = [found]
        return found


class Candidates:
    """What a counts folder holds that a scheme can look up."""

    def __init__(self, scheme: Scheme, counts: Path) -> None:
        """Look at the folder's manifest; raises as `SeenNgrams`."""
        self._scheme = scheme
        self._seen = SeenNgrams(scheme, counts)

    @property
    def num_ngrams(self) -> int:
        """How many n-grams reading all of them looks at, for a progress bar."""
        seen = self._seen
        return sum(seen.num_ngrams(one) * self._num_passes(one) for one in seen.orders)

    def read(self, progress: Callable[[int], None] = lambda amount: None) -> Iterator[Ngrams]:
        """Give all n-grams that look-back can see, each key once.

        Memory: about 200 MiB.

        Raises:
            CorpusError: broken counts, or ids outside the vocabulary.
        """
        for order in self._seen.orders:
            yield from self._of_order(order, progress)

    def _num_passes(self, order: int) -> int:
        """Return how often an order is read: a token map may join n-grams from all its file."""
        if not self._seen.joins:
            return 1
        return max(1, -(-self._seen.num_ngrams(order) // _PASS_NGRAMS))

    def _of_order(self, order: int, progress: Callable[[int], None]) -> Iterator[Ngrams]:
        passes = self._num_passes(order)
        for number in range(passes):
            parts = []
            for amount, seen in self._seen.read(order):
                progress(amount)
                found = self._keyed(order, seen)
                if passes > 1:
                    mixed = (found.keys[:, 0] ^ found.keys[:, 1]) * _SPREAD >> np.uint64(32)
                    found = found.take(mixed % np.uint64(passes) == number)
                parts.append(found)
                if not self._seen.joins:
                    yield _valued(parts.pop(), order)
            if parts:
                yield _valued(_each_once(Ngrams.joined(parts)), order)

    def _keyed(self, order: int, seen: Seen) -> Ngrams:
        """Return n-grams with their keys and, as values, counts."""
        scheme, tokens = self._scheme, seen.tokens
        walk = [seen.ids[:, order - 1 - d, None] for d in range(order)]
        keys = pack_windows(walk, (order,), scheme.canonical.num_canonical)[:, 0, 0]
        padded = np.zeros((len(tokens), scheme.max_order), np.uint32)
        padded[:, scheme.max_order - order :] = tokens
        places = np.full(len(tokens), scheme.orders.index(order), np.uint8)
        return Ngrams(seen.counts.astype(np.float64), places, keys, padded)


def _each_once(ngrams: Ngrams) -> Ngrams:
    """Return each key once, with the sum of its counts and its smallest token ids."""
    tokens = ngrams.token_ids
    turn = np.lexsort((*tokens.T[::-1], ngrams.keys[:, 0], ngrams.keys[:, 1]))
    ngrams = ngrams.take(turn)
    new = np.ones(len(ngrams), bool)
    new[1:] = (ngrams.keys[1:] != ngrams.keys[:-1]).any(axis=1)
    if not len(ngrams):
        return ngrams
    sums = np.add.reduceat(ngrams.value, np.flatnonzero(new))
    once = ngrams.take(new)
    return Ngrams(sums, once.order_index, once.keys, once.token_ids)


def _valued(ngrams: Ngrams, order: int) -> Ngrams:
    """Return n-grams with their counts turned into what they are worth."""
    shares = np.interp(np.log(ngrams.value), _COUNTS, _SHARES[max(2, min(order, 4))])
    worth = ngrams.value * shares
    return Ngrams(worth, ngrams.order_index, ngrams.keys, ngrams.token_ids)
