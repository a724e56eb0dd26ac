"""Each known mistake about dictionaries changes rows, and a comparison gives it its name."""

from typing import Any

import numpy as np
import pytest

from engramctl.hashing import DictionaryScheme
from engramctl.rows.diff import compare
from engramctl.rows.sequences import TokenSequence
from engramctl.rows.wrong_dictionaries import DICTIONARY_VARIANTS

VOCAB = 30
RANDOM = np.random.default_rng(5)
LISTED = sorted({tuple(RANDOM.integers(0, 8, n).tolist()) for n in (2, 3, 4) for _ in range(90)})
SCHEME = DictionaryScheme.of(LISTED, token_map=np.arange(VOCAB) // 3, layers=(0, 3))
EMPTY = np.empty(0, np.int64)
TEXT = 3 * np.concatenate([np.array(LISTED[k]) for k in RANDOM.permutation(len(LISTED))])
GIVEN = [TokenSequence(part[5:], part[:5]) for part in np.array_split(TEXT, 4)]


def ids_of(variant: Any) -> list[dict[int, Any]]:
    rows = {layer: variant.make(SCHEME, layer) for layer in SCHEME.layers}
    return [
        {n: rows[n](one.token_ids, EMPTY if one.history is None else one.history) for n in rows}
        for one in GIVEN
    ]


@pytest.mark.parametrize("variant", DICTIONARY_VARIANTS, ids=lambda one: one.name)
def test_a_comparison_names_the_mistake(variant: Any) -> None:
    found = compare(SCHEME, SCHEME.layers, GIVEN, iter(ids_of(variant)), "theirs")
    assert found.differing_ids > 0
    assert [one.name for one in found.likely] == [variant.name]


def test_the_first_difference_has_the_length_of_the_expected_ngram() -> None:
    theirs = [{n: one.row_ids(SCHEME, n).astype(np.int64) for n in SCHEME.layers} for one in GIVEN]
    equal = compare(SCHEME, SCHEME.layers, GIVEN, iter(theirs), "theirs")
    assert (equal.first, equal.likely) == (None, [])
    for order in (0, 2, 3, 4):
        lengths = [len(SCHEME.ngrams[row]) if row >= 0 else 0 for row in theirs[1][3][:, 0]]
        position = lengths.index(order)
        theirs[1][3][position, 0] += 1
        first = compare(SCHEME, SCHEME.layers, GIVEN, iter(theirs), "theirs").first
        assert first is not None
        assert (first.sequence, first.position, first.layer) == (1, position, 3)
        assert (first.order, first.found) == (order, first.expected + 1)
        theirs[1][3][position, 0] -= 1


def test_mistakes_that_this_dictionary_cannot_have_are_not_named() -> None:
    plain = DictionaryScheme.of([(1, 2), (3, 4)], vocab_size=VOCAB)
    made = {one.name: one.make(plain, 0) for one in DICTIONARY_VARIANTS}
    absent = {name for name, rows in made.items() if rows is None}
    assert absent == {"shortest match", "token map not applied"}
