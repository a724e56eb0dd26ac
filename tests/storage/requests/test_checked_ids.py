"""Row ids are checked and counted in one way, copied or not."""

import re

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from engramctl.storage.requests.checked_ids import checked_request, checked_rows


@given(st.lists(st.integers(-3, 53), max_size=80), st.integers(1, 90), st.booleans())
def test_ids_that_are_not_copied_are_checked_and_counted_as_all(
    ids: list[int], most: int, narrow: bool
) -> None:
    flat = np.array(ids, np.int32 if narrow else np.int64).reshape(-1, 1)
    wrong = [k for k, row in enumerate(ids) if not 0 <= row < 50]
    for most_copied in (None, most):
        if wrong:
            place = rf"position \({wrong[0]}, 0\) is outside \[0, 50\) of layer 7"
            with pytest.raises(ValueError, match=rf"row id {ids[wrong[0]]} at {place}"):
                checked_request(7, flat, 50, most_copied)
            continue
        request = checked_request(7, flat, 50, most_copied)
        assert request.row_ids.tolist() == ids
        assert request.shape == flat.shape
        copied = most_copied is None or len(ids) <= most
        assert request.distinct == len(set(ids))
        assert copied != np.shares_memory(request.row_ids, flat) or not ids


@given(st.lists(st.integers(-3, 53), max_size=80), st.booleans())
def test_rows_that_are_not_counted_are_checked_likewise(ids: list[int], narrow: bool) -> None:
    flat = np.array(ids, np.int32 if narrow else np.int64)
    try:
        want = checked_request(7, flat, 50).row_ids.tolist()
    except ValueError as error:
        with pytest.raises(ValueError, match=re.escape(str(error))):
            checked_rows(7, flat, 50)
        return
    found = checked_rows(7, flat, 50)
    assert found.dtype == np.int64
    assert found.tolist() == want
    assert not np.shares_memory(found, flat)  # another thread may change the caller's


def test_other_types_are_refused() -> None:
    for bad in (np.zeros(3), torch.zeros(3), np.int64(4), np.zeros(3, np.int16)):
        with pytest.raises(ValueError, match="must be int32 or int64"):
            checked_request(1, bad, 9)  # type: ignore[arg-type]
