"""A history on a device lives as one on the host does."""

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from engramctl.hashing import START, DeviceHistory, make_scheme
from engramctl.hashing.scheme.history import History
from engramctl.hashing.walk.window import OUTSIDE

MAX = 6


@given(data=st.data(), context=st.integers(0, 4), batch=st.integers(1, 3))
@settings(max_examples=100, deadline=None)
def test_any_life_gives_the_ids_of_the_host(data: st.DataObject, context: int, batch: int) -> None:
    host = History(context, batch, max_roll_back=MAX)
    device = DeviceHistory(context, batch, device="cpu", max_roll_back=MAX)
    view, used = device.ids, 0
    for _ in range(data.draw(st.integers(1, 8))):
        what = data.draw(st.sampled_from(["append", "roll back", "reorder"]))
        if what == "append":
            length = data.draw(st.integers(0, 5))
            flat = data.draw(st.lists(st.integers(0, 99), min_size=batch * length,
                                      max_size=batch * length))  # fmt: skip
            ids = np.array(flat, np.int64).reshape(batch, length)
            host.append(ids)
            device.append(torch.from_numpy(ids).int())
            used = max(0, used - length)
        elif what == "roll back":
            most = [min(MAX - used, int(length)) for length in host.lengths]
            counts = [data.draw(st.integers(0, one)) for one in most]
            host.roll_back(counts)
            if len(set(counts)) == 1 and data.draw(st.booleans()):
                device.roll_back(counts[0])
            else:
                device.roll_back(torch.tensor(counts))
            used += max(counts)
        else:
            chosen = data.draw(st.lists(st.integers(0, batch - 1), min_size=batch, max_size=batch))
            host.reorder(chosen)
            device.reorder(torch.tensor(chosen))
        assert device.ids.tolist() == host.ids.tolist()
        assert view.tolist() == host.ids.tolist()  # what a captured graph reads


def test_ids_that_are_lost_give_rows_of_minus_one_until_they_are_out_of_reach() -> None:
    scheme = make_scheme("engram", vocab_size=64, slots=97, heads_per_order=2)  # N = 3
    history = DeviceHistory(2, 2, device="cpu", max_roll_back=1)
    history.append(torch.tensor([[1, 2, 3, 4, 5], [6, 7, 8, 9, 10]]))
    history.roll_back(torch.tensor([2, 1]))
    assert history.ids.tolist() == [[OUTSIDE, 3], [8, 9]]
    found = scheme.row_ids(torch.tensor([[5, 5], [5, 5]]), 1, history.ids, check="later")
    assert (found == -1).all(dim=-1).tolist() == [[True, False], [False, False]]
    history.append(torch.tensor([[5], [5]]))
    assert history.ids.tolist() == [[3, 5], [9, 5]]


def test_a_sequence_that_is_taken_back_whole_is_empty() -> None:
    history = DeviceHistory(3, 2, device="cpu", max_roll_back=1)
    history.append(torch.tensor([[4], [5]]))
    history.roll_back(torch.tensor([9, -2]))
    assert history.ids.tolist() == [[START] * 3, [START, START, 5]]


def test_a_history_refuses_what_it_cannot_hold() -> None:
    history = DeviceHistory(2, 2, device="cpu")
    for wrong, text in (
        (torch.tensor([[1]]), "2 sequences, token ids have 1"),
        (torch.ones((2, 1)), "must be integers"),
        ([[1], [2]], "token ids must be a tensor on cpu, not list"),
        (torch.empty((2, 1), dtype=torch.int64, device="meta"), "on cpu, not meta"),
    ):
        given: Any = wrong
        with pytest.raises(ValueError, match=text):
            history.append(given)
    for number in (-1, torch.tensor([1])):
        with pytest.raises(ValueError, match=r"cannot take back -1|have the shape \(1,\)"):
            history.roll_back(number)
    with pytest.raises(ValueError, match=r"holds 2 sequences, not \(3,\)"):
        history.reorder(torch.tensor([0, 1, 1]))
    with pytest.raises(ValueError, match="must not be negative"):
        DeviceHistory(-1, device="cpu")


def test_a_history_that_was_made_in_inference_mode_goes_on_outside() -> None:
    with torch.inference_mode():
        history = DeviceHistory(2, device="cpu")
    history.append(torch.tensor([[5, 9, 7]]))
    history.roll_back(1)
    assert history.ids.tolist() == [[5, 9]]
