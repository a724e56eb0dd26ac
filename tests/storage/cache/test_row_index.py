"""Which slot a row has: no two rows have one, whatever comes at once."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engramctl.storage.cache.row_index import RowIndex
from engramctl.storage.reading.table import TableFiles, open_table
from tests.storage.tables import make_plan, write


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> TableFiles:
    folder: Path = tmp_path_factory.mktemp("table") / "t"
    write(make_plan(form="packed", dtype="bf16", row_dim=4, rows={1: 60, 4: 50}), folder)
    return open_table(folder)


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 12), st.lists(st.lists(st.integers(0, 59), max_size=40), max_size=8))
def test_slots_that_are_written_at_once_are_those_of_different_rows(
    table: TableFiles, capacity: int, batches: list[list[int]]
) -> None:
    """A row that had to leave before its record was there is written nowhere."""
    index = RowIndex(table, capacity)
    for batch in batches:
        ids = np.array(batch, np.int64)
        slots = index.admit(1, ids)
        written = slots[slots >= 0]
        assert len(set(written.tolist())) == len(written)
        found = index.slots_of(1, ids, counted=False)
        for row, slot in zip(ids[slots >= 0], written, strict=True):
            assert set(found[ids == row].tolist()) == {slot}


def test_looking_without_counting_changes_no_eviction(table: TableFiles) -> None:
    looked, left = RowIndex(table, 5), RowIndex(table, 5)
    random = np.random.default_rng(0)
    for _ in range(50):
        ids = random.integers(0, 20, 4)
        looked.slots_of(1, random.integers(0, 20, 9), counted=False)
        assert looked.admit(1, ids).tolist() == left.admit(1, ids).tolist()
