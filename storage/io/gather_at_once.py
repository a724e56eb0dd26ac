"""A few rows that are all in memory: checked, counted and gathered by one call of a kernel.

A decode step asks for so few rows that calls from Python cost more than the rows.
"""

from typing import Any

import numpy as np

from engramctl.runtime.kernel_cache import njit
from engramctl.storage.io.gather import gather_rows
from engramctl.storage.io.pages import any_unseen
from engramctl.storage.io.row_map import NUM_ROWS, RowMap
from engramctl.storage.io.take_rows import take_rows

MOST_ROWS = 4096  # above it a second thread gains more than calls cost
NO_PAGES = (np.empty((0, 0, 2), np.int64), np.empty(0, np.uint8))


@njit(nogil=True, cache=True)
def gather_at_once(
    row_ids: Any,
    packed: Any,
    bases_SC2: Any,
    seen: Any,
    value_bytes: Any,
    out_address: Any,
    out_bytes: Any,
) -> Any:
    """Write all rows, dequantised, when nothing stands in the way; else nothing is read.

    The ids are copied first: another thread may change the caller's own between check and use.

    Args:
        row_ids: int32 or int64 (n,).
        packed: where they lie; see RowMap.
        bases_SC2: see `unseen_pages`.
        seen: see `unseen_pages`; empty: no page is ever missing.
        value_bytes: see `gather_rows`, as the next two.
        out_address: see `gather_rows`.
        out_bytes: see `gather_rows`.

    Returns:
        how many ids are distinct; or -1: an id is outside the table, a page was not seen before, or
        a scale is bad, which longer ways tell apart.

    Raises:
        IndexError: an output of another length; nothing is read.
    """
    rows = np.empty(row_ids.shape[0], np.int64)
    distinct = take_rows(row_ids, rows, packed[NUM_ROWS])
    if distinct < 0 or (seen.shape[0] and any_unseen(rows, packed, bases_SC2, seen)):
        return np.int64(-1)
    bad = gather_rows(rows, 0, rows.shape[0], packed, value_bytes, out_address, out_bytes)
    return np.int64(distinct if bad < 0 else -1)


def compile_at_once(row_map: RowMap) -> None:
    """Compile now: not in the middle of a step, nor while another thread forks."""
    for kind in (np.int32, np.int64):
        gather_at_once(np.empty(0, kind), row_map.packed, *NO_PAGES, 2, 0, 0)
