"""What the kernels take and refuse: parts of a batch, addresses, cuts, doubtful scales."""

from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from engramctl.errors import FormatError
from engramctl.storage.io.gather import gather, widen
from engramctl.storage.io.row_map import RowMap
from engramctl.storage.reading.region import Region
from engramctl.storage.reading.source import CheckpointTables
from engramctl.storage.record.codecs import decode
from engramctl.storage.record.dtypes import DTYPES
from engramctl.storage.record.record import RecordSpec
from engramctl.storage.record.scale_check import first_bad_scale
from tests.helpers.row_maps import map_of, random_records, same

POISON = 777.0
SCALED = [name for name in DTYPES if name not in ("f32", "bf16", "f16", "f8_e4m3_scalar")]


@pytest.mark.parametrize("dtype", ["bf16", "f8_e4m3"])
def test_part_of_a_batch_writes_its_own_rows_only(dtype: str) -> None:
    record, rows = random_records(dtype, 3, 40, 0)
    out = torch.full((40, record.row_dim), POISON)
    gather(np.arange(40), map_of(record, rows), out, 7, 33)
    assert same(out[7:33], decode(record, rows[7:33]))
    assert (out[:7] == POISON).all()
    assert (out[33:] == POISON).all()


@pytest.mark.parametrize(("low", "high"), [(1, 0), (0, 1), (-(1 << 62), 0), (0, 1 << 62)])
def test_an_address_outside_the_buffer_is_refused_and_nothing_written(low: int, high: int) -> None:
    record, rows = random_records("f8_e4m3", 1, 8, 0)
    out = torch.full((8, 32), POISON)
    weights = rows.ctypes.data + np.arange(8) * record.record_bytes
    places = np.stack([weights, weights + record.weight_bytes], axis=1)
    places[0, 0] -= low
    places[7, 1] += high
    with pytest.raises(IndexError, match="outside the buffer"):
        widen(places, np.arange(8), rows, map_of(record, rows), out)
    assert (out == POISON).all()


@pytest.mark.parametrize("target", [-1, 7, 1 << 62])
def test_a_target_outside_the_output_is_refused_and_nothing_written(target: int) -> None:
    record, rows = random_records("f8_e4m3", 1, 8, 0)
    out = torch.full((7, 32), POISON)
    weights = rows.ctypes.data + np.arange(8) * record.record_bytes
    places = np.stack([weights, weights + record.weight_bytes], axis=1)
    targets = np.array([0, 1, 2, 3, 4, 5, 6, target])
    with pytest.raises(IndexError, match="output does not fit"):
        widen(places, targets, rows, map_of(record, rows), out)
    with pytest.raises(IndexError, match="fewer rows"):
        widen(places, targets[:7], rows, map_of(record, rows), out)
    assert (out == POISON).all()


def regions_of(record: RecordSpec, column: int, width: int, edges: list[int]) -> list[Region]:
    return [
        Region(Path(f"{column}.{start}"), column, width, start, stop, 0, 1, width)
        for start, stop in pairwise(edges)
    ]


@given(data=st.data(), dtype=st.sampled_from(SCALED))
@settings(deadline=None, max_examples=60)
def test_rows_cut_in_many_pieces_and_doubtful_scales(data: st.DataObject, dtype: str) -> None:
    """A checkpoint: values and scales cut anywhere, scales looked at as rows are read."""
    count = 200
    record, rows = random_records(dtype, 2, count, data.draw(st.integers(0, 9)))
    columns = [(0, record.weight_bytes)]
    if record.scale_bytes:
        columns.append((record.weight_bytes, record.scale_bytes))
    regions: list[Region] = []
    for column, width in columns:
        cuts = data.draw(st.sets(st.integers(1, count - 1), max_size=40))
        regions += regions_of(record, column, width, [0, *sorted(cuts), count])
    scale = 0.5 if record.facts.table_scale else None
    source = CheckpointTables(regions[0].path, record, {0: tuple(regions)}, {0: scale})

    def view(region: Region) -> Any:
        part = rows[region.row_start : region.row_stop]
        return np.ascontiguousarray(part[:, region.column : region.column + region.width]).ravel()

    row_map = RowMap.in_memory(source, 0, view)
    good = np.array([first_bad_scale(record, rows[i : i + 1]) < 0 for i in range(count)])
    ids = np.flatnonzero(good)
    out = torch.full((len(ids), record.row_dim), POISON)
    gather(ids, row_map, out)
    assert same(out, decode(record, rows[ids], scale))
    bad = np.flatnonzero(~good)
    if len(bad):
        row = int(data.draw(st.sampled_from(bad.tolist())))
        asked = np.append(ids, row)
        out = torch.full((len(asked), record.row_dim), POISON)
        with pytest.raises(FormatError, match="is NaN or infinite") as caught:
            gather(asked, row_map, out)
        assert (caught.value.facts["layer"], caught.value.facts["row"]) == (0, f"{row:,}")


def test_a_record_in_three_parts_is_refused() -> None:
    record = RecordSpec("int4_affine", 64)
    edges = [0, 5]
    regions = (
        *regions_of(record, 0, 32, edges),
        *regions_of(record, 32, 4, edges),
        *regions_of(record, 36, 4, edges),
    )
    source = CheckpointTables(regions[0].path, record, {0: regions}, {})
    with pytest.raises(FormatError, match="cannot be read in place"):
        RowMap.in_files(source, 0)
