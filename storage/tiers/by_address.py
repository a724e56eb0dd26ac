"""What the host and ssd tiers share: rows by address, converted by the gather kernel."""

from collections.abc import Callable
from concurrent.futures import wait

import numpy as np
import torch
from numpy.typing import NDArray

from engramctl.runtime.threads import Workers
from engramctl.storage.io.gather import gather
from engramctl.storage.io.row_map import RowMap
from engramctl.storage.tiers.ticket import Request

_PIECE_ROWS = 4096  # below this a second thread costs more than it saves
_workers = Workers("engramctl-gather")


def gather_threads() -> int:
    """Return how many threads of this process gather the rows of a large request."""
    return _workers.count


def set_gather_threads(count: int) -> None:
    """Gather with `count` threads from now on, at least 1; not while a gather runs."""
    _workers.resize(count)


def through_host(out: torch.Tensor, fill: Callable[[torch.Tensor], None]) -> torch.Tensor:
    """Fill `out`; through a staging tensor when it lives on a device."""
    if out.device.type == "cpu":
        fill(out)
        return out
    staged = torch.empty(out.shape, dtype=out.dtype, pin_memory=True)
    fill(staged)
    return out.copy_(staged, non_blocking=True)


def gather_into(request: Request, rows: RowMap, out: torch.Tensor) -> torch.Tensor:
    """Gather rows into `out`, on any device."""
    if out.is_cpu and len(request.row_ids) <= _PIECE_ROWS:
        gather(request.row_ids, rows, out)
        return out
    return through_host(out, lambda staged: _gather_into(request.row_ids, rows, staged))


def _gather_into(row_ids: NDArray[np.int64], rows: RowMap, out: torch.Tensor) -> None:
    total = len(row_ids)
    pieces = min(_workers.count, -(-total // _PIECE_ROWS))
    if pieces <= 1:
        gather(row_ids, rows, out)
        return
    edges = [total * k // pieces for k in range(pieces + 1)]
    work = [
        _workers.submit(gather, row_ids, rows, out, edges[k], edges[k + 1]) for k in range(pieces)
    ]
    wait(work)
    for piece in work:
        piece.result()
