"""The same rows in another layout: what `layout` streams from any source into a folder."""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engramctl.storage.format.geometry import Layout

ReadRecords = Callable[[int, int, NDArray[np.uint8]], None]
Rows = Callable[[Layout, int, str, int, int, NDArray[np.uint8]], Any]
"""Writes one part of consecutive rows: layout, layer, part, first row, number, out; see `lay_out`.

Called from several threads. It returns None, or JSON for `write_table` to keep and tell.
"""


def lay_out(
    read: ReadRecords,
    layout: Layout,
    layer: int,
    part: str,
    row_start: int,
    num_rows: int,
    out: NDArray[np.uint8],
) -> None:
    """Write consecutive records as a row file has them.

    Args:
        read: called with layer, first row and uint8 (n, record_bytes) to fill.
        layout: what is written.
        layer: whose rows.
        part: `weight`, `scale` or `records`.
        row_start: first row.
        num_rows: how many.
        out: uint8 (data_bytes,), all of it written.
    """
    if layout.form == "packed":
        read(layer, row_start, out.reshape(num_rows, -1))
        return
    records = np.empty((num_rows, layout.record_bytes), np.uint8)
    read(layer, row_start, records)
    if part == "records":
        for block, rows in layout.blocks(out, num_rows):
            block[:] = records[rows].reshape(block.shape)
        layout.clear_unused(out, num_rows)
        return
    width = layout.record.weight_bytes
    columns = slice(0, width) if part == "weight" else slice(width, None)
    out.reshape(num_rows, -1)[:] = records[:, columns]
