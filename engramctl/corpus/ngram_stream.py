"""The n-grams of a dictionary one behind the other: text that it knows."""

import numpy as np
from numpy.typing import NDArray

from engramctl.hashing import DictionaryScheme, Lookup


class NgramStream:
    """Token ids of n-grams by their rank in the list, the most frequent first."""

    def __init__(self, scheme: DictionaryScheme) -> None:
        """Find a token for every canonical id: the first that reads as it."""
        self._ngrams = scheme.ngrams
        self._token_of: NDArray[np.int64] | None = None
        if scheme.canonical.token_map is not None:
            canonical, first = np.unique(scheme.canonical.token_map, return_index=True)
            self._token_of = np.zeros(scheme.canonical.num_canonical, np.int64)
            self._token_of[canonical] = first

    def __len__(self) -> int:
        """Return the number of n-grams."""
        return len(self._ngrams)

    def ids(self, ranks: NDArray[np.int64], count: int) -> NDArray[np.int64]:
        """Return the first `count` token ids of the n-grams with these ranks; each has one or more.

        Example:
            >>> scheme = DictionaryScheme.of([(5, 9), (7, 5, 9)], vocab_size=10)
            >>> NgramStream(scheme).ids(np.array([1, 0]), 4).tolist()
            [7, 5, 9, 5]
        """
        ids = np.concatenate([self._ngrams[int(rank)] for rank in ranks])[:count].astype(np.int64)
        return ids if self._token_of is None else self._token_of[ids]


def ngram_stream(scheme: Lookup) -> NgramStream | None:
    """Return the n-grams of a dictionary that has some; None of any other scheme."""
    if isinstance(scheme, DictionaryScheme) and len(scheme.ngrams):
        return NgramStream(scheme)
    return None
