"""The fast copy is the plain one."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from engramctl.storage.record.copy_rows import copy_rows


@given(st.integers(0, 50), st.integers(1, 300), st.integers(0, 40), st.booleans())
def test_records_are_values_then_scales(rows: int, wide: int, narrow: int, apart: bool) -> None:
    random = np.random.default_rng(rows)
    weights = random.integers(0, 256, (rows, wide), dtype=np.uint8)
    scales = random.integers(0, 256, (rows, narrow), dtype=np.uint8)
    whole = np.full((rows, wide + narrow + 5), 0xA5, np.uint8)
    out = whole[:, : wide + narrow] if apart else whole[:, : wide + narrow].copy()
    copy_rows(weights, out[:, :wide])
    copy_rows(scales, out[:, wide:])
    assert np.array_equal(out, np.concatenate([weights, scales], axis=1))
    assert (whole[:, wide + narrow :] == 0xA5).all()
