"""What the host and ssd tiers share: rows by address, converted by the gather kernel."""

from collections.abc import Iterable

import torch

from engramctl.storage.io.gather import gather
from engramctl.storage.io.gather_threads import PIECE_ROWS, follow_model_threads, in_pieces
from engramctl.storage.io.pages import PAGE, resident_pages
from engramctl.storage.io.row_map import RowMap, View
from engramctl.storage.requests.ticket import Request

follow_model_threads(torch.get_num_threads)


def gather_into(request: Request, rows: RowMap, out: torch.Tensor) -> torch.Tensor:
    """Gather rows into `out`, on the CPU, by several threads where there are many."""
    ids = request.row_ids
    if len(ids) <= PIECE_ROWS:
        gather(ids, rows, out)
    else:
        in_pieces(len(ids), lambda start, stop: gather(ids, rows, out, start, stop))
    return out


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
