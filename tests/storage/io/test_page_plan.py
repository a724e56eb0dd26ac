"""A plan brings every page of its rows once, in order, and knows where each row is then."""

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engramctl.storage.io.page_plan import (
    MOST_PAGES,
    PagePlan,
    file_numbers,
    most_pages,
    rows_that_fit,
)
from engramctl.storage.io.pages import PAGE, page_key
from engramctl.storage.io.row_map import RowMap
from engramctl.storage.reading.region import pieces
from engramctl.storage.reading.table import TableFiles, open_table
from tests.storage.tables import make_plan, write

FORMS = ("planar", "packed", "paged")
SIZES = (32, 1504, 8192)


@pytest.fixture(scope="module")
def tables(tmp_path_factory: pytest.TempPathFactory) -> dict[tuple[str, int], TableFiles]:
    root = tmp_path_factory.mktemp("tables")
    for form in FORMS:
        for row_dim in SIZES:
            plan = make_plan(form=form, row_dim=row_dim, rows={1: 211, 4: 97}, shard_rows=60)
            write(plan, root / f"{form}{row_dim}")
    return {
        (form, row_dim): open_table(root / f"{form}{row_dim}")
        for form in FORMS
        for row_dim in SIZES
    }


class Planned:
    """A table as plans see it."""

    def __init__(self, table: TableFiles) -> None:
        self.table = table
        self.maps = {layer: RowMap.in_files(table, layer) for layer in table.layers}
        regions = {layer: list(pieces(table.regions(layer))) for layer in table.layers}
        self.paths = list(
            dict.fromkeys(one.path for some in regions.values() for piece in some for one in piece)
        )
        number = {path: k for k, path in enumerate(self.paths)}
        self.number = number
        self.files = {layer: file_numbers(some, number) for layer, some in regions.items()}
        self.sizes = np.array([path.stat().st_size for path in self.paths], np.int64)

    def pages_of(self, layer: int, ids: list[int]) -> set[int]:
        """The plain way, byte by byte."""
        return {
            page_key(self.number[region.path], (region.position(row) + byte) // PAGE)
            for region in self.table.regions(layer)
            for row in ids
            if region.row_start <= row < region.row_stop
            for byte in range(region.width)
        }


@given(
    st.sampled_from(FORMS),
    st.sampled_from(SIZES),
    st.lists(st.integers(0, 210), max_size=60),
    st.lists(st.integers(0, 96), max_size=30),
)
@settings(deadline=None, max_examples=60)
def test_a_plan_brings_every_page_once_and_its_addresses_hold_the_rows(
    tables: dict[tuple[str, int], TableFiles], form: str, row_dim: int, one: list[int],
    other: list[int],
) -> None:  # fmt: skip
    planned = Planned(tables[form, row_dim])
    rows = {1: np.array(one, np.int64), 4: np.array(other, np.int64)}
    plan = PagePlan.of(rows, planned.maps, planned.files)
    wanted = planned.pages_of(1, one) | planned.pages_of(4, other)
    assert plan.pages_P.tolist() == sorted(wanted)

    memory = np.full(len(plan.pages_P) * PAGE + 1, 0xA5, np.uint8)
    base = memory.ctypes.data
    batch = plan.batch(base, planned.sizes)
    for number, offset, length, address, needed in batch.ranges_R5.tolist():
        assert offset % PAGE == length % PAGE == 0
        assert 0 < length <= MOST_PAGES * PAGE
        assert 0 <= address - base <= len(memory) - 1 - length
        assert needed == min(length, planned.sizes[number] - offset) > 0
        data = np.fromfile(planned.paths[number], np.uint8, needed, offset=offset)
        memory[address - base : address - base + needed] = data
    edges = [(n, o, o + size) for n, o, size, _, _ in batch.ranges_R5.tolist()]
    for (n, first, stop), (m, start, _) in pairwise(edges):
        assert (n, stop) <= (m, start)
        assert (n, stop) != (m, start) or stop - first == MOST_PAGES * PAGE

    spec = planned.table.record
    for layer, ids in rows.items():
        values, scales = planned.table.read_rows(layer, ids)
        for k, (at, scale_at) in enumerate(plan.addresses(layer, base).tolist()):
            assert np.array_equal(memory[at - base :][: spec.weight_bytes], values[k])
            if spec.scale_bytes:
                assert np.array_equal(memory[scale_at - base :][: spec.scale_bytes], scales[k])


def test_pages_that_touch_are_one_range_up_to_a_length() -> None:
    pages = [page_key(0, k) for k in range(MOST_PAGES + 3)] + [page_key(0, 90), page_key(1, 91)]
    plan = PagePlan.of_pages(np.array([*pages[::-1], pages[0]]))
    batch = plan.batch(0, np.array([1 << 30, 1 << 30]))
    assert batch.ranges_R5[:, :3].tolist() == [
        [0, 0, MOST_PAGES * PAGE],
        [0, MOST_PAGES * PAGE, 3 * PAGE],
        [0, 90 * PAGE, PAGE],
        [1, 91 * PAGE, PAGE],
    ]


@given(
    st.sampled_from(FORMS),
    st.sampled_from(SIZES),
    st.lists(st.integers(0, 210), min_size=1, max_size=60),
    st.integers(1, 40),
)
@settings(deadline=None, max_examples=60)
def test_as_many_rows_are_taken_as_have_room(
    tables: dict[tuple[str, int], TableFiles], form: str, row_dim: int, ids: list[int], room: int
) -> None:
    planned = Planned(tables[form, row_dim])
    rows = np.sort(np.array(ids, np.int64))
    packed, files = planned.maps[1].packed, planned.files[1]
    start = 0
    while start < len(rows):
        end = rows_that_fit(rows, start, packed, files, room)
        assert start < end <= len(rows)
        used = len(planned.pages_of(1, rows[start:end].tolist()))
        assert used <= room or end == start + 1
        if end < len(rows):
            assert len(planned.pages_of(1, rows[start : end + 1].tolist())) > room
        start = end
    assert all(
        len(planned.pages_of(1, [row])) <= most_pages(planned.maps[1]) for row in rows.tolist()
    )


def test_rows_outside_the_table_are_refused_before_any_plan(
    tables: dict[tuple[str, int], TableFiles],
) -> None:
    planned = Planned(tables["paged", 32])
    for bad in (-1, 211, 1 << 62):
        rows = np.array([3, bad], np.int64)
        with pytest.raises(IndexError):
            PagePlan.of({1: rows}, planned.maps, planned.files)
        with pytest.raises(IndexError):
            rows_that_fit(rows, 0, planned.maps[1].packed, planned.files[1], 9)


def test_rows_of_packed_pages_touch_one_page(tmp_path: Path) -> None:
    for form, dtype, row_dim, most in (
        ("paged", "f8_e4m3", 256, 1), ("packed", "f8_e4m3", 256, 2), ("planar", "f8_e4m3", 256, 4),
        ("paged", "f32", 2000, 3),
    ):  # fmt: skip
        folder = tmp_path / f"{form}-{row_dim}"
        write(make_plan(form=form, dtype=dtype, row_dim=row_dim, rows={1: 100}), folder)
        assert most_pages(RowMap.in_files(open_table(folder), 1)) == most
