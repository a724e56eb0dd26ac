"""Row maps: right rows whatever the cuts, and no address outside its view."""

import json
import struct
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import xxhash
from hypothesis import given, settings
from hypothesis import strategies as st

from engramctl.errors import StorageError
from engramctl.storage import open_store
from engramctl.storage.io.gather import gather
from engramctl.storage.io.pages import unseen_pages
from engramctl.storage.io.row_map import RowMap
from engramctl.storage.io.stored_records import StoredRecords
from engramctl.storage.reading.region import Region, pieces
from engramctl.storage.reading.table import TableFiles, open_table
from engramctl.storage.verifying.integrity import verify
from tests.storage.tables import make_plan, write

ROWS = 997
POISON = 777.0


def recut(folder: Path, part: str, cuts: list[int]) -> TableFiles:
    """Cut the one file of a part at these rows, as the format allows; all else stays."""
    manifest = json.loads((folder / "manifest.json").read_text())
    [layer] = manifest["layers"]
    [old] = [one for one in layer["shards"] if f".{part}." in one["file"]]
    raw = (folder / old["file"]).read_bytes()
    (size,) = struct.unpack("<Q", raw[:8])
    [(name, tensor)] = json.loads(raw[8 : 8 + size]).items()
    data, width = raw[old["data_offset"] :], old["data_bytes"] // ROWS
    entries = []
    for number, (start, stop) in enumerate(zip([0, *cuts], [*cuts, ROWS], strict=True)):
        piece = data[start * width : stop * width]
        about = {
            "dtype": tensor["dtype"],
            "shape": [stop - start, tensor["shape"][1]],
            "data_offsets": [0, len(piece)],
        }
        header = json.dumps({name: about}, separators=(",", ":")).encode().ljust(4088)
        file = old["file"].replace(".000.", f".{number:03d}.")
        (folder / file).write_bytes(struct.pack("<Q", len(header)) + header + piece)
        digests = [
            xxhash.xxh3_128_hexdigest(piece[at : at + old["extent_bytes"]])
            for at in range(0, len(piece), old["extent_bytes"])
        ]
        entries.append(
            {**old, "file": file, "rows": [start, stop], "data_bytes": len(piece),
             "xxh3_128": digests}
        )  # fmt: skip
    at = layer["shards"].index(old)
    layer["shards"][at : at + 1] = entries
    (folder / "manifest.json").write_text(json.dumps(manifest))
    return open_table(folder)


@pytest.mark.parametrize("dtype", ["f8_e4m3", "int8", "int4"])
@pytest.mark.parametrize(
    ("weights", "scales"), [([], [400]), ([400], []), ([1, 500], [499, 996]), ([600], [600])]
)
def test_values_and_scales_may_be_cut_at_different_rows(
    tmp_path: Path, dtype: str, weights: list[int], scales: list[int]
) -> None:
    write(make_plan(dtype=dtype), tmp_path / "whole")
    write(make_plan(dtype=dtype), tmp_path / "cut")
    recut(tmp_path / "cut", "weight", weights)
    table = recut(tmp_path / "cut", "scale", scales)
    verify(table.path)
    ids = np.random.default_rng(0).permutation(ROWS)
    values = open_table(tmp_path / "whole").read_values(1, ids)
    for tier in ("host", "ssd"):
        with open_store(table.path, tier, dtype=torch.float32) as store:
            out = torch.full((ROWS, store.row_dim), torch.nan)
            assert np.array_equal(store.gather(1, ids, out).numpy(), values)
    with StoredRecords(table, 2) as records:
        plain = np.concatenate(table.read_rows(1, ids), axis=1)
        assert np.array_equal(records.read(1, ids), plain)


def columns(data: st.DataObject, rows: int) -> list[Region]:
    """Two columns of regions over the same rows, each cut anywhere."""
    regions = []
    for column, width in ((0, 32), (32, 4)):
        cuts = data.draw(st.sets(st.integers(1, rows - 1), max_size=5)) if rows > 1 else set()
        edges = [0, *sorted(cuts), rows]
        regions += [
            Region(Path(f"{column}.{start}"), column, width, start, stop, 4096, 1, width)
            for start, stop in pairwise(edges)
        ]
    return regions


@given(data=st.data(), rows=st.integers(1, 60))
@settings(deadline=None)
def test_pieces_hold_every_row_once_where_its_regions_have_it(
    data: st.DataObject, rows: int
) -> None:
    regions = columns(data, rows)
    row = 0
    for values, scales in pieces(regions):
        assert (values.row_start, values.row_stop) == (scales.row_start, scales.row_stop)
        assert values.row_start == row < values.row_stop
        for piece in (values, scales):
            whole = next(
                one
                for one in regions
                if one.column == piece.column and one.row_start <= row < one.row_stop
            )
            assert piece.path == whole.path
            assert piece.position(row) == whole.position(row)
            assert piece.row_stop <= whole.row_stop
        row = values.row_stop
    assert row == rows


def mapped(tmp_path: Path, form: str = "planar") -> RowMap:
    """A map of a real table, in memory."""
    write(make_plan(form=form), tmp_path / "t")

    def view(region: Region) -> Any:
        data = np.fromfile(region.path, np.uint8)
        return data[region.offset : region.offset + region.num_bytes]

    return RowMap.in_memory(open_table(tmp_path / "t"), 1, view)


@pytest.mark.parametrize("form", ["planar", "packed", "paged"])
def test_a_view_that_lacks_a_byte_of_its_rows_is_refused(tmp_path: Path, form: str) -> None:
    write(make_plan(form=form), tmp_path / "t")
    table = open_table(tmp_path / "t")
    for short in table.regions(1):

        def view(region: Region, short: Region = short) -> Any:
            return np.zeros(region.num_bytes - (region.column == short.column), np.uint8)

        with pytest.raises(StorageError, match="fewer rows than the manifest says"):
            RowMap.in_memory(table, 1, view)


@pytest.mark.parametrize("bad", [-1, ROWS, 1 << 62, -(1 << 63)])
def test_kernels_refuse_a_row_outside_the_map_and_write_nothing(tmp_path: Path, bad: int) -> None:
    rows = mapped(tmp_path)
    ids = np.array([3, bad, 4])
    out = torch.full((3, 32), POISON)
    with pytest.raises(IndexError, match="row id is outside"):
        gather(ids, rows, out)
    with pytest.raises(IndexError, match="row id is outside"):
        unseen_pages(ids, rows.packed, np.zeros((1, 2, 2), np.int64), np.zeros(1, np.uint8))
    assert (out == POISON).all()


@pytest.mark.parametrize(
    ("start", "stop", "length"), [(0, 3, 95), (0, 3, 97), (0, 4, 96), (-1, 3, 96)]
)
def test_the_kernel_refuses_an_output_that_does_not_fit(
    tmp_path: Path, start: int, stop: int, length: int
) -> None:
    rows = mapped(tmp_path)
    with pytest.raises(IndexError, match="output does not fit"):
        gather(np.arange(3), rows, torch.zeros(length), start, stop)
