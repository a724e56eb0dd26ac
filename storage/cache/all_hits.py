"""Requests whose rows are all in a row cache: seen to be, and gathered, by all threads.

Nothing is held between the two: a row that was evicted meanwhile is told to the caller.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from engramctl.storage.cache.finding import BLOCK
from engramctl.storage.cache.gathering import TOGETHER, gather_here
from engramctl.storage.cache.lookups import has_rows
from engramctl.storage.cache.row_cache import RowCache
from engramctl.storage.io.gather_threads import PIECE_ROWS, in_pieces
from engramctl.storage.io.row_map import RowMap

if TYPE_CHECKING:
    import torch

AT_ONCE = PIECE_ROWS  # rows of a thread, while which nothing is taken into the cache


def has_all(cache: RowCache, rows: Mapping[int, NDArray[Any]]) -> bool:
    """Tell whether all these rows are here, now; no hit is counted.

    Args:
        cache: a row cache.
        rows: layer -> row ids, int32 or int64 (n,).
    """
    few = sum(map(len, rows.values())) <= TOGETHER
    record_bytes = cache.record_bytes if few else 0  # of many, lines would be gone when needed
    with cache.lock:
        for layer, ids in rows.items():
            stop = len(ids) if few else min(BLOCK, len(ids))
            if not has_rows(ids, 0, stop, cache.bases[layer], *cache.arrays, record_bytes):
                return False
    return few or all(_has(cache, layer, ids) for layer, ids in rows.items())


def _has(cache: RowCache, layer: int, ids: NDArray[Any]) -> bool:
    """Tell whether all rows of a layer are here, by all threads."""

    def piece(start: int, stop: int) -> bool:
        for first in range(start, stop, AT_ONCE):
            with cache.sharing.shared():
                end = min(first + AT_ONCE, stop)
                if not has_rows(ids, first, end, cache.bases[layer], *cache.arrays, 0):
                    return False
        return True

    return all(in_pieces(len(ids), piece))


def gather_hits(
    cache: RowCache, row_map: RowMap, row_ids: NDArray[Any], out: "torch.Tensor"
) -> list[tuple[int, int]]:
    """Write the rows of a layer that are here, dequantised, until one is missed; each is a hit.

    Args:
        cache: a row cache.
        row_map: of the layer.
        row_ids: int32 or int64 (n,).
        out: contiguous, on the CPU, row_dim values for each.

    Returns:
        the positions that were not written, as ranges: about from a row that is not here, or whose
        scale is bad, to the last of its thread's.
    """
    facts = cache.bases[row_map.layer], row_map.packed, *cache.arrays
    words = out.element_size(), out.data_ptr(), out.nbytes
    total = len(row_ids)
    if total <= AT_ONCE:
        with cache.lock:
            end = int(gather_here(row_ids, 0, total, *facts, *words))
            cache.hits += end
        return [(end, total)] if end < total else []

    def piece(start: int, stop: int) -> tuple[int, int]:
        for first in range(start, stop, AT_ONCE):
            with cache.sharing.shared():
                end = min(first + AT_ONCE, stop)
                written = int(gather_here(row_ids, first, end, *facts, *words))
            if written < end:
                return written, stop
        return stop, stop

    left: list[tuple[int, int]] = []
    for first, stop in in_pieces(total, piece):
        if left and left[-1][1] == first:
            left[-1] = left[-1][0], stop
        elif first < stop:
            left.append((first, stop))
    with cache.lock:
        cache.hits += total - sum(stop - first for first, stop in left)
    return left


def compile_hits(cache: RowCache, row_map: RowMap, out: "torch.Tensor") -> None:
    """Compile every kernel now, for both kinds of ids; `out` has no rows."""
    for kind in (np.int32, np.int64):
        none = np.empty(0, kind)
        has_all(cache, {row_map.layer: none})
        gather_hits(cache, row_map, none, out)
