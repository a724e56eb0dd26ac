"""What must hold for every scheme, whatever its constants."""

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
from engramctl.hashing.kernels.choice import LARGEST_VECTOR_MODULUS
from engramctl.hashing.kernels.cpu import CpuWalk
from engramctl.hashing.kernels.plan import Plan
from engramctl.hashing.kernels.vector import LANES
from engramctl.hashing.walk.mix import Mix
from engramctl.hashing.walk.multipliers import Pcg64
from engramctl.hashing.walk.token_map import Canonical
from engramctl.hashing.walk.window import Boundary
from tests.hashing.walks import as_walked, by_torch

VOCAB = 500
SCHEMES = {
    "demo": make_scheme("engram", vocab_size=VOCAB, slots=97, heads_per_order=2),
    "v41-small": make_scheme("deepseek-v41", vocab_size=VOCAB, slots=101, heads_per_order=3),
    "v41": make_scheme("deepseek-v41", vocab_size=VOCAB),
    "mapped": make_scheme(
        "deepseek-v41", token_map=np.arange(VOCAB) // 3, slots=[5000, 6000, 9_000_000_000]
    ),
}
schemes = pytest.mark.parametrize("scheme", SCHEMES.values(), ids=SCHEMES.keys())


@st.composite
def token_batches(draw: st.DrawFn, masked: bool = True) -> NDArray[np.int64]:
    shape = draw(st.tuples(st.integers(1, 3), st.integers(1, 12)))
    low = DEAD if masked else 0
    flat = draw(st.lists(st.integers(low, VOCAB - 1), min_size=shape[0] * shape[1],
                         max_size=shape[0] * shape[1]))  # fmt: skip
    return np.array(flat, np.int64).reshape(shape)


def rows_by_reference(scheme: Scheme, ids_BT: NDArray[Any], layer: int) -> NDArray[np.int64]:
    tokens, past = as_walked(scheme, ids_BT, None)
    return reference.row_ids(np.concatenate([past, tokens], axis=1), scheme.plans[layer])


@schemes
@given(ids_BT=token_batches())
@settings(max_examples=60, deadline=None)
def test_every_kernel_gives_the_reference_rows(scheme: Scheme, ids_BT: NDArray[np.int64]) -> None:
    tokens, past = as_walked(scheme, ids_BT, None)
    for layer in scheme.layers:
        expected = rows_by_reference(scheme, ids_BT, layer)
        poisoned = np.full(expected.shape, -7, expected.dtype)
        assert scheme.row_ids(ids_BT, layer, out=poisoned) is poisoned
        np.testing.assert_array_equal(poisoned, expected)
        np.testing.assert_array_equal(by_torch(scheme, tokens, past, layer), expected)
        np.testing.assert_array_equal(scheme.row_ids(ids_BT.astype(np.int32), layer), expected)
        assert torch.equal(
            scheme.row_ids(torch.from_numpy(ids_BT), layer).long(), torch.from_numpy(expected)
        )


@schemes
@given(ids_BT=token_batches(), data=st.data())
@settings(max_examples=40, deadline=None)
def test_a_later_token_never_changes_an_earlier_row(
    scheme: Scheme, ids_BT: NDArray[np.int64], data: st.DataObject
) -> None:
    t = data.draw(st.integers(0, ids_BT.shape[1] - 1))
    edited_BT = ids_BT.copy()
    edited_BT[:, t:] = (edited_BT[:, t:] + 1) % VOCAB
    layer = scheme.layers[0]
    before, after = (scheme.row_ids(x, layer)[:, :t] for x in (ids_BT, edited_BT))
    np.testing.assert_array_equal(before, after)


@schemes
@given(ids_BT=token_batches(), data=st.data())
@settings(max_examples=40, deadline=None)
def test_chunks_with_history_give_the_rows_of_the_whole(
    scheme: Scheme, ids_BT: NDArray[np.int64], data: st.DataObject
) -> None:
    length = ids_BT.shape[1]
    cuts = sorted(data.draw(st.sets(st.integers(1, length), max_size=4)) | {0, length})
    for layer in scheme.layers:
        pieces = [
            scheme.row_ids(ids_BT[:, a:b], layer, history=ids_BT[:, :a])
            for a, b in itertools.pairwise(cuts)
        ]
        np.testing.assert_array_equal(np.concatenate(pieces, 1), scheme.row_ids(ids_BT, layer))


@schemes
@given(ids_BT=token_batches(), pad=st.integers(0, 5))
@settings(max_examples=40, deadline=None)
def test_left_padding_with_start_changes_nothing(
    scheme: Scheme, ids_BT: NDArray[np.int64], pad: int
) -> None:
    padded = np.concatenate([np.full((len(ids_BT), pad), START, np.int64), ids_BT], axis=1)
    layer = scheme.layers[-1]
    np.testing.assert_array_equal(
        scheme.row_ids(padded, layer)[:, pad:], scheme.row_ids(ids_BT, layer)
    )


@schemes
@given(ids_BT=token_batches())
@settings(max_examples=40, deadline=None)
def test_rows_stay_inside_their_heads(scheme: Scheme, ids_BT: NDArray[np.int64]) -> None:
    for derived in scheme.hashes:
        rows = scheme.row_ids(ids_BT, derived.layer)
        for h, head in enumerate(derived.heads):
            assert rows[..., h].min() >= head.offset
            assert rows[..., h].max() < head.offset + head.modulus


@schemes
def test_no_two_heads_are_the_same_hash(scheme: Scheme) -> None:
    moduli = [head.modulus for derived in scheme.hashes for head in derived.heads]
    assert len(set(moduli)) == len(moduli)


@given(
    mix=st.one_of(
        st.integers(-(2**63), 2**63 - 1),
        st.sampled_from([-(2**63), 2**63 - 1, 0, -1]),
    ),
    moduli=st.lists(
        st.one_of(
            st.integers(1, LARGEST_VECTOR_MODULUS),
            st.sampled_from([1, 2, 3, LARGEST_VECTOR_MODULUS]),
        ),
        min_size=1,
        max_size=2 * LANES + 1,
    ),
    near=st.sampled_from([None, -1, 0, 1]),
    dtype=st.sampled_from([np.int32, np.int64, np.uint32]),
)
@settings(max_examples=300, deadline=None)
def test_the_vector_modulo_equals_python_integers(
    mix: int, moduli: list[int], near: int | None, dtype: Any
) -> None:
    """One token with id 1, one multiplier: the kernel's modulo stands alone, in every lane."""
    if near is not None:  # beside a multiple of the first modulus
        mix = max(-(2**63), min(mix - mix % moduli[0] + near, 2**63 - 1))
    plan = one_order(moduli, multiplier=mix)
    out = np.full((1, 1, len(moduli)), 77, dtype)
    assert CpuWalk(plan)(np.ones((1, 1), np.int64), np.empty((1, 0), np.int64), out) == -1
    assert out[0, 0].tolist() == [mix % p + h for h, p in enumerate(moduli)]


def one_order(moduli: list[int], multiplier: int) -> Plan:
    """Windows of one token; head h has the offset h."""
    flat = np.arange(len(moduli), dtype=np.int64)
    return Plan(
        Canonical(2, 2), Boundary(0), 1, np.ones_like(flat), np.array(moduli, np.int64), flat,
        np.array([multiplier], np.int64), Mix(), None, None, max(moduli) + len(moduli),
        np.dtype(np.int64),
    )  # fmt: skip


def test_the_vector_loops_write_nothing_beyond_their_rows() -> None:
    """A row of nine heads is one whole vector and a masked one; what follows stays as it was."""
    plan = one_order([97] * 9, multiplier=10**15)
    around = np.full((3, 5, 9), -7, np.int32)
    walk = CpuWalk(plan)
    assert walk(np.ones((1, 5), np.int64), np.empty((1, 0), np.int64), around[1:2]) == -1
    assert (around[[0, 2]] == -7).all()
    assert (around[1] == 10**15 % 97 + np.arange(9)).all()


def test_moduli_beyond_the_vector_loops_are_exact_too() -> None:
    plan = one_order([LARGEST_VECTOR_MODULUS + 1, 2**61 - 1], multiplier=2**63 - 1)
    out = np.full((1, 1, 2), -7, np.int64)
    assert CpuWalk(plan)(np.ones((1, 1), np.int64), np.empty((1, 0), np.int64), out) == -1
    assert out[0, 0].tolist() == [
        (2**63 - 1) % (LARGEST_VECTOR_MODULUS + 1),
        (2**63 - 1) % (2**61 - 1) + 1,
    ]


@given(seed=st.integers(0, 2**70), bound=st.integers(2**32 + 1, 2**63 - 1))
@settings(max_examples=100, deadline=None)
def test_the_multiplier_stream_is_numpys(seed: int, bound: int) -> None:
    ours = Pcg64(seed)
    theirs = np.random.default_rng(seed).integers(0, bound, size=8, dtype=np.int64)
    assert [ours.below(bound) for _ in range(8)] == theirs.tolist()


@given(ids_BT=token_batches(masked=False))
@settings(max_examples=60, deadline=None)
def test_equal_keys_mean_equal_windows(ids_BT: NDArray[np.int64]) -> None:
    scheme = SCHEMES["mapped"]
    keys = scheme.ngram_keys(ids_BT)
    assert keys.shape == (*ids_BT.shape, len(scheme.orders), 2)
    fill = scheme.boundary.fill
    for b in range(ids_BT.shape[0]):
        for t in range(ids_BT.shape[1]):
            walk = [
                int(scheme.canonical.of(int(ids_BT[b, t - d]))) if t >= d else fill
                for d in range(scheme.max_order)
            ]
            for index, order in enumerate(scheme.orders):
                low, high = (int(word) for word in keys[b, t, index])
                bits = (scheme.canonical.num_canonical - 1).bit_length()
                packed = sum(value << bits * d for d, value in enumerate(walk[:order]))
                assert low | high << 64 == packed


@schemes
@pytest.mark.parametrize("cut", [1, 64, 4000])
def test_threads_change_nothing(scheme: Scheme, cut: int) -> None:
    """Above the threading threshold, pieces of any width give the reference's rows."""
    ids_BT = np.random.default_rng(cut).integers(0, VOCAB, (2, 18_000 + cut))
    layer = scheme.layers[0]
    np.testing.assert_array_equal(
        scheme.row_ids(ids_BT, layer), rows_by_reference(scheme, ids_BT, layer)
    )
