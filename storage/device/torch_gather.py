"""What `triton_gather` does, with torch operations: on any device, with the same answers.

Nothing here waits for the device, so nothing may depend on a value: ids that are no rows read the
first row, and what came of it is replaced.
"""

import torch

from engramctl.storage.device.bad_ids import NOT_BAD
from engramctl.storage.device.torch_codecs import widen
from engramctl.storage.record.record import RecordSpec

CHUNK_ROWS = 1 << 16  # rows widened at a time: what bounds the memory beside the table


def gather(
    spec: RecordSpec,
    records: torch.Tensor,
    row_ids: torch.Tensor,
    table_scale: float,
    out: torch.Tensor,
    targets: torch.Tensor | None,
    bad: torch.Tensor | None,
    num_rows: int,
) -> None:
    """Fill rows of `out` with values, or with records when that is uint8; see `Gathering`."""
    for first in range(0, len(row_ids), CHUNK_ROWS):
        part = slice(first, first + CHUNK_ROWS)
        ids = row_ids[part]
        is_row = (ids >= 0) & (ids < num_rows)
        if bad is not None:
            places = torch.arange(first, first + len(ids), device=ids.device)
            fine = is_row if targets is None else is_row | (targets[part] < 0)
            torch.minimum(bad, torch.where(fine, NOT_BAD, places).amin(0, True), out=bad)
        missing = 0 if out.dtype is torch.uint8 else torch.nan
        if num_rows:
            found = records.index_select(0, torch.where(is_row, ids, 0))
            if out.dtype is not torch.uint8:
                found = widen(spec, found, table_scale)
            found = torch.where(is_row[:, None], found, missing).to(out.dtype)
        else:
            found = out.new_full((len(ids), out.shape[1]), missing)
        if targets is None:
            out[part] = found
        else:
            _put(found, targets[part].long(), out)


def _put(rows: torch.Tensor, targets: torch.Tensor, out: torch.Tensor) -> None:
    """Write rows to their targets; those below 0 go to a row that is dropped: no value is asked."""
    one_more = out.new_empty((len(out) + 1, out.shape[1]))
    one_more[:-1] = out
    one_more.index_copy_(0, torch.where(targets < 0, len(out), targets), rows)
    out.copy_(one_more[:-1])
