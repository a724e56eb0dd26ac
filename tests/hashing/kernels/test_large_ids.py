"""Ids up to 2^32 - 1: every kernel gives what Python integers give, or the scheme is refused."""

import functools
import operator
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from engramctl.errors import ConfigError
from engramctl.hashing import PRESETS, Scheme, make_scheme
from engramctl.hashing.diagnose.explain import explain
from engramctl.hashing.kernels.windows import WindowHash
from engramctl.hashing.walk.heads import Head, LayerHash
from engramctl.hashing.walk.mix import signed64
from engramctl.hashing.walk.token_map import Canonical
from tests.hashing.presets import LARGE, LARGE_VOCAB
from tests.hashing.walks import kernels

schemes = pytest.mark.parametrize("scheme", LARGE.values(), ids=LARGE.keys())


def by_python(scheme: Scheme, ids: list[int], layer: int, past: list[int]) -> list[list[int]]:
    """The rows by `explain`, which knows no machine integers."""
    return [
        [step.row_id for step in explain(scheme, ids, t, layer, past).heads]
        for t in range(len(ids))
    ]


@st.composite
def large_ids(draw: st.DrawFn, size: int) -> list[int]:
    edges = [2**bits + more for bits in (21, 31, 32) for more in (-2, -1, 0, 1)]
    edges = [0, 1, *(edge for edge in edges if edge < LARGE_VOCAB), LARGE_VOCAB - 1]
    one = st.one_of(st.sampled_from(edges), st.integers(0, LARGE_VOCAB - 1))
    return draw(st.lists(one, min_size=size, max_size=size))


@schemes
@given(data=st.data())
@settings(max_examples=25, deadline=None)
def test_every_kernel_gives_what_python_integers_give(scheme: Scheme, data: st.DataObject) -> None:
    ids = data.draw(large_ids(data.draw(st.integers(1, 9))))
    past = data.draw(large_ids(scheme.max_order - 1))
    for layer in scheme.layers:
        expected = by_python(scheme, ids, layer, past)
        for found in kernels(scheme, [ids], layer, [past]):
            assert found[0].tolist() == expected
        for dtype in (np.uint32, np.uint64):
            tokens = np.array(ids, dtype)
            assert scheme.row_ids(tokens, layer, np.array(past, dtype)).tolist() == expected
        windows = np.array([[*past, *ids][t : t + scheme.max_order] for t in range(len(ids))])
        assert of_windows(scheme, layer, windows) == [
            row[-scheme.heads_per_order :] for row in plain(scheme, windows, layer)
        ]


def plain(scheme: Scheme, windows: NDArray[np.int64], layer: int) -> list[list[int]]:
    """Rows of windows in which nothing stops, by the formulas of the mix."""
    derived = scheme.layer_hash(layer)
    return [
        [mixed(scheme, window[::-1], derived, head) % head.modulus + head.offset
         for head in derived.heads]
        for window in windows.tolist()
    ]  # fmt: skip


def mixed(scheme: Scheme, newest_first: list[int], layer: LayerHash, head: Head) -> int:
    seen = newest_first[: head.order]
    if scheme.mix.kind == "xor_mul":
        products = [value * by for value, by in zip(seen, layer.multipliers, strict=False)]
        return functools.reduce(operator.xor, products)
    terms = enumerate(seen[::-1] if scheme.mix.kind == "rollpoly" else seen)
    total = sum(value * (head.base or 0) ** power for power, value in terms)
    return total if scheme.mix.width == "exact" else signed64(total)


def of_windows(scheme: Scheme, layer: int, windows: NDArray[np.int64]) -> list[list[int]]:
    columns = range(scheme.num_heads - scheme.heads_per_order, scheme.num_heads)
    hashed = WindowHash(scheme.layer_hash(layer), scheme.mix, list(columns), LARGE_VOCAB)
    return hashed(windows.astype(np.uint32)).tolist()  # type: ignore[no-any-return]


@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_takes_ids_of_32_bits_or_says_that_it_cannot(name: str) -> None:
    if name in LARGE:
        return
    with pytest.raises(ConfigError, match="canonical ids are too many"):
        make_scheme(name, vocab_size=LARGE_VOCAB)


@schemes
@pytest.mark.parametrize("bad", [LARGE_VOCAB, 2**40, 2**62, -(2**31) - 1, -5])
def test_ids_outside_are_named(scheme: Scheme, bad: int) -> None:
    with pytest.raises(ValueError, match=f"token id {bad} at sequence 0, position 1"):
        scheme.row_ids([7, bad, 9], scheme.layers[0])


def test_an_id_of_64_bits_is_no_masked_token() -> None:
    scheme: Any = LARGE["qwen-ple"]
    for wrong in (2**63, 2**64 - 1):
        with pytest.raises(ValueError, match=f"token ids must be below .* not {wrong}"):
            scheme.row_ids(np.array([1, wrong], np.uint64), 1)
        with pytest.raises(ValueError, match=f"history must be below .* not {wrong}"):
            scheme.row_ids([1], 1, np.array([wrong], np.uint64))


@pytest.mark.parametrize("largest", [2**31, 2**32, 2**63 - 1])
def test_a_map_to_ids_beyond_31_bits_is_refused(largest: int) -> None:
    with pytest.raises(ConfigError, match="token map"):
        Canonical.mapped(np.array([0, largest]))
