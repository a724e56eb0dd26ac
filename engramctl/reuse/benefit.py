"""Which n-grams should a dictionary hold? Those that further text is expected to ask for most.

The value of an n-gram is the number of chunks it would occur in, in text as long as a half of what
was mined, given its count there and its order: measured by counting one half and looking at the
other. Chunks are counted, not occurrences, because a chunk reads a row once. Counts of the whole
text take the values of a half: only their order matters.
"""

import numpy as np
from numpy.typing import NDArray

EXACT_COUNTS = 16  # counts to here have a class of their own, then classes grow by a quarter
PRIOR_CHUNKS = 64.0  # a class is drawn to the ratio of the class below as if it had these more
_CLASS_GROWTH = 1.25


def count_classes(counts: NDArray[np.integer]) -> NDArray[np.int64]:
    """Return the class of each count; 0 is class 0.

    Example:
        >>> count_classes(np.array([0, 1, 16, 17, 20, 21])).tolist()
        [0, 1, 16, 17, 17, 18]
    """
    beyond = np.maximum(counts, EXACT_COUNTS) / EXACT_COUNTS
    above = np.ceil(np.log(beyond) / np.log(_CLASS_GROWTH) - 1e-9).astype(np.int64)
    classes: NDArray[np.int64] = np.minimum(counts, EXACT_COUNTS).astype(np.int64) + above
    return classes


def expected_counts(halves: NDArray[np.uint32]) -> NDArray[np.float64]:
    """Return the value of every n-gram of one order, never less for a larger count.

    Each half predicts the other. The ratio of predicted to counted chunks is taken by class of
    count; few data are drawn towards the class below, the first class towards the ratio of all.

    Args:
        halves: chunk counts, uint32 (N, 2).

    Returns:
        float64 (N,).

    Example:
        >>> halves = np.array([[1, 0], [0, 1], [4, 4], [4, 4]], np.uint32)
        >>> [round(float(x), 2) for x in expected_counts(halves)]
        [0.86, 0.86, 7.12, 7.12]
    """
    total = halves.sum(axis=1, dtype=np.int64)
    if not len(total):
        return np.zeros(0)
    mine = np.concatenate([halves[:, 0], halves[:, 1]]).astype(np.int64)
    other = np.concatenate([halves[:, 1], halves[:, 0]]).astype(np.int64)
    classes = count_classes(mine)
    last = int(max(classes.max(), count_classes(total).max()))
    counted = np.bincount(classes, mine, last + 1)
    predicted = np.bincount(classes, other, last + 1)
    ratio = predicted[1:].sum() / max(1.0, counted[1:].sum())
    ratios = np.empty(last + 1)
    for number in range(1, last + 1):
        ratio = (predicted[number] + PRIOR_CHUNKS * ratio) / (counted[number] + PRIOR_CHUNKS)
        ratios[number] = ratio
    ratios[0] = 0.0
    by_count, places = np.unique(total, return_inverse=True)
    values = np.maximum.accumulate(ratios[count_classes(by_count)] * by_count)
    return np.asarray(values[places], np.float64)
