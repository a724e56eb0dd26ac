"""Windows in, row ids out: the walk without its walking, for n-grams that were counted before.

The vector loops are the walk's own (`engramctl.hashing.kernels.cpu`); a block holds 128 windows
instead of 128 positions of one sequence.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engramctl.hashing.kernels import reference
from engramctl.hashing.kernels.cpu import mix_and_reduce, reduce_exact, reduce_wrapping
from engramctl.hashing.kernels.head_columns import BLOCK, HeadTables
from engramctl.hashing.kernels.plan import Plan
from engramctl.hashing.walk.heads import LayerHash
from engramctl.hashing.walk.mix import Mix
from engramctl.hashing.walk.token_map import Canonical
from engramctl.hashing.walk.window import Boundary
from engramctl.runtime.kernel_cache import njit


@njit(nogil=True, cache=True)
def _hash_windows(
    windows_MN: Any, weights: Any, constants: Any, groups_G4: Any, rows: Any, out_1MH: Any
) -> Any:
    """Hash every window; the arguments but the first are as in `cpu._walk`."""
    order, num_heads = windows_MN.shape[1], out_1MH.shape[2]
    mixes = order * BLOCK
    work = np.zeros(mixes + (1 + len(rows)) * BLOCK, np.int64)
    for first in range(0, len(windows_MN), BLOCK):
        n = min(BLOCK, len(windows_MN) - first)
        for s in range(n):
            for d in range(order):
                work[d * BLOCK + s] = np.int64(windows_MN[first + s, order - 1 - d])
        start = first * num_heads
        if weights is None:
            reduce_exact(work, 0, BLOCK, rows, n, constants, groups_G4, out_1MH, start)
        elif weights.ndim == 2:
            reduce_wrapping(work, 0, rows, n, weights, constants, groups_G4, out_1MH, start)
        else:
            mix_and_reduce(
                work, 0, BLOCK, mixes, rows, n, weights, constants, groups_G4, out_1MH, start
            )


class WindowHash:
    """Some heads of one layer and order, for windows; safe from several threads."""

    def __init__(
        self, layer: LayerHash, mix: Mix, columns: Sequence[int], num_canonical: int
    ) -> None:
        """Lay out the constants of the heads.

        Args:
            layer: the layer's multipliers and heads.
            mix: how windows are mixed.
            columns: the heads, by column of `Scheme.row_ids`, ascending and of one order.
            num_canonical: ids of windows lie in [0, num_canonical).
        """
        heads = tuple(layer.heads[column] for column in columns)
        self.order = heads[0].order
        assert all(head.order == self.order for head in heads)
        chosen = replace(layer, multipliers=layer.multipliers[: self.order], heads=heads)
        # A window is formed: nothing stops in it, and no id of it is mapped.
        self._plan = Plan.of(Canonical.identity(num_canonical), Boundary(0), chosen, mix)
        self._dtype = np.dtype(np.int32 if layer.num_rows < 2**31 else np.int64)
        self._tables = HeadTables.of(self._plan)

    def __call__(self, windows_MN: NDArray[np.integer[Any]]) -> NDArray[np.signedinteger[Any]]:
        """Return the row ids of windows.

        Args:
            windows_MN: canonical ids with fills, oldest first, C-contiguous, below
                `num_canonical`; ids outside give wrong rows, unnoticed.

        Returns:
            (M, heads), the columns in their order; int32 when the table has fewer than 2^31 rows,
            else int64.
        """
        tables = self._tables
        if tables is None:
            ids_MN = windows_MN.astype(np.int64)
            rows_MH = reference.row_ids(ids_MN, self._plan)[:, 0]
            return np.ascontiguousarray(rows_MH, self._dtype)
        out_1MH = np.empty((1, len(windows_MN), len(self._plan.orders_H)), self._dtype)
        _hash_windows(
            windows_MN, tables.weights, tables.constants, tables.groups_G4, tables.rows, out_1MH
        )
        out_MH: NDArray[np.signedinteger[Any]] = out_1MH[0]
        return out_MH
