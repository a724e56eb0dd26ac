"""Many rows gathered now: those that the row cache has at once, the others as any request."""

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from engramctl.storage.cache.all_hits import gather_hits
from engramctl.storage.direct.direct_rows import DirectRows

if TYPE_CHECKING:
    import torch


def gather_now(
    read: DirectRows,
    layer: int,
    row_ids: NDArray[np.int64],
    out: "torch.Tensor",
    check: Callable[[], None],
) -> None:
    """Write rows of a layer, as `start` and `finish` do, with one look into the row cache.

    Args:
        read: what reads, and the cache.
        layer: which.
        row_ids: int32 or int64 (n,).
        out: see `DirectRows.finish`.
        check: see `DirectRows.start`.

    Raises:
        StorageError: see `DirectRows.finish`.
        FormatError: see `DirectRows.finish`.
    """
    left = [(0, len(row_ids))]
    if read.cache is not None:
        left = gather_hits(read.cache, read.maps[layer], row_ids, out)
    for start, stop in left:
        some, flat = row_ids[start:stop], out.view(-1, out.shape[-1])
        fetch = read.start({layer: some}, None, check)
        read.finish(layer, some, fetch, flat[start:stop])
