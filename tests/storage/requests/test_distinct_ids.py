"""Distinct ids of a request of any length are counted exactly, in any memory."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engramctl.storage.requests.distinct_ids import count_distinct, words_for

SEVERAL = 5


@given(
    seed=st.integers(0, 2**32 - 1),
    length=st.integers(0, 90) | st.integers(95, 105) | st.integers(2040, 2060),
    rows=st.sampled_from([1, 63, 64, 65, 128, 3000, 2**31 - 1, 2**40]),
    size=st.sampled_from([1, 2, 3, 16, 100, 133, 134, 2048, 4096]),
    narrow=st.booleans(),
    step=st.sampled_from([1, 64, 1 << 16]),
)
def test_they_are_counted_as_in_a_set(
    seed: int, length: int, rows: int, size: int, narrow: bool, step: int
) -> None:
    if narrow:
        rows = min(rows, 2**31 - 1)
    # Where one pass over bits would never end, the table is not so large.
    rows = min(rows, 64 * size * 4000)
    ids: Any = np.random.default_rng(seed).integers(0, rows, length) // step * step
    ids = ids.astype(np.int32 if narrow else np.int64)
    words = np.full(size, 7, np.int64)
    assert count_distinct(ids, words, rows) == len(np.unique(ids))


@pytest.mark.parametrize("kind", [np.int32, np.int64])
@pytest.mark.parametrize("rows", [640, 1 << 30])
def test_a_row_whose_like_is_far_away_counts_once(kind: type, rows: int) -> None:
    """First and last of a request that takes several passes, of bits and of hashes."""
    ids: Any = np.concatenate([np.arange(500), np.arange(500)[::-1]]).astype(kind)
    size = 2 if rows == 640 else words_for(len(ids), rows) // SEVERAL
    assert count_distinct(ids, np.empty(size, np.int64), rows) == 500
    assert count_distinct(np.tile(ids[:100], 10), np.empty(size, np.int64), rows) == 100


def test_more_ids_of_a_hash_than_there_are_slots_are_counted_too() -> None:
    """All of them in one slot's memory, of a table that has far more rows than bits."""
    ids = np.arange(0, 3000, 100)
    assert count_distinct(ids, np.empty(1, np.int64), 3000) == len(ids)
    assert count_distinct(np.repeat(ids, 3), np.empty(2, np.int64), 1 << 20) == len(ids)


@pytest.mark.parametrize("wrong", [-1, 100, 1 << 40])
def test_the_first_row_out_of_range_is_told(wrong: int) -> None:
    ids = np.array([0, 99, wrong, -5])
    assert count_distinct(ids, np.empty(4, np.int64), 100) == -1 - 2


def test_one_pass_is_enough_of_so_many_words() -> None:
    assert words_for(0, 0) == 1
    assert words_for(10**6, 6400) == 100
    assert 1000 < words_for(1000, 1 << 40) < 2000
