"""What the host and ssd tiers share: rows by address, converted by the gather kernel."""

import os
from concurrent.futures import ThreadPoolExecutor
from functools import cache

import torch

from engramctl.storage.io.gather import OUT_CODES, RowMap, gather
from engramctl.storage.tiers.store import DTYPES, Request

_PIECE_ROWS = 4096  # below this a second thread costs more than it saves


@cache
def _pool() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(len(os.sched_getaffinity(0)), thread_name_prefix="engramctl-gather")


def gather_into(request: Request, rows: RowMap, out: torch.Tensor) -> torch.Tensor:
    """Gather rows into `out`; through a staging tensor when `out` lives on a device."""
    on_cpu = out.device.type == "cpu"
    staged = out if on_cpu else torch.empty(out.shape, dtype=out.dtype, pin_memory=True)
    code = OUT_CODES[DTYPES[out.dtype]]
    total = len(request.row_ids)
    pieces = min(_pool()._max_workers, -(-total // _PIECE_ROWS))
    if pieces <= 1:
        gather(request.row_ids, rows, code, staged.data_ptr())
    else:
        edges = [total * k // pieces for k in range(pieces + 1)]
        work = [
            _pool().submit(
                gather, request.row_ids, rows, code, staged.data_ptr(), edges[k], edges[k + 1]
            )
            for k in range(pieces)
        ]
        for piece in work:
            piece.result()
    return out if on_cpu else out.copy_(staged, non_blocking=True)
