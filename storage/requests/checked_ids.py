"""Row ids as callers bring them -> a request: of the right type, inside the table, counted."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from engramctl.storage.cache.ngram_records import RecordShape
from engramctl.storage.io.take_rows import take_rows
from engramctl.storage.requests.distinct_ids import count_distinct, words_for
from engramctl.storage.requests.ticket import Request, digest_of

RowIds = torch.Tensor | NDArray[Any]
_INT32, _INT64 = np.dtype(np.int32), np.dtype(np.int64)
COUNTED_IN = 48  # int64 for each id that may be copied: an eightieth of the budget for reading


def plain_ids(row_ids: RowIds) -> tuple[NDArray[Any], tuple[int, ...]]:
    """Return row ids as kernels are compiled for, int32 or int64 (n,), and the shape they came in.

    Raises:
        ValueError: ids of another type, or a single one without a shape.
    """
    ids = row_ids
    if not isinstance(ids, np.ndarray):
        ids = ids.cpu().numpy() if isinstance(ids, torch.Tensor) else np.asarray(ids)
    kind = ids.dtype
    if (kind is not _INT64 and kind not in (_INT32, _INT64)) or not ids.ndim:
        raise ValueError(f"row ids must be int32 or int64 of shape (*S, H), not {ids.dtype}")
    flat = ids if ids.ndim == 1 else ids.reshape(-1)
    return flat if flat.flags.carray else flat.copy(), ids.shape


def checked_keys(
    keys: Any, shapes: Mapping[int, tuple[int, ...]], record: RecordShape
) -> NDArray[np.uint64]:
    """Return n-gram keys as kernels take them, uint64 (G, 2), contiguous.

    Args:
        keys: uint64, (*S, orders, 2).
        shapes: layer -> shape of its row ids, (*S, H).
        record: how rows stand in records.

    Raises:
        ValueError: keys of another type, or of other positions or orders than the row ids.
    """
    found = keys.cpu().numpy() if isinstance(keys, torch.Tensor) else np.asarray(keys)
    orders = record.num_orders
    for layer, shape in shapes.items():
        wanted = (*shape[:-1], orders, 2)
        if layer not in record.layers or shape[-1] != record.num_heads:
            raise ValueError(
                f"n-gram keys are of {record.num_heads} rows a position in the layers "
                f"{', '.join(map(str, record.layers))}, not of {shape[-1]} in layer {layer}"
            )
        if found.dtype != np.uint64 or found.shape != wanted:
            raise ValueError(
                f"n-gram keys of row ids {shape} must be uint64 {wanted}, "
                f"not {found.dtype} {found.shape}"
            )
    return np.ascontiguousarray(found).reshape(-1, 2)


def checked_request(
    layer: int, row_ids: RowIds, num_rows: int, most_copied: int | None = None
) -> Request:
    """Check row ids and copy them, unless there are more than `most_copied`.

    Those stay the caller's own, with a digest to know them by; their distinct ones are counted in
    memory of a few words for each id that may be copied, in as many passes as that needs.

    Args:
        layer: whose rows, for messages.
        row_ids: int32 or int64, (*S, H).
        num_rows: ids must lie in [0, num_rows).
        most_copied: None: copy all.

    Raises:
        ValueError: ids of another type, or one outside the table, named with its position.
    """
    flat, shape = plain_ids(row_ids)
    digest = None
    if most_copied is None or len(flat) <= most_copied:
        rows = np.empty(len(flat), np.int64)
        distinct = take_rows(flat, rows, num_rows)
    else:
        digest = digest_of(flat)
        rows = flat
        size = min(words_for(len(flat), num_rows), COUNTED_IN * most_copied)
        distinct = count_distinct(flat, np.empty(size, np.int64), num_rows)
    if distinct < 0:
        raise _outside(layer, flat, -1 - distinct, shape, num_rows)
    return Request(rows, shape, distinct, digest)


def checked_rows(layer: int, row_ids: RowIds, num_rows: int) -> NDArray[np.int64]:
    """Return a copy of row ids, int64 (n,), once all were checked; none is counted.

    Args:
        layer: see `checked_request`, as the others.
        row_ids: int32 or int64, (n,).
        num_rows: ids must lie in [0, num_rows).

    Raises:
        ValueError: see `checked_request`.
    """
    flat, shape = plain_ids(row_ids)
    rows = flat.astype(np.int64)
    bad = np.flatnonzero((rows < 0) | (rows >= num_rows))
    if len(bad):
        raise _outside(layer, rows, int(bad[0]), shape, num_rows)
    return rows


def _outside(
    layer: int, flat: NDArray[Any], bad: int, shape: tuple[int, ...], num_rows: int
) -> ValueError:
    place = tuple(int(i) for i in np.unravel_index(bad, shape))
    return ValueError(
        f"row id {flat[bad]} at position {place} is outside [0, {num_rows:,}) of layer {layer}"
    )
