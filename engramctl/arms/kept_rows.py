"""What a store under test keeps of rows that it read, and how a sample's rows get there."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from engramctl.storage import Store
from engramctl.storage.cache.all_hits import has_all
from engramctl.storage.cache.row_cache import RowCache
from engramctl.storage.direct.direct_rows import DirectRows
from engramctl.storage.tiers.ssd import SsdStore

_PASSES = 8  # S3-FIFO keeps for long what is asked for again soon: the second or third does


def row_cache(store: Store) -> RowCache | None:
    """Return the row cache of a store; None where it has none."""
    if isinstance(store, SsdStore) and isinstance(store.read, DirectRows):
        return store.read.cache
    return None


def bring(store: Store, cache: RowCache, rows: Mapping[int, NDArray[np.int64]]) -> str | None:
    """Read rows until the row cache has them all; return why it cannot have them, or None.

    Args:
        store: of the cache.
        cache: its row cache.
        rows: layer -> row ids, int64 (n,).
    """
    distinct = {layer: np.unique(ids) for layer, ids in rows.items()}
    number = sum(map(len, distinct.values()))
    if number <= cache.capacity:
        for _ in range(_PASSES):
            if has_all(cache, distinct):
                return None
            ticket = store.prefetch(distinct)
            for layer in distinct:
                ticket.wait(layer)
        if has_all(cache, distinct):
            return None
    return (
        f"the row cache does not keep the rows of a sample: {number:,} of them, and it holds "
        f"{cache.capacity:,} rows"
    )
