"""scheme.json of a dictionary: read back as written, refused when edited."""

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings

from engramctl.errors import ConfigError
from engramctl.hashing import DictionaryScheme, Scheme, lookup_from_dict
from tests.hashing.dictionaries import SMALL, dictionaries


@given(scheme=dictionaries())
@settings(max_examples=40, deadline=None)
def test_a_dictionary_survives_its_json(scheme: DictionaryScheme) -> None:
    again = lookup_from_dict(json.loads(json.dumps(scheme.to_dict())))
    assert again.to_dict() == scheme.to_dict()
    ids = np.arange(scheme.vocab_size)[None]
    np.testing.assert_array_equal(again.row_ids(ids, 0), scheme.row_ids(ids, 0))


def edited(path: str, value: Any) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(json.dumps(SMALL.to_dict()))
    *parents, last = path.split(".")
    target: Any = document
    for key in parents:
        target = target[int(key) if isinstance(target, list) else key]
    target[int(last) if isinstance(target, list) else last] = value
    return document


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("layers.0.num_rows", 5, r"scheme.layers\[0\].num_rows does not follow"),
        ("ngrams.sha256", "00", "scheme.ngrams.sha256 does not follow"),
        ("ngrams.num_ngrams", 5, "num_ngrams and per_order differ"),
        ("ngrams.per_order", [1, 1, 2], "another size than it says"),
        ("ngrams.per_order", [2, 2], "num_ngrams and per_order differ"),
        ("ngrams.num_ngrams", 2**40, "num_ngrams and per_order differ"),
        ("ngrams.list_zlib_base64", "AAAA", "cannot be unpacked"),
        ("ngrams.list_zlib_base64", 7, "wrong type"),
        ("ngrams.extra", 7, "unknown key 'extra' in ngrams"),
        ("mix", {}, "unknown key 'mix'"),
        ("name", "dict", "scheme.name does not follow"),
        ("schema", "engramctl.scheme/2", "not a scheme"),
        ("orders", [2, 3, 4], "another size than it says"),
        ("orders", [3, 2, 5], "another size|not ascending"),
        ("canonical.num_canonical", 7, "scheme.canonical.num_canonical does not follow"),
        ("canonical.num_ids", 3, r"has an id outside 0\.\.2"),
        ("store.row_dim", 0, "out of range"),
    ],
)
def test_an_edited_dictionary_is_refused_by_name(path: str, value: Any, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        lookup_from_dict(edited(path, value))


@pytest.mark.parametrize("key", ["orders", "layers", "canonical", "ngrams", "store"])
def test_a_dictionary_with_a_missing_key_is_refused(key: str) -> None:
    document = SMALL.to_dict()
    del document[key]
    with pytest.raises(ConfigError, match=key if key != "ngrams" else "lacks the key"):
        lookup_from_dict(document)


def test_what_needs_heads_says_that_a_dictionary_has_none() -> None:
    with pytest.raises(ConfigError, match="the scheme is a dictionary"):
        Scheme.from_dict(SMALL.to_dict())
