"""Rows of bytes copied to where records want them: a strided copy that vectorises."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from engramctl.runtime.kernel_cache import njit


@njit(nogil=True, cache=True)
def _copy(rows: Any, out: Any) -> None:
    for i in range(rows.shape[0]):
        for j in range(rows.shape[1]):
            out[i, j] = rows[i, j]


def copy_rows(rows: NDArray[np.uint8], out: NDArray[np.uint8]) -> None:
    """Copy rows; as `out[:] = rows`, and faster where rows of `out` lie apart.

    Args:
        rows: uint8 (n, bytes).
        out: uint8 of the same shape, any steps.
    """
    assert rows.shape == out.shape
    _copy(rows, out)
