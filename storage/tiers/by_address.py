"""What the host and ssd tiers share: rows by address, converted by the gather kernel."""

from collections.abc import Callable

import torch

from engramctl.storage.io.gather import gather
from engramctl.storage.io.gather_threads import PIECE_ROWS, in_pieces
from engramctl.storage.io.row_map import RowMap
from engramctl.storage.requests.ticket import Request


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
    if out.is_cpu and len(request.row_ids) <= PIECE_ROWS:
        gather(request.row_ids, rows, out)
        return out

    def fill(staged: torch.Tensor) -> None:
        ids = request.row_ids
        in_pieces(len(ids), lambda start, stop: gather(ids, rows, staged, start, stop))

    return through_host(out, fill)
