"""What must hold for every preset: its invariants."""

import itertools
import json

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from engramctl.errors import ConfigError
from engramctl.hashing import DEAD, START, Scheme, make_scheme
from engramctl.hashing.walk.heads import HeadRule
from engramctl.hashing.walk.mix import Mix
from tests.hashing.presets import EOS, SCHEMES, VOCAB, small, token_batches
from tests.hashing.walks import kernels

schemes = pytest.mark.parametrize("scheme", SCHEMES.values(), ids=SCHEMES.keys())
few = settings(max_examples=20, deadline=None)


@schemes
@given(data=st.data())
@few
def test_every_kernel_gives_the_reference_rows(scheme: Scheme, data: st.DataObject) -> None:
    ids_BT = data.draw(token_batches(scheme))
    for layer in scheme.layers:
        fast, reference, device = kernels(scheme, ids_BT, layer)
        np.testing.assert_array_equal(fast, reference)
        np.testing.assert_array_equal(device, reference)
        by_torch = scheme.row_ids(torch.from_numpy(ids_BT), layer)
        np.testing.assert_array_equal(by_torch.numpy(), reference)
        np.testing.assert_array_equal(scheme.row_ids(ids_BT.astype(np.int32), layer), reference)


@schemes
@given(data=st.data())
@few
def test_slots_are_what_python_integers_give(scheme: Scheme, data: st.DataObject) -> None:
    """One position at a time, from the formulas in hashing/walk/mix.py, in unbounded integers."""
    ids_BT = data.draw(token_batches(scheme))[:1]
    layer, t = scheme.layers[-1], ids_BT.shape[1] - 1
    derived, rows = scheme.layer_hash(layer), scheme.row_ids(ids_BT, layer)[0, t]
    walk = python_window(scheme, ids_BT[0].tolist())
    for row, head in zip(rows.tolist(), derived.heads, strict=True):
        seen = walk[: head.order]
        if head.base is None:
            mix = 0
            for value, multiplier in zip(seen, derived.multipliers, strict=False):
                mix ^= value * multiplier
            assert abs(mix) < 2**63
        else:
            ordered = seen if scheme.mix.kind == "poly" else seen[::-1]
            mix = sum(value * head.base**power for power, value in enumerate(ordered))
            if scheme.mix.width != "exact":
                mix = (mix + 2**63) % 2**64 - 2**63
        assert row == mix % head.modulus + head.offset


def python_window(scheme: Scheme, ids: list[int]) -> list[int]:
    """The window of the last position."""
    boundary = scheme.boundary

    def canonical(token: int) -> int:
        if token == DEAD and boundary.negative == "fill":
            return boundary.fill
        return token if token < 0 else scheme.canonical.of(token)

    current = canonical(ids[-1])
    blocked = current in boundary.block
    walk = [boundary.fill if current == DEAD and boundary.negative == "dead" else current]
    for distance in range(1, scheme.max_order):
        seen = canonical(ids[-1 - distance]) if distance < len(ids) else None
        blocked = blocked or seen is None or seen in boundary.stop
        walk.append(boundary.fill if blocked or seen is None else seen)
    return walk


@schemes
@given(data=st.data())
@few
def test_a_later_token_never_changes_an_earlier_row(scheme: Scheme, data: st.DataObject) -> None:
    ids_BT = data.draw(token_batches(scheme))
    t = data.draw(st.integers(0, ids_BT.shape[1] - 1))
    edited_BT = ids_BT.copy()
    edited_BT[:, t:] = (edited_BT[:, t:] + 1) % VOCAB
    layer = scheme.layers[0]
    before, after = (scheme.row_ids(x, layer)[:, :t] for x in (ids_BT, edited_BT))
    np.testing.assert_array_equal(before, after)


@schemes
@given(data=st.data())
@few
def test_chunks_with_history_give_the_rows_of_the_whole(
    scheme: Scheme, data: st.DataObject
) -> None:
    ids_BT = data.draw(token_batches(scheme))
    length = ids_BT.shape[1]
    cuts = sorted(data.draw(st.sets(st.integers(1, length), max_size=4)) | {0, length})
    for layer in scheme.layers:
        pieces = [
            scheme.row_ids(ids_BT[:, a:b], layer, history=ids_BT[:, :a])
            for a, b in itertools.pairwise(cuts)
        ]
        np.testing.assert_array_equal(np.concatenate(pieces, 1), scheme.row_ids(ids_BT, layer))


@schemes
@given(data=st.data(), pad=st.integers(0, 9))
@few
def test_left_padding_changes_nothing(scheme: Scheme, data: st.DataObject, pad: int) -> None:
    ids_BT = data.draw(token_batches(scheme))
    expected = scheme.row_ids(ids_BT, scheme.layers[-1])
    masked = [DEAD] if scheme.boundary.negative in ("dead", "fill") else []
    for mark in (START, *masked):
        padded = np.concatenate([np.full((len(ids_BT), pad), mark, np.int64), ids_BT], axis=1)
        found = scheme.row_ids(padded, scheme.layers[-1])[:, pad:]
        np.testing.assert_array_equal(found, expected)


@schemes
@given(data=st.data())
@few
def test_rows_stay_inside_their_heads(scheme: Scheme, data: st.DataObject) -> None:
    ids_BT = data.draw(token_batches(scheme))
    for derived in scheme.hashes:
        rows = scheme.row_ids(ids_BT, derived.layer)
        for h, head in enumerate(derived.heads):
            assert rows[..., h].min() >= head.offset
            assert rows[..., h].max() < head.offset + head.modulus


@schemes
def test_heads_own_the_table_between_them_and_differ(scheme: Scheme) -> None:
    for derived in scheme.hashes:
        edge = 0
        for head in sorted(derived.heads, key=lambda head: head.offset):
            assert head.offset == edge
            edge += head.modulus
        assert edge + derived.padding == derived.num_rows
        assert derived.num_rows % scheme.rule.pad_rows_to == 0
        hashes = [(head.order, head.modulus, head.base) for head in derived.heads]
        assert len(set(hashes)) == len(hashes)


@schemes
@pytest.mark.parametrize("cut", [1, 5000])
def test_threads_change_nothing(scheme: Scheme, cut: int) -> None:
    ids_BT = np.random.default_rng(cut).integers(0, VOCAB, (2, 15_000 + cut))
    ids_BT[0, ::11] = EOS
    fast, reference, _ = kernels(scheme, ids_BT, scheme.layers[0])
    np.testing.assert_array_equal(fast, reference)


@schemes
@given(data=st.data())
@few
def test_keys_are_the_window_itself(scheme: Scheme, data: st.DataObject) -> None:
    ids_BT = data.draw(token_batches(scheme).map(lambda ids: np.maximum(ids, 0)))[:1]
    walk = python_window(scheme, ids_BT[0].tolist())
    keys = scheme.ngram_keys(ids_BT)[0, -1]
    bits = (scheme.canonical.num_canonical - 1).bit_length()
    for (low, high), order in zip(keys.tolist(), scheme.orders, strict=True):
        packed = sum(value << bits * d for d, value in enumerate(walk[:order]))
        assert low | high << 64 == packed


@schemes
def test_every_scheme_survives_its_json(scheme: Scheme) -> None:
    document = json.loads(json.dumps(scheme.to_dict()))
    again = Scheme.from_dict(document)
    assert again.to_dict() == scheme.to_dict()
    ids = np.arange(0, VOCAB, 3)[None]
    for layer in scheme.layers:
        np.testing.assert_array_equal(again.row_ids(ids, layer), scheme.row_ids(ids, layer))


@schemes
def test_ids_that_the_scheme_cannot_take_are_named(scheme: Scheme) -> None:
    negative = {"pass": [], "refuse": [DEAD, -2]}.get(scheme.boundary.negative, [-2])
    for bad in (2**20, *negative):
        place = f"token id {bad} at sequence 1, position 2 is outside"
        with pytest.raises(ValueError, match=place):
            scheme.row_ids(np.array([[0, 1, 2], [3, 4, bad]]), scheme.layers[0])
        with pytest.raises(ValueError, match=place):
            scheme.row_ids(torch.tensor([[0, 1, 2], [3, 4, bad]]), scheme.layers[0])


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("mix.bases", [501], r"coefficients\[0\]\[1\] does not follow"),
        ("mix.stream", "splitmix64", "mix.kind does not follow"),
        ("mix.width", "wrap32", "has no width"),
        ("mix.kind", "xor_mul", "mix.kind does not follow"),
        ("heads.generator", "dice", "unknown head generator"),
        ("heads.step", 4, "moduli"),
        ("heads.generator", "primes", "cannot have step"),
        ("store.pad_rows_to", 64, "does not follow"),
        ("canonical.zeroed", [[0, 9999]], "outside the vocabulary"),
        ("canonical.zeroed", [[3, 400]], "does not follow"),
        ("fuse.normaliser", "median", "unknown normaliser"),
        ("boundary.stop", [VOCAB], "outside the canonical"),
        ("boundary.negative", "maybe", "unknown rule"),
        ("boundary.negative", "pass", "cannot hash negative ids"),
        ("heads.step", 2**40, "cannot have step"),
        ("layers.salt", None, "key 'salt' in scheme.layers.0. has no meaning"),
        ("canonical.sha256", "00", "key 'sha256' in scheme.canonical has no meaning"),
        ("store.pad_rows_to", 0, "rows padded to 0"),
    ],
)
def test_an_edited_scheme_is_refused(path: str, value: object, message: str) -> None:
    document = json.loads(json.dumps(small("longcat-next").to_dict()))
    section, key = path.split(".")
    (document["layers"][0] if section == "layers" else document[section])[key] = value
    with pytest.raises(ConfigError, match=message):
        Scheme.from_dict(document)


@pytest.mark.parametrize(
    "options",
    [
        {"name": "longcat", "vocab_size": VOCAB, "eos_id": VOCAB},
        {"name": "longcat", "pad_id": 2},
        {"name": "over-encoding", "eos_id": 2},
        {"name": "over-encoding", "orders": [3, 2]},
        {"name": "over-encoding", "orders": [1, 2]},
        {"name": "over-encoding", "orders": [2, 65]},
        {"name": "over-encoding", "orders": []},
        {"name": "over-encoding", "slots": 2**40, "vocab_size": 2**30},
        {"name": "over-encoding", "rule": HeadRule("arith", step=0)},
        {"name": "over-encoding", "rule": HeadRule("explicit"), "slots": [5, 5, 7, 9]},
        {"name": "over-encoding", "rule": HeadRule("explicit"), "slots": [5, 6]},
        {"name": "blt", "heads_per_order": 2},
        {"name": "qwen-ple", "orders": [2, 4]},
        {"name": "qwen-ple", "seed": -1},
        {"name": "longcat-next", "specials": [(5, 5)]},
        {"name": "longcat-next", "specials": [(5, 2**40)]},
        {"name": "longcat-next", "specials": [(5, 6)], "token_map": np.arange(9)},
        {"name": "deepseek-v41-flash", "token_map": np.arange(9)},
    ],
    ids=str,
)
def test_impossible_recipes_are_refused(options: dict[str, object]) -> None:
    with pytest.raises(ConfigError):
        make_scheme(**options)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "options",
    [
        {"kind": "crc"},
        {"kind": "poly", "width": "int64", "bases": (3,)},
        {"kind": "poly", "width": "exact"},
        {"bases": (3,)},
        {"kind": "rollpoly", "bases": (0,)},
        {"stream": "mt19937"},
    ],
    ids=str,
)
def test_impossible_mixes_are_refused(options: dict[str, object]) -> None:
    with pytest.raises(ConfigError):
        Mix(**options)  # type: ignore[arg-type]
