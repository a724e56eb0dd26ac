"""A few rows by one call: the kernel's own rows, or none and nothing written."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from engramctl.storage import open_store
from engramctl.storage.io.gather import gather
from engramctl.storage.io.gather_at_once import NO_PAGES, gather_at_once
from engramctl.storage.io.row_map import RowMap
from engramctl.storage.record.dtypes import DTYPES
from tests.helpers.row_maps import map_of, random_records
from tests.helpers.small_table import small_table

POISON = -3.0e38
NUM_ROWS = 50


def at_once(ids: np.ndarray, rows: RowMap, out: torch.Tensor) -> int:
    """The kernel, with no page ever missing."""
    words = out.element_size(), out.data_ptr(), out.nbytes
    return int(gather_at_once(ids, rows.packed, *NO_PAGES, *words))


@settings(max_examples=40, deadline=None)
@given(
    dtype=st.sampled_from(list(DTYPES)),
    ids=st.lists(st.integers(0, NUM_ROWS - 1), max_size=70),
    kind=st.sampled_from([np.int32, np.int64]),
    wide=st.booleans(),
)
def test_it_is_the_gather_of_the_same_rows(
    dtype: str, ids: list[int], kind: type, wide: bool
) -> None:
    record, records = random_records(dtype, 3, NUM_ROWS, 1)
    rows = map_of(record, records)
    asked: NDArray[Any] = np.array(ids, kind)
    plain = torch.float32 if wide else torch.bfloat16
    out, expected = (torch.full((len(ids), record.row_dim), POISON, dtype=plain) for _ in range(2))
    gather(asked.astype(np.int64), rows, expected)
    assert at_once(asked, rows, out) == len(set(ids))
    assert torch.equal(out.view(torch.uint8), expected.view(torch.uint8))


@pytest.mark.parametrize("bad", [-1, NUM_ROWS, 1 << 62, -(1 << 62)])
def test_an_id_outside_the_table_writes_nothing(bad: int) -> None:
    record, records = random_records("f8_e4m3", 3, NUM_ROWS, 1)
    out = torch.full((3, record.row_dim), POISON)
    assert at_once(np.array([0, bad, 1]), map_of(record, records), out) == -1
    assert (out == POISON).all()


def test_an_output_of_another_length_is_refused() -> None:
    record, records = random_records("f8_e4m3", 3, NUM_ROWS, 1)
    out = torch.full((2, record.row_dim), POISON)
    with pytest.raises(IndexError, match="output does not fit"):
        at_once(np.arange(3), map_of(record, records), out)
    assert (out == POISON).all()


@pytest.mark.parametrize("tier", ["host", "ssd"])
def test_a_store_counts_what_it_gave_at_once(tier: str, tmp_path: Path) -> None:
    small_table(tmp_path / "t", tier="ssd")
    with open_store(tmp_path / "t", tier) as store:
        store.populate() if tier == "ssd" else None  # type: ignore[attr-defined]
        layer, ids = store.layers[0], np.array([[3, 4], [3, 5]])
        before = store.stats()
        rows = store.gather(layer, ids)
        ticket = store.prefetch({layer: ids}).wait(layer)
        after = store.stats()
        assert rows.shape == (2, 2, store.row_dim)
        assert torch.equal(rows, ticket)
        assert (after.rows_asked - before.rows_asked, after.rows_unique) == (8, 6)
        assert after.stall_ns > before.stall_ns
        with pytest.raises(ValueError, match=r"row id -1 at position \(0, 1\)"):
            store.gather(layer, np.array([[0, -1]]))
        assert store.stats().rows_asked == after.rows_asked


def test_rows_of_untouched_pages_are_asked_for_first(tmp_path: Path) -> None:
    small_table(tmp_path / "t", tier="ssd")
    with open_store(tmp_path / "t", "ssd") as store:
        layer, ids = store.layers[0], np.arange(8)
        out = torch.full((8, store.row_dim), POISON, dtype=torch.bfloat16)
        assert store.at_once(layer, ids, out) == -1
        assert (out == POISON).all()
        store.gather(layer, ids, out)
        assert store.stats().device_reads > 0
        assert store.at_once(layer, ids, out) == 8
