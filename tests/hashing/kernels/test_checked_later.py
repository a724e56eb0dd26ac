"""Token ids that no vocabulary has, found later: rows of -1, alike in every kernel."""

import itertools
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from engramctl.hashing import DEAD, START, Scheme, make_scheme
from engramctl.hashing.kernels import reference
from engramctl.hashing.kernels.device import DeviceWalk
from engramctl.hashing.walk.window import OUTSIDE
from tests.hashing.dictionaries import SMALL
from tests.hashing.presets import EOS, SCHEMES, VOCAB
from tests.hashing.walks import as_walked

schemes = pytest.mark.parametrize("scheme", SCHEMES.values(), ids=SCHEMES.keys())
few = settings(max_examples=10, deadline=None)
V41 = SCHEMES["deepseek-v41"]


@st.composite
def batches(draw: st.DrawFn, scheme: Scheme) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Tokens (B, T) and a history of any length, in which some ids are no ids; stops are common."""
    batch, past = draw(st.integers(1, 3)), draw(st.integers(0, scheme.max_order + 1))
    length = past + draw(st.integers(1, 12))
    outside = st.sampled_from([scheme.vocab_size, 2**31, 2**40, OUTSIDE, -5, -(2**40), DEAD])
    stops = st.sampled_from([0, EOS, 3, START])
    one = st.one_of(stops, outside, *[st.integers(0, VOCAB - 1)] * 4)
    flat = draw(st.lists(one, min_size=batch * length, max_size=batch * length))
    history, tokens = np.split(np.array(flat, np.int64).reshape(batch, length), [past], axis=1)
    return np.ascontiguousarray(tokens), np.ascontiguousarray(history)


def one_by_one(
    scheme: Scheme, tokens_BT: NDArray[np.int64], past_BC: NDArray[np.int64], layer: int
) -> NDArray[np.int64]:
    """The meaning: -1 where a call for this position alone, with its history, raises."""
    rows = np.full((*tokens_BT.shape, scheme.num_heads), -1, np.int64)
    whole_BS = np.concatenate([past_BC, tokens_BT], axis=1)
    context = scheme.max_order - 1
    for b, t in np.ndindex(tokens_BT.shape):
        ids = whole_BS[b, t : t + context + 1]
        try:
            rows[b, t] = scheme.row_ids(ids[context:], layer, ids[:context])[0]
        except ValueError:
            continue
    return rows


@schemes
@given(data=st.data())
@few
def test_rows_are_minus_one_where_the_position_alone_is_refused(
    scheme: Scheme, data: st.DataObject
) -> None:
    tokens, history = data.draw(batches(scheme))
    tokens_BT, past_BC = as_walked(scheme, tokens, history)
    whole_BS = np.concatenate([past_BC, tokens_BT], axis=1)
    for layer in scheme.layers:
        expected = one_by_one(scheme, tokens_BT, past_BC, layer)
        plan = scheme.plans[layer]
        out = np.full(expected.shape, -7, np.int64)
        assert scheme.row_ids(tokens, layer, history, out, check="later") is out
        np.testing.assert_array_equal(out, expected)
        np.testing.assert_array_equal(reference.marked_row_ids(whole_BS, plan), expected)
        found = torch.full(expected.shape, -7, dtype=torch.int64)
        walk = DeviceWalk(plan, torch.device("cpu"))
        arguments = torch.from_numpy(tokens_BT), torch.from_numpy(past_BC), found
        assert walk(*arguments, later=True) == -1
        np.testing.assert_array_equal(found.numpy(), expected)
        tensor = scheme.row_ids(
            torch.from_numpy(tokens), layer, torch.from_numpy(history), check="later"
        )
        assert tensor.dtype == (torch.int32 if plan.dtype == np.int32 else torch.int64)
        np.testing.assert_array_equal(tensor.numpy(), expected)
        if (expected == -1).any():
            with pytest.raises(ValueError, match="outside the vocabulary"):
                scheme.row_ids(tokens, layer, history)


@schemes
@given(data=st.data())
@few
def test_chunks_with_history_give_the_rows_of_the_whole(
    scheme: Scheme, data: st.DataObject
) -> None:
    tokens, history = data.draw(batches(scheme))
    length = tokens.shape[1]
    cuts = sorted(data.draw(st.sets(st.integers(1, length), max_size=4)) | {0, length})
    layer = scheme.layers[-1]
    pieces = [
        scheme.row_ids(
            tokens[:, a:b], layer, np.concatenate([history, tokens[:, :a]], 1), check="later"
        )
        for a, b in itertools.pairwise(cuts)
    ]
    whole = scheme.row_ids(tokens, layer, history, check="later")
    np.testing.assert_array_equal(np.concatenate(pieces, axis=1), whole)


def test_threads_mark_the_windows_of_all_their_pieces() -> None:
    ids_BT = np.random.default_rng(1).integers(0, VOCAB, (2, 50_001))
    expected = V41.row_ids(ids_BT, V41.layers[0]).astype(np.int64)
    for b, t in ((0, 0), (0, 49_999), (1, 25_000)):
        ids_BT[b, t] = -3
        expected[b, t : t + V41.max_order] = -1
    found = V41.row_ids(ids_BT.astype(np.int32), V41.layers[0], check="later")
    np.testing.assert_array_equal(found, expected)


def test_ids_of_64_bits_are_outside_too() -> None:
    scheme = make_scheme("qwen-ple", vocab_size=VOCAB, eos_id=EOS)  # knows masks: -1 would be one
    assert scheme.max_order == 3
    wrong = np.array([1, 2**64 - 1, 1, 1, 1], np.uint64)
    bad = np.array([False, True, True, True, False])
    for cut in range(5):
        found = scheme.row_ids(wrong[cut:], 1, wrong[:cut], check="later")
        assert ((found == -1).all(axis=1) == bad[cut:]).all()
        assert ((found == -1).any(axis=1) == bad[cut:]).all()


@pytest.mark.parametrize("kind", ["array", "tensor"])
def test_an_out_that_cannot_hold_minus_one_is_refused(kind: str) -> None:
    ids: Any = np.array([1, 2])
    out: Any = np.empty((2, V41.num_heads), np.uint64)
    if kind == "tensor":
        ids, out = torch.from_numpy(ids), torch.from_numpy(out)
    assert V41.row_ids(ids, V41.layers[0], out=out) is out
    with pytest.raises(ValueError, match="out must be signed, for -1 means a token id outside"):
        V41.row_ids(ids, V41.layers[0], out=out, check="later")


def test_a_check_at_another_time_is_refused() -> None:
    never: Any = "never"
    for scheme in (V41, SMALL):
        with pytest.raises(ValueError, match="check must be 'now' or 'later', not 'never'"):
            scheme.row_ids([1, 2], scheme.layers[0], check=never)


def test_a_dictionary_cannot_tell_later_and_says_so() -> None:
    for ids in ([5, 4], torch.tensor([5, 4])):
        with pytest.raises(ValueError, match="which means no match here"):
            SMALL.row_ids(ids, 0, check="later")
        assert SMALL.row_ids(ids, 0, check="now").tolist() == [[-1], [0]]
