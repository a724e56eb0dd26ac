"""What the host and ssd tiers share: rows by address, converted by the gather kernel."""

from concurrent.futures import wait

import torch

from engramctl.runtime.threads import Workers
from engramctl.storage.io.gather import gather
from engramctl.storage.io.row_map import RowMap
from engramctl.storage.tiers.ticket import Request

_PIECE_ROWS = 4096  # below this a second thread costs more than it saves
_workers = Workers("engramctl-gather")


def gather_into(request: Request, rows: RowMap, out: torch.Tensor) -> torch.Tensor:
    """Gather rows into `out`; through a staging tensor when `out` lives on a device."""
    on_cpu = out.is_cpu
    if on_cpu and len(request.row_ids) <= _PIECE_ROWS:
        gather(request.row_ids, rows, out)
        return out
    staged = out if on_cpu else torch.empty(out.shape, dtype=out.dtype, pin_memory=True)
    row_ids, total = request.row_ids, len(request.row_ids)
    pieces = min(_workers.count, -(-total // _PIECE_ROWS))
    if pieces <= 1:
        gather(row_ids, rows, staged)
    else:
        edges = [total * k // pieces for k in range(pieces + 1)]
        work = [
            _workers.submit(gather, row_ids, rows, staged, edges[k], edges[k + 1])
            for k in range(pieces)
        ]
        wait(work)
        for piece in work:
            piece.result()
    return out if on_cpu else out.copy_(staged, non_blocking=True)
