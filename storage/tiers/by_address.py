"""What the host and ssd tiers share: rows by address, converted by the gather kernel."""

from collections.abc import Callable, Iterable

import torch

from engramctl.storage.io.gather import gather
from engramctl.storage.io.gather_threads import PIECE_ROWS, follow_model_threads, in_pieces
from engramctl.storage.io.pages import PAGE, resident_pages
from engramctl.storage.io.row_map import RowMap, View
from engramctl.storage.requests.ticket import Request

follow_model_threads(torch.get_num_threads)


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


def resident_of(views: Iterable[View]) -> tuple[int, int]:
    """Return (pages of some memory that are there, pages of it): swap could have taken some."""
    pages = 0
    resident = 0
    for one in views:
        start = one.ctypes.data // PAGE * PAGE
        flags = resident_pages(start, one.ctypes.data + len(one) - start)
        pages += len(flags)
        resident += int(flags.sum())
    return resident, pages
