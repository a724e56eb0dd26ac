"""The explanation and the kernels agree, for every scheme and every kind of boundary."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engramctl.hashing import DEAD, PRESETS, Scheme, make_scheme
from engramctl.hashing.diagnose.explain import explain

V41 = make_scheme(
    "deepseek-v41", token_map=np.arange(40) // 2, slots=101, heads_per_order=2, pad_id=7
)
SCHEMES = {"v41-mapped": V41} | {name: make_scheme(name) for name in PRESETS}


@pytest.mark.parametrize("scheme", SCHEMES.values(), ids=SCHEMES.keys())
@given(data=st.data())
@settings(max_examples=12, deadline=None)
def test_every_head_gives_the_kernels_row(scheme: Scheme, data: st.DataObject) -> None:
    stops = [stop for stop in scheme.boundary.stop if stop >= 0]
    marks = stops if scheme.boundary.negative == "refuse" else [DEAD, *stops]
    ids = st.integers(0, scheme.vocab_size - 1)
    token = st.one_of(ids, st.sampled_from(marks)) if marks else ids
    history = data.draw(st.lists(token, max_size=4))
    tokens = data.draw(st.lists(token, min_size=1, max_size=6))
    position = data.draw(st.integers(0, len(tokens) - 1))
    for layer in scheme.layers:
        shown = explain(scheme, tokens, position, layer, history)
        rows = scheme.row_ids(tokens, layer, history=history or None)
        assert [step.row_id for step in shown.heads] == rows[position].tolist()


def test_the_window_says_why_a_fill_stands() -> None:
    shown = explain(V41, [10, DEAD, 30, 31], 3, 1)
    assert [(entry.token_id, entry.canonical_id, entry.value, entry.why) for entry in shown.window]\
        == [
            (31, 15, 15, "current"),
            (30, 15, 15, "read"),
            (DEAD, None, 3, "fill: masked token at position 1"),
            (10, 5, 3, "fill: masked token at position 1"),
        ]  # fmt: skip
    start = explain(V41, [9], 0, 14, history=[8]).window
    assert [entry.why for entry in start] == [
        "current", "read", "fill: before the sequence", "fill: before the sequence"
    ]  # fmt: skip
    assert [entry.position for entry in start] == [0, -1, -2, -3]
    masked = explain(V41, [9, DEAD], 1, 14).window
    assert {entry.why for entry in masked} == {"fill: the current token is masked"}


def test_a_wrong_position_layer_or_id_is_refused() -> None:
    for position in (-1, 2):
        with pytest.raises(IndexError, match="outside"):
            explain(V41, [1, 2], position, 1)
    with pytest.raises(Exception, match="no layer 3"):
        explain(V41, [1], 0, 3)
    with pytest.raises(ValueError, match="vocabulary"):
        explain(V41, [1, 40], 1, 1)
