"""N-grams of a batch, each once."""

import numpy as np
from numpy.typing import NDArray

_FEW = 24  # of a step: sorting them takes more calls than work


def first_of_each(order_index: NDArray[np.integer], keys: NDArray[np.uint64]) -> NDArray[np.int64]:
    """Return the places where n-grams stand for the first time, ascending, int64 (m,).

    Args:
        order_index: integers (n,).
        keys: low and high words, uint64 (n, 2).

    Example:
        >>> first_of_each(np.array([1, 0, 1]), np.array([[5, 0], [5, 0], [5, 0]], np.uint64))
        array([0, 1])
    """
    if len(keys) <= _FEW:
        places: dict[tuple[int, int, int], int] = {}
        for place, (order, (low, high)) in enumerate(
            zip(order_index.tolist(), keys.tolist(), strict=True)
        ):
            places.setdefault((order, low, high), place)
        return np.array(list(places.values()), np.int64)
    turn = np.lexsort((keys[:, 0], keys[:, 1], order_index))  # stable: equal ones in their order
    keys, order_index = keys[turn], order_index[turn]
    new = np.ones(len(turn), np.bool_)
    new[1:] = (keys[1:] != keys[:-1]).any(axis=1) | (order_index[1:] != order_index[:-1])
    return np.sort(turn[new])
