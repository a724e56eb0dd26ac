"""Mining in plain Python: what the engines must give, row for row. For tests and for reading."""

from collections import Counter
from collections.abc import Iterable, Sequence

Row = tuple[tuple[int, ...], int]
_MASK = 2**64 - 1


def fmix64(x: int) -> int:
    """Return MurmurHash3's 64-bit finaliser.

    Example:
        >>> hex(fmix64(1))
        '0xb456bcfc34c2cb2c'
    """
    x = ((x ^ (x >> 33)) * 0xFF51AFD7ED558CCD) & _MASK
    x = ((x ^ (x >> 33)) * 0xC4CEB9FE1A85EC53) & _MASK
    return x ^ (x >> 33)


def mix(token_ids: Sequence[int]) -> int:
    """Return the mix by which rows ascend; formula in `engramctl.mining.keys`."""
    key = 0
    for token in token_ids:
        key = key << 32 | token
    hi, lo = key >> 64, key & _MASK
    return fmix64(lo ^ fmix64(hi >> 12)) ^ (hi & 0xFFF) << 52


def count_ngrams(documents: Iterable[Sequence[int]], order: int) -> Counter[tuple[int, ...]]:
    """Count the n-grams of one order; none crosses a document.

    Example:
        >>> count_ngrams([[1, 2, 1, 2], [1]], 2)
        Counter({(1, 2): 2, (2, 1): 1})
    """
    return Counter(
        tuple(document[at : at + order])
        for document in documents
        for at in range(len(document) - order + 1)
    )


def rows(documents: Iterable[Sequence[int]], order: int, min_count: int = 1) -> list[Row]:
    """Return the rows of `order{n}.parquet`: ascending mix, ties by token ids."""
    counts = count_ngrams(documents, order)
    kept = ((ngram, times) for ngram, times in counts.items() if times >= min_count)
    return sorted(kept, key=lambda row: (mix(row[0]), row[0]))
