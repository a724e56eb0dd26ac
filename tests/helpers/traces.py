"""Traces of row accesses."""

import numpy as np
from numpy.typing import NDArray


def skewed(rows: int, accesses: int, seed: int = 0) -> NDArray[np.int64]:
    random = np.random.default_rng(seed)
    ranks = np.minimum(random.zipf(1.15, accesses), rows) - 1
    trace: NDArray[np.int64] = random.permutation(rows)[ranks]
    return trace
