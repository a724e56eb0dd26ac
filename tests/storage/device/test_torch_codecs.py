"""Records widened by torch operations, as the plain decoder does."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from engramctl.storage.device.torch_codecs import widen
from engramctl.storage.record.codecs import decode
from engramctl.storage.record.dtypes import DTYPES
from engramctl.storage.record.record import RecordSpec


@pytest.mark.parametrize("dtype", DTYPES)
@settings(max_examples=40)
@given(seed=st.integers(0, 2**32), rows=st.integers(0, 5), blocks=st.integers(1, 4))
def test_any_bytes_are_widened_as_the_plain_decoder_does(
    dtype: str, seed: int, rows: int, blocks: int
) -> None:
    spec = RecordSpec(dtype, 32 * blocks)
    random = np.random.default_rng(seed)
    records = random.integers(0, 256, (rows, spec.record_bytes), dtype=np.uint8)
    edge = random.choice(np.array([0, 1, 127, 254, 255], np.uint8), records.shape)
    records = np.where(random.random(records.shape) < 0.3, edge, records)
    scale = float(np.float32(random.lognormal()))
    found = widen(spec, torch.from_numpy(records), scale).to(torch.float32).numpy()
    expected = decode(spec, records, scale)
    assert found.shape == (rows, spec.row_dim)
    number = ~np.isnan(expected)
    assert np.array_equal(np.isnan(found), ~number)
    assert np.array_equal(found[number].view(np.uint32), expected[number].view(np.uint32))
