"""What `row_ids` writes to, and requests of nothing."""

from typing import Any

import numpy as np
import pytest
import torch

from engramctl.hashing import make_scheme

SCHEMES = ("engram", "deepseek-v41", "qwen-ple", "longcat", "over-encoding", "blt")
TOKENS = np.array([[1, 2, 3]])


@pytest.mark.parametrize("name", SCHEMES)
@pytest.mark.parametrize("shape", [(0,), (0, 3), (2, 0), (0, 0), (3, 0, 2)])
@pytest.mark.parametrize("kind", ["numpy", "torch", "list"])
def test_no_ids_give_no_rows_of_the_right_shape(
    name: str, shape: tuple[int, ...], kind: str
) -> None:
    scheme = make_scheme(name, slots=97)
    ids: Any = np.empty(shape, np.int64)
    if kind == "list":
        ids = ids.tolist()
    elif kind == "torch":
        ids = torch.from_numpy(ids)
    layer = scheme.layer_ids[0]
    expected = np.asarray(ids).shape
    assert tuple(scheme.row_ids(ids, layer).shape) == (*expected, scheme.num_heads)
    if kind != "torch":
        assert scheme.ngram_keys(ids).shape == (*expected, len(scheme.orders), 2)


def test_a_read_only_output_is_refused_and_not_written() -> None:
    scheme = make_scheme("engram", slots=97)
    out = np.zeros((1, 3, scheme.num_heads), np.int32)
    out.flags.writeable = False
    with pytest.raises(ValueError, match="read-only"):
        scheme.row_ids(TOKENS, 1, out=out)
    assert not out.any()


@pytest.mark.parametrize("dtype", [np.uint8, np.int8, np.float32, np.float64, np.bool_, ">i4"])
def test_an_output_that_cannot_hold_every_row_id_is_refused(dtype: Any) -> None:
    scheme = make_scheme("engram", slots=97)
    out = np.zeros((1, 3, scheme.num_heads), dtype)
    with pytest.raises(ValueError, match="must hold row ids below 2,124"):
        scheme.row_ids(TOKENS, 1, out=out)


@pytest.mark.parametrize("dtype", [np.int16, np.uint16, np.int64, np.uint64])
def test_an_output_of_any_other_integers_gets_the_row_ids(dtype: Any) -> None:
    scheme = make_scheme("engram", slots=97)
    out = np.zeros((1, 3, scheme.num_heads), dtype)
    assert scheme.row_ids(TOKENS, 1, out=out) is out
    assert np.array_equal(out, scheme.row_ids(TOKENS, 1))
