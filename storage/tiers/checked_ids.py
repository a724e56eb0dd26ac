"""Row ids as callers bring them -> a request: of the right type, inside the table, counted."""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from engramctl.storage.io.gather import take_rows
from engramctl.storage.tiers.ticket import Request

RowIds = torch.Tensor | NDArray[Any]
_INT32, _INT64 = np.dtype(np.int32), np.dtype(np.int64)


def checked_request(
    layer: int, row_ids: RowIds, num_rows: int, most_copied: int | None = None
) -> Request:
    """Check row ids and copy them, unless there are more than `most_copied`.

    Those are then the caller's own, who waits; their distinct ones are counted part by part.

    Args:
        layer: whose rows, for messages.
        row_ids: int32 or int64, (*S, H).
        num_rows: ids must lie in [0, num_rows).
        most_copied: None: copy all.

    Raises:
        ValueError: ids of another type, or one outside the table, named with its position.
    """
    ids = row_ids
    if not isinstance(ids, np.ndarray):
        ids = ids.cpu().numpy() if isinstance(ids, torch.Tensor) else np.asarray(ids)
    kind = ids.dtype
    if (kind is not _INT64 and kind not in (_INT32, _INT64)) or not ids.ndim:
        raise ValueError(f"row ids must be int32 or int64 of shape (*S, H), not {ids.dtype}")
    flat = ids if ids.ndim == 1 else ids.reshape(-1)
    if not flat.flags.carray:  # kernels are compiled for arrays that are plain
        flat = flat.copy()
    step = len(flat) if most_copied is None else most_copied
    rows = np.empty(min(step, len(flat)), np.int64)
    distinct, bad = 0, -1
    for start in range(0, len(flat), step or 1):
        part = flat[start : start + step]
        found = take_rows(part, rows[: len(part)], num_rows)
        if found < 0:
            bad = start - 1 - found
            break
        distinct += found
    if bad >= 0:
        place = tuple(int(i) for i in np.unravel_index(bad, ids.shape))
        raise ValueError(
            f"row id {flat[bad]} at position {place} is outside [0, {num_rows:,}) of layer {layer}"
        )
    return Request(rows if len(rows) == len(flat) else flat, ids.shape, distinct)
