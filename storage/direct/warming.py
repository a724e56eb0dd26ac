"""A row cache filled before anybody asks."""

from typing import TYPE_CHECKING

from engramctl.storage.cache.row_cache import RowCache
from engramctl.storage.cache.row_index import most_wanted
from engramctl.storage.direct.page_reads import RowIds
from engramctl.storage.direct.sorted_pieces import SortedPieces

if TYPE_CHECKING:
    import torch

_TURNS = 16  # at least: within one, rows come in the order of their ids


def warm(cache: RowCache, pieces: SortedPieces, rows: RowIds, out: "torch.Tensor") -> None:
    """Fill a cache while it has room, the least wanted rows first: who came first leaves first.

    Args:
        cache: to be filled.
        pieces: reads, and gives the cache what it read.
        rows: layer -> row ids, int64 (n,), each once, the most wanted first.
        out: room for some rows, on the CPU, of any dtype that rows are read as.
    """
    step = min(len(out), max(1, cache.capacity // _TURNS))
    kept = most_wanted(rows, cache.capacity - cache.rows)
    turns = -(-max(map(len, kept.values()), default=0) // step)
    for turn in reversed(range(turns)):
        for layer, ids in kept.items():
            some = ids[len(ids) * turn // turns : len(ids) * (turn + 1) // turns]
            pieces.read(layer, some, out[: len(some)], counted=False)
    cache.keep_all()
