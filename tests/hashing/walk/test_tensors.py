"""Histories that are tensors of a device read as arrays do."""

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from engramctl.hashing import START
from engramctl.hashing.walk.batch import padded_history
from engramctl.hashing.walk.tensors import as_tensor_batch, tensor_history
from engramctl.hashing.walk.window import OUTSIDE

CPU = torch.device("cpu")


@given(
    lead=st.sampled_from([(), (1,), (3,), (2, 2), (0,)]),
    length=st.integers(0, 6),
    context=st.integers(1, 4),
    dtype=st.sampled_from([np.int64, np.int32, np.int16, np.uint8, np.uint64]),
    transposed=st.booleans(),
)
@settings(deadline=None)
def test_a_history_on_a_device_reads_as_one_on_the_host(
    lead: tuple[int, ...], length: int, context: int, dtype: type, transposed: bool
) -> None:
    shape = (*lead, length)
    past: NDArray[Any] = np.arange(int(np.prod(shape)), dtype=dtype).reshape(shape)
    if transposed and past.ndim == 2:
        past = np.asfortranarray(past)
    batch = int(np.prod(lead)) if past.size else 2
    found = tensor_history(torch.from_numpy(past), batch, context, CPU)
    np.testing.assert_array_equal(found.numpy(), padded_history(past, batch, context))
    assert found.dtype == torch.int64
    assert found.is_contiguous()


def test_no_history_is_start() -> None:
    assert tensor_history(None, 2, 3, CPU).tolist() == [[START] * 3] * 2
    assert tensor_history([[1], [2]], 2, 2, CPU).tolist() == [[START, 1], [START, 2]]


def test_a_history_that_fits_is_not_copied() -> None:
    past = torch.tensor([[1, 2], [3, 4]])
    assert tensor_history(past, 2, 2, CPU).data_ptr() == past.data_ptr()


def test_a_history_that_does_not_fit_is_refused() -> None:
    for wrong in (torch.ones((2, 2)), torch.ones((2, 2), dtype=torch.bool)):
        with pytest.raises(ValueError, match="history must be integers"):
            tensor_history(wrong, 2, 2, CPU)
    with pytest.raises(ValueError, match="history has 1 sequences, token ids have 2"):
        tensor_history(torch.ones((1, 2), dtype=torch.int64), 2, 2, CPU)


def test_ids_of_64_bits_do_not_come_back_as_negative_ones() -> None:
    ids = torch.from_numpy(np.array([[7, 2**63, 2**64 - 1]], np.uint64))
    assert as_tensor_batch(ids).tolist() == [[7, OUTSIDE, OUTSIDE]]
    assert tensor_history(ids, 1, 3, CPU).tolist() == [[7, OUTSIDE, OUTSIDE]]
