"""Scales that are no finite numbers are found, whatever the dtype, and nothing else is."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engramctl.storage.record.codecs import decode, encode
from engramctl.storage.record.dtypes import BY_NAME, DTYPES
from engramctl.storage.record.record import RecordSpec
from engramctl.storage.record.scale_check import first_bad_scale

SCALED = [name for name in DTYPES if name not in ("f32", "bf16", "f16", "f8_e4m3_scalar")]


def records_of(dtype: str) -> tuple[RecordSpec, np.ndarray]:
    spec = RecordSpec(dtype, 64)
    values = np.random.default_rng(0).normal(size=(20, 64)).astype(np.float32)
    return spec, encode(spec, values, 0.01)


@pytest.mark.parametrize("dtype", DTYPES)
@given(row=st.integers(0, 19), place=st.integers(0, 63))
def test_the_first_record_with_a_bad_scale_is_named(dtype: str, row: int, place: int) -> None:
    spec, records = records_of(dtype)
    assert first_bad_scale(spec, records) == -1
    if dtype not in SCALED:
        return
    facts, block = BY_NAME[dtype], place // BY_NAME[dtype].block_values
    if dtype in ("f8_e4m3", "nvfp4"):
        records[row, spec.weight_bytes + block] = 255
    elif facts.scale_tensor in ("F32", "BF16"):
        size, at = facts.scale_item_bytes, 0 if facts.row_scale_bytes else block
        records[row, spec.weight_bytes + size * at :][size - 2 : size] = [0x80, 0x7F]  # infinity
    elif facts.row_scale_bytes:
        records[row, -2:] = [0, 0x7C]
    elif facts.scale_tensor:
        records[row, spec.weight_bytes + 2 * block :][:2] = [0, 0xFC]  # -infinity
    else:
        records[row, block * facts.block_bytes :][:2] = [0, 0x7C]
    assert first_bad_scale(spec, records) == row
    assert not np.isfinite(decode(spec, records, 0.01)[row]).all()
