"""Each known mistake changes ids where it should, and a comparison gives it its name."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engramctl.errors import CorpusError
from engramctl.hashing import DEAD, PRESETS, Scheme, make_scheme
from engramctl.rows.diff import Comparison, compare
from engramctl.rows.sequences import TokenSequence
from engramctl.rows.variant_walk import Recipe
from engramctl.rows.wrong_variants import VARIANTS
from tests.conftest import golden

V41 = make_scheme(
    "deepseek-v41", token_map=np.arange(300) // 2, slots=5000, heads_per_order=2, pad_id=7
)
V41_SEED = make_scheme("deepseek-v41", vocab_size=300, slots=5000, heads_per_order=2, seed=7)
QWEN = make_scheme("qwen-ple", vocab_size=300, slots=5000, eos_id=9, layers=(1, 5))
LONGCAT = make_scheme("longcat", vocab_size=300, slots=5001, eos_id=2)
OVER = make_scheme("over-encoding", vocab_size=151936, slots=1_000_003, orders=(2, 3, 4))

WHERE = {
    "boundary ignored": (V41, QWEN, LONGCAT),
    "boundary not sticky": (V41, QWEN, LONGCAT),
    "stop token opens the next document": (QWEN, LONGCAT),
    "stop token reads slot 0": (QWEN, LONGCAT),
    "seed 0": (V41_SEED, QWEN),
    "seed 1": (V41, QWEN),
    "seed 42": (V41, QWEN),
    "seed 1234": (V41, V41_SEED),
    "reversed multipliers": (V41, QWEN),
    "reversed multipliers of each order": (V41, QWEN),
    "token map not applied": (V41,),
    "no token map at all": (V41,),
    "one token behind": (V41, QWEN, LONGCAT, OVER),
    "BOS 0 in front": (V41_SEED,),
    "BOS 1 in front": (V41_SEED, QWEN, LONGCAT, OVER),
    "BOS 2 in front": (V41, QWEN, OVER),
    "BOS 128000 in front": (OVER,),
    "BOS 151643 in front": (OVER,),
    "fill 0": (V41, QWEN),
    "layers swapped": (V41, QWEN),
    "dense layer index": (V41, V41_SEED),
    "layers counted from 1": (V41, QWEN),
    "layer id for dense index": (QWEN,),
    "offsets missing": (V41, QWEN, LONGCAT, OVER),
    "heads order-minor": (V41, QWEN, LONGCAT, OVER),
    "int32 wrap-around": (V41, QWEN, OVER),
    "uint32 wrap-around": (V41, QWEN, OVER),
    "int64 wrap-around": (OVER,),
    "history ignored": (V41, QWEN, LONGCAT, OVER),
}
CASES = [(name, scheme) for name, schemes in WHERE.items() for scheme in schemes]
EMPTY = np.empty(0, np.int64)


def sequences(scheme: Scheme) -> list[TokenSequence]:
    """Text in which every mistake shows: stops, masks, repeats and chunks with history."""
    random = np.random.default_rng(5)
    found = []
    for _ in range(4):
        ids = random.integers(10, scheme.vocab_size, 60)
        for stop in scheme.boundary.stop:
            ids[random.integers(2, 60, 5)] = stop
            ids[30:32] = stop
        if scheme.boundary.negative == "fill":
            ids[40] = DEAD
        found.append(TokenSequence(ids[20:], ids[:20]))
        found.append(TokenSequence(ids))
    return found


def ids_of(rows: Any, given: list[TokenSequence], layers: tuple[int, ...]) -> list[dict[int, Any]]:
    return [
        {n: rows[n](one.token_ids, EMPTY if one.history is None else one.history) for n in layers}
        for one in given
    ]


def compared(scheme: Scheme, name: str, layers: tuple[int, ...]) -> Comparison:
    [variant] = [one for one in VARIANTS if one.name == name]
    given = sequences(scheme)
    rows = {layer: variant.make(scheme, layer) for layer in layers}
    assert None not in rows.values()
    return compare(scheme, layers, given, iter(ids_of(rows, given, layers)), "theirs")


def test_every_variant_is_tested() -> None:
    assert list(WHERE) == [variant.name for variant in VARIANTS]


@pytest.mark.parametrize(("name", "scheme"), CASES, ids=[f"{n}, {s.name}" for n, s in CASES])
def test_a_comparison_names_the_mistake(name: str, scheme: Scheme) -> None:
    found = compared(scheme, name, scheme.layers)
    assert found.differing_ids > 0
    assert found.first is not None
    names = [variant.name for variant in found.likely]
    # Where the fill is the stop itself, these two mistakes are one: both are named.
    twins = ["boundary ignored", "boundary not sticky"]
    assert names == (twins if scheme is QWEN and name in twins else [name])


def test_equal_ids_and_unknown_mistakes_have_no_name() -> None:
    given = sequences(LONGCAT)
    rows = {0: Recipe.of(LONGCAT, 0).rows}
    equal = compare(LONGCAT, (0,), given, iter(ids_of(rows, given, (0,))), "theirs")
    assert (equal.first, equal.differing_ids, equal.likely) == (None, 0, [])
    theirs = ids_of(rows, given, (0,))
    theirs[3][0][7, 5] += 1
    found = compare(LONGCAT, (0,), given, iter(theirs), "theirs")
    assert (found.differing_ids, found.likely) == (1, [])
    assert found.compared_ids == sum(one[0].size for one in theirs)
    first = found.first
    assert first is not None
    assert (first.sequence, first.position, first.layer, first.order, first.head) == (3, 7, 0, 3, 5)
    assert first.found == first.expected + 1


def test_a_mistake_beside_another_is_the_closest_with_its_share() -> None:
    given = sequences(LONGCAT)
    [variant] = [one for one in VARIANTS if one.name == "boundary ignored"]
    rows = variant.make(LONGCAT, 0)
    assert rows is not None
    theirs = ids_of({0: rows}, given, (0,))
    whole = compare(LONGCAT, (0,), given, iter(theirs), "theirs")
    assert (whole.closest, whole.closest_percent) == (None, None)
    theirs[1][0][0, :5] += 1  # where the boundary changes nothing
    found = compare(LONGCAT, (0,), given, iter(theirs), "theirs")
    assert found.likely == []
    assert found.differing_ids == whole.differing_ids + 5
    assert found.closest == variant
    assert found.closest_percent == pytest.approx(100 * whole.differing_ids / found.differing_ids)
    assert found.document()["closest"]["name"] == "boundary ignored"


@pytest.mark.parametrize("name", PRESETS)
@given(data=st.data())
@settings(max_examples=10, deadline=None)
def test_an_unchanged_recipe_gives_the_schemes_rows(name: str, data: st.DataObject) -> None:
    scheme = make_scheme(name)
    marks = [stop for stop in scheme.boundary.stop if stop >= 0] or [0]
    marks += [DEAD] if scheme.boundary.negative != "refuse" else []
    token = st.one_of(st.integers(0, scheme.vocab_size - 1), st.sampled_from(marks))
    tokens = np.array(data.draw(st.lists(token, min_size=1, max_size=8)))
    past = np.array(data.draw(st.lists(token, max_size=9)), np.int64)
    for layer in scheme.layers:
        np.testing.assert_array_equal(
            Recipe.of(scheme, layer).rows(tokens, past),
            scheme.row_ids(tokens, layer, history=past if len(past) else None),
        )


@pytest.mark.golden
@pytest.mark.parametrize(
    ("file", "key", "mistake"),
    [
        ("scheme_longcat", "local_ids_if_eos_reset_omitted", "boundary ignored"),
        ("scheme_over_encoding", "local_ids_int64_wrap", "int64 wrap-around"),
    ],
)
def test_mistakes_seen_in_the_wild_are_the_golden_ones(file: str, key: str, mistake: str) -> None:
    [variant] = [one for one in VARIANTS if one.name == mistake]
    checked = 0
    for case in golden(file)["cases"]:
        params = case["params"]
        if not any(key in one for one in case["sequences"]):
            continue
        longcat = file == "scheme_longcat"
        scheme = make_scheme(
            "longcat" if longcat else "over-encoding",
            vocab_size=params["V"],
            slots=case["moduli"][0],
            orders=tuple(range(2, params["n"] + 1)),
            heads_per_order=params["k"],
            **({"eos_id": params["eos"]} if longcat else {}),
        )
        offsets = [head.offset for head in scheme.layer_hash(0).heads]
        rows = variant.make(scheme, 0)
        assert rows is not None
        for one in case["sequences"]:
            if key in one:
                past = np.array(one["context"] or [], np.int64)
                found = rows(np.array(one["tokens"]), past) - offsets
                assert found.tolist() == one[key]
                checked += 1
    assert checked > 3


def test_ids_of_another_shape_are_an_error_that_says_so() -> None:
    given = sequences(V41)[:2]
    right = [{n: one.row_ids(V41, n).astype(np.int64) for n in V41.layers} for one in given]

    def check(theirs: list[dict[int, Any]], message: str) -> None:
        with pytest.raises(CorpusError, match=message):
            compare(V41, V41.layers, given, iter(theirs), "theirs")

    check(right[:1], "number of sequences")
    check([*right, right[0]], "number of sequences")
    check([{1: right[0][1]}, right[1]], "no layer 14")
    check([{**right[0], 1: right[0][1][:-1]}, right[1]], "positions, heads")
    check([{**right[0], 1: right[0][1][:, 1:]}, right[1]], "positions, heads")
    assert compare(V41, V41.layers, given, iter(right), "theirs").first is None
