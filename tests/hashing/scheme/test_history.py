"""Decoding in any order of steps gives the rows of the unsplit sequence."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from engramctl.hashing import START, Scheme
from engramctl.hashing.scheme.history import History
from tests.hashing.presets import SCHEMES, token_batches

schemes = pytest.mark.parametrize("scheme", SCHEMES.values(), ids=SCHEMES.keys())
few = settings(max_examples=8, deadline=None)


def last(scheme: Scheme, ids: list[int]) -> NDArray[Any]:
    """Rows of the last token, from the whole sequence."""
    rows: NDArray[Any] = scheme.row_ids([ids], scheme.layers[0])[0, -1]
    return rows


@schemes
@given(data=st.data())
@few
def test_prefill_in_chunks_and_decoding_give_the_whole(scheme: Scheme, data: st.DataObject) -> None:
    ids_BT = data.draw(token_batches(scheme))
    history = History(scheme.max_order - 1, len(ids_BT), max_roll_back=0)
    pieces, at = [], 0
    while at < ids_BT.shape[1]:
        step = data.draw(st.integers(1, 6))
        chunk_BT = ids_BT[:, at : at + step]
        pieces.append(scheme.row_ids(chunk_BT, scheme.layers[-1], history.ids))
        history.append(chunk_BT)
        at += step
    whole = scheme.row_ids(ids_BT, scheme.layers[-1])
    np.testing.assert_array_equal(np.concatenate(pieces, axis=1), whole)
    assert history.lengths.tolist() == [ids_BT.shape[1]] * len(ids_BT)


@schemes
@given(data=st.data())
@few
def test_any_life_of_a_batch_equals_its_sequences(scheme: Scheme, data: st.DataObject) -> None:
    """Append, roll back, fork, reorder: after each step every sequence reads as if written out."""
    history = History(scheme.max_order - 1, 1, max_roll_back=12)
    written: list[list[int]] = [[]]
    rolled = 0
    for _ in range(data.draw(st.integers(1, 6))):
        what = data.draw(st.sampled_from(["append", "roll back", "select", "reorder"]))
        if what == "append":
            drawn = data.draw(token_batches(scheme))[:1]
            ids_BT = np.stack([np.roll(drawn[0], b) for b in range(len(written))])
            rows = scheme.row_ids(ids_BT, scheme.layers[0], history.ids)
            history.append(ids_BT)
            written = [ids + new for ids, new in zip(written, ids_BT.tolist(), strict=True)]
            for ids, row in zip(written, rows, strict=True):
                np.testing.assert_array_equal(row[-1], last(scheme, ids))
            rolled = max(0, rolled - ids_BT.shape[1])
        elif what == "roll back":
            most = min(12 - rolled, *(len(ids) for ids in written))
            counts = [data.draw(st.integers(0, most)) for _ in written]
            history.roll_back(counts)
            written = [ids[: len(ids) - n] for ids, n in zip(written, counts, strict=True)]
            rolled += max(counts)
        else:
            chosen = data.draw(st.lists(st.integers(0, len(written) - 1), min_size=1, max_size=4))
            written = [written[b] for b in chosen]
            if what == "reorder":
                history.reorder(chosen)
            else:
                history = history.select(chosen)
        assert history.lengths.tolist() == [len(ids) for ids in written]
        for b, ids in enumerate(written):
            padded = [START] * (scheme.max_order - 1) + ids
            assert history.ids[b].tolist() == padded[-(scheme.max_order - 1) :]


@schemes
@given(data=st.data())
@few
def test_rejected_drafts_and_reused_prefixes_leave_no_trace(
    scheme: Scheme, data: st.DataObject
) -> None:
    prefix, draft, real = (data.draw(token_batches(scheme))[:1] for _ in range(3))
    history = History(scheme.max_order - 1)
    history.append(prefix)
    saved = history.fork()
    history.append(draft)
    accepted = data.draw(st.integers(0, draft.shape[1]))
    history.roll_back(draft.shape[1] - accepted)
    for state, before in ((history, [*prefix[0], *draft[0, :accepted]]), (saved, prefix[0])):
        whole = scheme.row_ids([[*before, *real[0]]], scheme.layers[0])[:, len(before) :]
        found = scheme.row_ids(real, scheme.layers[0], state.ids)
        np.testing.assert_array_equal(found, whole)


def test_what_is_no_longer_kept_cannot_be_taken_back() -> None:
    history = History(2, 2, max_roll_back=3)
    history.append([[1, 2, 3, 4, 5, 6], [7, 8, 9, 10, 11, 12]])
    history.roll_back([3, 0])
    assert history.ids.tolist() == [[2, 3], [11, 12]]
    with pytest.raises(ValueError, match="cannot take back 1 of 3 tokens of sequence 0"):
        history.roll_back(1)
    assert history.lengths.tolist() == [3, 6]
    with pytest.raises(ValueError, match="cannot take back 7 of 6 tokens of sequence 1"):
        history.roll_back([0, 7])
    with pytest.raises(ValueError, match="cannot take back -1"):
        history.roll_back(-1)


def test_a_whole_short_sequence_can_be_taken_back() -> None:
    history = History(3, max_roll_back=2)
    history.append([4, 5])
    history.roll_back(2)
    assert history.ids.tolist() == [[START] * 3]
    history.append([6])
    assert history.ids.tolist() == [[START, START, 6]]


def test_a_history_refuses_what_it_cannot_hold() -> None:
    history = History(2, 2)
    with pytest.raises(ValueError, match="2 sequences, token ids have 1"):
        history.append([[1]])
    with pytest.raises(ValueError, match="must be integers"):
        history.append([[1.0], [2.0]])
    with pytest.raises(ValueError, match="must not be negative"):
        History(-1)
    with pytest.raises(IndexError):
        history.select([2])
