"""Mining in plain Python: what the engines must give, row for row. For tests and for reading."""

from collections import Counter
from collections.abc import Iterable, Sequence

Row = tuple[tuple[int, ...], int]


def bucket(token_ids: Sequence[int]) -> int:
    """Return the bucket by which rows ascend first; formula in `engramctl.counting.keys`.

    Example:
        >>> bucket([1]), bucket([1, 2]), bucket([1, 3, 9])
        (0, 2038, 2039)
    """
    if len(token_ids) == 1:
        return 0
    first, second = token_ids[:2]
    product = (first << 32 | second >> 12) * 0x9E3779B97F4A7C15 % 2**64
    return product >> 52 ^ second & 0xFFF


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
    """Return the rows of `order{n}.parquet`: ascending bucket, then ascending token ids."""
    counts = count_ngrams(documents, order)
    kept = ((ngram, times) for ngram, times in counts.items() if times >= min_count)
    return sorted(kept, key=lambda row: (bucket(row[0]), row[0]))
