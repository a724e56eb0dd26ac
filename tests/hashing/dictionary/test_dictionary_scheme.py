"""The dictionary finds what a dict of tuples finds, and refuses what it cannot hold."""

import itertools
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from engramctl.errors import ConfigError
from engramctl.hashing import (
    DEAD,
    START,
    DictionaryScheme,
    History,
    lookup_from_dict,
    make_scheme,
)
from engramctl.hashing.diagnose.explain_match import explain_match
from engramctl.hashing.dictionary.longest_match import BLOCK_POSITIONS, THREAD_POSITIONS
from engramctl.hashing.dictionary.ngrams import NgramList
from engramctl.hashing.kernels import reference
from engramctl.hashing.kernels.plan import IdRules
from engramctl.hashing.walk.window import Boundary
from tests.hashing.dictionaries import DEADS, SMALL, STOPS, VOCAB, dictionaries, tokens_for


def by_reference(
    scheme: DictionaryScheme, ids_BT: NDArray[np.int64], past: Any = None
) -> NDArray[np.int64]:
    """Rows by a dict of tuples, int64 (B, T, 1)."""
    context = scheme.max_order - 1
    start_BC = np.full((len(ids_BT), context), START, np.int64)
    history = start_BC if past is None else np.concatenate([start_BC, past], 1)[:, -context:]
    row_of = {scheme.ngrams[rank]: rank for rank in range(len(scheme.ngrams))}
    rules = IdRules(scheme.canonical, scheme.boundary)
    ids_BS = np.concatenate([history, ids_BT], axis=1)
    return reference.longest_matches(ids_BS, rules, scheme.orders, row_of)[..., None]


def test_the_longest_match_wins_and_none_is_minus_one() -> None:
    rows = SMALL.row_ids([1, 2, 3, 5, 4, 3, 5, 4, 5, 4], 0)
    assert rows.dtype == np.int32
    assert rows[:, 0].tolist() == [-1, -1, -1, -1, 2, -1, -1, 1, -1, 0]


def test_the_reference_itself_by_hand() -> None:
    ids = np.array([[1, 2, 3, 5, 4, 3, 5, 4, 5, 4]])
    assert by_reference(SMALL, ids)[0, :, 0].tolist() == [-1, -1, -1, -1, 2, -1, -1, 1, -1, 0]


@given(data=st.data())
@settings(max_examples=200, deadline=None)
def test_every_position_reads_what_a_dict_of_tuples_finds(data: st.DataObject) -> None:
    scheme = data.draw(dictionaries())
    ids_BT = data.draw(tokens_for(scheme))
    expected = by_reference(scheme, ids_BT)
    poisoned = np.full(expected.shape, -7, np.int64)
    assert scheme.row_ids(ids_BT, 0, out=poisoned) is poisoned
    np.testing.assert_array_equal(poisoned, expected)
    np.testing.assert_array_equal(scheme.row_ids(ids_BT.astype(np.int32), 0), expected)
    for b, ids_T in enumerate(ids_BT):
        np.testing.assert_array_equal(scheme.row_ids(ids_T.tolist(), 0), expected[b])


@given(data=st.data())
@settings(max_examples=100, deadline=None)
def test_chunks_with_history_give_the_rows_of_the_whole(data: st.DataObject) -> None:
    scheme = data.draw(dictionaries())
    ids_BT = data.draw(tokens_for(scheme))
    length = ids_BT.shape[1]
    cuts = sorted(data.draw(st.sets(st.integers(1, length), max_size=4)) | {0, length})
    whole = scheme.row_ids(ids_BT, 0)
    pieces = [scheme.row_ids(ids_BT[:, a:b], 0, ids_BT[:, :a]) for a, b in itertools.pairwise(cuts)]
    np.testing.assert_array_equal(np.concatenate(pieces, 1), whole)
    history = History(scheme.max_order - 1, len(ids_BT))
    for t in range(length):
        rows = scheme.row_ids(ids_BT[:, t : t + 1], 0, history.ids)
        np.testing.assert_array_equal(rows, whole[:, t : t + 1])
        history.append(ids_BT[:, t : t + 1])


@given(data=st.data(), pad=st.integers(0, 6))
@settings(max_examples=60, deadline=None)
def test_left_padding_and_later_tokens_change_nothing(data: st.DataObject, pad: int) -> None:
    scheme = data.draw(dictionaries())
    ids_BT = data.draw(tokens_for(scheme))
    whole = scheme.row_ids(ids_BT, 0)
    start = np.full((len(ids_BT), pad), START, np.int64)
    padded = scheme.row_ids(np.concatenate([start, ids_BT], axis=1), 0)
    np.testing.assert_array_equal(padded[:, pad:], whole)
    assert (padded[:, :pad] == -1).all()
    t = data.draw(st.integers(1, ids_BT.shape[1]))
    edited = ids_BT.copy()
    edited[:, t:] = (np.maximum(edited[:, t:], 0) + 2) % scheme.vocab_size
    np.testing.assert_array_equal(scheme.row_ids(edited, 0)[:, :t], whole[:, :t])


@given(data=st.data())
@settings(max_examples=60, deadline=None)
def test_the_explanation_gives_the_row_that_is_read(data: st.DataObject) -> None:
    scheme = data.draw(dictionaries())
    ids_T = data.draw(tokens_for(scheme))[0].tolist()
    past = data.draw(tokens_for(scheme))[0].tolist()
    position = data.draw(st.integers(0, len(ids_T) - 1))
    shown = explain_match(scheme, ids_T, position, 0, past)
    assert shown.row_id == scheme.row_ids(ids_T, 0, [past])[position, 0]
    assert [step.order for step in shown.matches] == list(scheme.orders)[::-1]
    if shown.order:
        [match] = [step for step in shown.matches if step.outcome == "match"]
        assert (match.order, match.row_id) == (shown.order, shown.row_id)
        assert scheme.ngrams[shown.row_id] == match.ngram


def test_fills_match_nothing_though_the_fill_is_an_id_of_the_list() -> None:
    assert SMALL.row_ids([0], 0).tolist() == [[-1]]
    assert SMALL.row_ids([0, 0], 0).tolist() == [[-1], [3]]
    assert SMALL.row_ids([START, START, START], 0).tolist() == [[-1]] * 3


def test_stops_cut_the_window_and_masks_match_nothing() -> None:
    stops = DictionaryScheme.of([(1, 2), (3, 4)], vocab_size=VOCAB, boundary=STOPS)
    assert stops.row_ids([1, 2, 3, 4], 0)[:, 0].tolist() == [-1, 0, -1, 1]
    dead = DictionaryScheme.of([(1, 1), (1, 1, 4)], vocab_size=VOCAB, boundary=DEADS)
    assert dead.row_ids([1, DEAD, 1, 1, DEAD, 4], 0)[:, 0].tolist() == [-1, -1, -1, 0, -1, -1]


def test_an_empty_dictionary_matches_nothing() -> None:
    empty = DictionaryScheme.of([], vocab_size=9)
    assert empty.num_rows(0) == 0
    assert (empty.row_ids(np.arange(9), 0) == -1).all()
    assert lookup_from_dict(empty.to_dict()).to_dict() == empty.to_dict()


def test_the_largest_ids_are_no_other_ids() -> None:
    top = 2**31 - 1
    ngrams = [(top, top), (top, top, top), (0, top), (top, 0), (top - 1, top, top)]
    scheme = DictionaryScheme.of(ngrams, vocab_size=2**31)
    ids = np.array([[top, top, top, 0, top, top], [top - 1, top, top, top - 1, 0, 0]])
    np.testing.assert_array_equal(scheme.row_ids(ids, 0), by_reference(scheme, ids))
    assert set(scheme.row_ids(ids, 0).ravel().tolist()) == {-1, 0, 1, 2, 3, 4}
    with pytest.raises(ConfigError, match="too large"):
        DictionaryScheme.of([], vocab_size=2**31 + 1)


@pytest.mark.parametrize(
    "length", [1, BLOCK_POSITIONS, BLOCK_POSITIONS + 1, THREAD_POSITIONS, 3 * BLOCK_POSITIONS + 7]
)
def test_blocks_and_threads_change_nothing(length: int) -> None:
    random = np.random.default_rng(length)
    listed = {tuple(random.integers(0, 20, n).tolist()) for n in (2, 3, 5) for _ in range(300)}
    scheme = DictionaryScheme.of(sorted(listed), vocab_size=20)
    ids_BT = random.integers(0, 20, (3, length))
    np.testing.assert_array_equal(scheme.row_ids(ids_BT, 0), by_reference(scheme, ids_BT))


def test_a_bad_id_is_named_from_every_thread() -> None:
    ids = np.zeros((2, 2 * THREAD_POSITIONS), np.int64)
    ids[1, -3] = VOCAB
    message = f"token id 6 at sequence 1, position {2 * THREAD_POSITIONS - 3} is outside"
    with pytest.raises(ValueError, match=message):
        SMALL.row_ids(ids, 0)


def test_tensors_go_in_and_come_out() -> None:
    ids = torch.tensor([[1, 2, 3, 5, 4]])
    rows = SMALL.row_ids(ids, 0)
    assert rows.dtype == torch.int32
    assert rows[0, :, 0].tolist() == [-1, -1, -1, -1, 2]
    out = torch.full((1, 5, 1), -7)
    assert SMALL.row_ids(ids, 0, out=out) is out
    assert torch.equal(out.int(), rows)
    past = torch.tensor([[1, 2, 3]])
    assert SMALL.row_ids(ids[:, 3:], 0, history=past)[0, :, 0].tolist() == [-1, 2]


def test_keys_are_those_of_a_hashed_scheme_with_the_same_ids() -> None:
    hashed = make_scheme("over-encoding", vocab_size=50, slots=100, orders=(2, 4))
    scheme = DictionaryScheme.of([(1, 2, 3, 4), (1, 2)], vocab_size=50)
    ids = np.random.default_rng(0).integers(0, 50, (2, 9))
    np.testing.assert_array_equal(scheme.ngram_keys(ids), hashed.ngram_keys(ids))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: SMALL.row_ids([6], 0), "token id 6 at sequence 0, position 0 is outside"),
        (lambda: SMALL.row_ids([-1], 0), "token id -1"),
        (lambda: SMALL.row_ids([0], 0, [[1, 77]]), "token id 77 at sequence 0, position -1"),
        (lambda: SMALL.row_ids([0.5], 0), "must be integers"),
        (lambda: SMALL.row_ids([[0], [0]], 0, [[1], [2], [3]]), "3 sequences"),
        (lambda: SMALL.row_ids([0], 0, out=np.empty((1, 2), np.int32)), "out must be"),
        (lambda: SMALL.row_ids([0], 0, out=np.empty((1, 1), np.uint32)), "must be signed"),
        (lambda: SMALL.ngram_keys([6]), "token id 6"),
    ],
)
def test_wrong_input_is_refused(call: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call()


@pytest.mark.parametrize(
    ("ngrams", "options", "message"),
    [
        ([(1, 2), (3, 4), (1, 2)], {}, "n-gram 2 stands in the list twice"),
        ([(1, 2), (3, 6)], {}, r"n-gram 1 has an id outside 0\.\.5"),
        ([(1, 2), (3, -1)], {}, "n-gram 1 is no sequence"),
        ([(1, 2), (2**31, 1)], {}, "n-gram 1 is no sequence"),
        ([(1.0, 2.0)], {}, "n-gram 0 is no sequence"),
        ([()], {}, "n-gram 0 is no sequence"),
        ([(1,)], {}, "not ascending from 2"),
        ([(1, 2)], {"orders": (3, 2)}, "not ascending"),
        ([(1, 2)], {"orders": (2, 2)}, "not ascending"),
        ([(1, 2)], {"orders": (3,)}, r"n-gram 0 has not one of the orders \[3\]"),
        ([(1,) * 65], {}, "out of range"),
        ([(1, 2)], {"layers": ()}, "at least one"),
        ([(1, 2)], {"token_map": np.arange(3)}, "one of them"),
        ([(2, 1)], {"boundary": STOPS}, "holds a stop token"),
        ([(0, 1)], {"boundary": Boundary(0, block=(1,))}, "holds a stop token"),
        ([(0, 1)], {"boundary": Boundary(6)}, "fill id 6"),
        ([(0, 1)], {"boundary": Boundary(0, negative="fill")}, "negative ids as 'fill'"),
    ],
)
def test_impossible_dictionaries_are_refused(
    ngrams: Any, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        DictionaryScheme.of(ngrams, **{"vocab_size": VOCAB, **options})


def test_arrays_that_do_not_fit_are_no_list() -> None:
    with pytest.raises(ConfigError, match="flat arrays"):
        NgramList(np.array([2], np.int64), np.array([1, 2], np.int32))
    with pytest.raises(ConfigError, match="cannot have 3 ids"):
        NgramList(np.array([2], np.uint8), np.array([1, 2, 3], np.int32))


def test_no_such_layer_is_a_config_error() -> None:
    with pytest.raises(ConfigError, match="no layer 1"):
        SMALL.row_ids([0], 1)
