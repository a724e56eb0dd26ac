"""Where row ids are written, and requests of nothing."""

from typing import Any

import numpy as np
import pytest
import torch

from engramctl.hashing import DictionaryScheme, Lookup, make_scheme

SCHEMES: dict[str, Lookup] = {
    "numba": make_scheme("engram", vocab_size=64, slots=97, heads_per_order=2),
    "numpy": make_scheme("longcat", vocab_size=64, eos_id=7, slots=2**31),
    "dictionary": DictionaryScheme.of([(1, 2), (2, 3), (1, 2, 3)], vocab_size=64),
}
schemes = pytest.mark.parametrize("scheme", SCHEMES.values(), ids=SCHEMES.keys())


def columns(scheme: Lookup) -> int:
    return int(scheme.row_ids([1], scheme.layers[0]).shape[-1])


@schemes
def test_a_read_only_out_stays_as_it_was(scheme: Lookup) -> None:
    layer, out = scheme.layers[0], np.full((3, columns(scheme)), -7, np.int64)
    out.flags.writeable = False
    with pytest.raises(ValueError, match="read-only"):
        scheme.row_ids([1, 2, 3], layer, out=out)
    assert (out == -7).all()


@schemes
@pytest.mark.parametrize("dtype", [np.float32, np.float64, bool, np.complex64, ">i8"])
def test_an_out_of_no_integers_of_this_machine_is_refused(scheme: Lookup, dtype: Any) -> None:
    out = np.zeros((3, columns(scheme)), dtype)
    with pytest.raises(ValueError, match="out must hold row ids"):
        scheme.row_ids([1, 2, 3], scheme.layers[0], out=out)


@schemes
def test_an_out_of_another_kind_than_the_ids_is_refused(scheme: Lookup) -> None:
    layer, shape = scheme.layers[0], (3, columns(scheme))
    array, tensor = np.zeros(shape, np.int64), torch.zeros(shape, dtype=torch.int64)
    no_arrays: list[Any] = [tensor, array.tolist()]
    for out in no_arrays:
        with pytest.raises(ValueError, match="out must be an array"):
            scheme.row_ids([1, 2, 3], layer, out=out)
    no_tensors: list[Any] = [array, array.tolist(), tensor.to_sparse()]
    for out in no_tensors:
        with pytest.raises(ValueError, match="out must be a strided tensor"):
            scheme.row_ids(torch.tensor([1, 2, 3]), layer, out=out)


def test_an_out_must_hold_every_row_id_of_the_table() -> None:
    scheme = SCHEMES["numba"]
    rows = scheme.num_rows(1)
    assert 127 < rows < 2**15
    with pytest.raises(ValueError, match=f"below {rows:,}; int8 does not"):
        scheme.row_ids([1, 2, 3], 1, out=np.zeros((3, 4), np.int8))
    for dtype in (np.int16, np.uint16, np.int32, np.uint64):
        out = np.zeros((3, 4), dtype)
        assert scheme.row_ids([1, 2, 3], 1, out=out) is out
        assert (out == scheme.row_ids([1, 2, 3], 1)).all()


@schemes
@pytest.mark.parametrize("shape", [(0,), (0, 4), (3, 0), (2, 0, 5), (2, 3, 0)])
def test_nothing_asked_is_nothing_answered(scheme: Lookup, shape: tuple[int, ...]) -> None:
    layer, heads = scheme.layers[0], columns(scheme)
    ids = np.empty(shape, np.int32)
    assert scheme.row_ids(ids, layer).shape == (*shape, heads)
    assert scheme.row_ids(torch.from_numpy(ids), layer).shape == (*shape, heads)
    assert scheme.row_ids(ids.tolist(), layer).shape == (*np.asarray(ids.tolist()).shape, heads)
    assert scheme.ngram_keys(ids).shape == (*shape, len(scheme.orders), 2)
    past = [[1]] * int(np.prod(shape[:-1]))
    assert scheme.row_ids(ids, layer, past or None).shape == (*shape, heads)
