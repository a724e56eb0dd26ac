"""Seeded rows of every layer, in any dtype."""

from collections.abc import Iterable, Mapping

import numpy as np
from numpy.typing import NDArray

from engramctl.storage.format.geometry import Layout
from engramctl.storage.record.losses import Ranges
from engramctl.storage.record.record import RecordSpec
from engramctl.storage.record.value_range import check_largest
from engramctl.storage.writing.convert import ValueRows, Values
from engramctl.storage.writing.lay_out import Rows
from engramctl.storage.writing.seeded_values import TABLED, RowFiller, RowInit


def seeded_rows(
    init: RowInit, record: RecordSpec, layers: Iterable[int], heads: Mapping[int, Ranges]
) -> Rows:
    """Return what writes seeded rows; `heads` as `ValueRows`'.

    Raises:
        ConfigError: values that the dtype cannot hold.
    """
    check_largest(record, init.largest, f"std {init.std:g}")
    layers = tuple(layers)
    if record.dtype not in TABLED:
        scales = dict.fromkeys(layers, init.table_scale(record))
        return ValueRows(seeded_values(init, record.row_dim, layers), record, scales, heads).fill
    fillers = {layer: RowFiller(init, record, layer) for layer in layers}

    def fill(
        layout: Layout, layer: int, part: str, row: int, num_rows: int, out: NDArray[np.uint8]
    ) -> None:
        fillers[layer].fill(layout, part, row, num_rows, out)

    return fill


def seeded_values(init: RowInit, row_dim: int, layers: Iterable[int]) -> Values:
    """Return seeded rows as values: those of dtype f32."""
    record = RecordSpec("f32", row_dim)
    layout = Layout.of("packed", record)
    fillers = {layer: RowFiller(init, record, layer) for layer in layers}

    def values(layer: int, row: int, out: NDArray[np.float32]) -> None:
        fillers[layer].fill(layout, "records", row, len(out), out.view(np.uint8).reshape(-1))

    return values
