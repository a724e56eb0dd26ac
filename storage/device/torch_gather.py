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
    """Fill rows of `out`; see `Gathering.gather`."""
    for first in range(0, len(row_ids), CHUNK_ROWS):
        part = slice(first, first + CHUNK_ROWS)
        ids = row_ids[part]
        is_row = (ids >= 0) & (ids < num_rows)
        if bad is not None:
            places = torch.arange(first, first + len(ids), device=ids.device)
            torch.minimum(bad, torch.where(is_row, NOT_BAD, places).amin(0, True), out=bad)
        if num_rows:
            found = records.index_select(0, torch.where(is_row, ids, 0))
            values = torch.where(is_row[:, None], widen(spec, found, table_scale), torch.nan)
        else:
            values = out.new_full((len(ids), spec.row_dim), torch.nan)
        if targets is None:
            out[part] = values
        else:
            out.index_copy_(0, targets[part].long(), values.to(out.dtype))


def copy(
    source: torch.Tensor,
    row_ids: torch.Tensor | None,
    out: torch.Tensor,
    targets: torch.Tensor | None,
) -> None:
    """Copy records to rows of `out`; see `Gathering.copy`."""
    places = None if targets is None else targets.long()
    if row_ids is None:
        found = source if places is None else source[: len(places)]
    elif len(source) == 0:
        return
    else:
        is_row = (row_ids >= 0) & (row_ids < len(source))
        before = out[: len(row_ids)] if places is None else out.index_select(0, places)
        found = source.index_select(0, torch.where(is_row, row_ids, 0))
        found = torch.where(is_row[:, None], found, before)
    if places is None:
        out[: len(found)] = found
    else:
        out.index_copy_(0, places, found)
