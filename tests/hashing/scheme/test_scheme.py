"""scheme.json, and input that a scheme must refuse."""

import copy
import json
from typing import Any

import numpy as np
import pytest

from engramctl.errors import ConfigError
from engramctl.hashing import Scheme, make_scheme
from engramctl.hashing.walk.primes import is_prime, primes_above

MAPPED = make_scheme(
    "deepseek-v41", token_map=np.array([0, 1, 2, 1, 3, 0]), slots=50, heads_per_order=2
)


def edited(path: str, value: Any) -> dict[str, Any]:
    document = json.loads(json.dumps(MAPPED.to_dict()))
    *parents, last = path.split(".")
    target: Any = document
    for key in parents:
        target = target[int(key) if isinstance(target, list) else key]
    target[int(last) if isinstance(target, list) else last] = value
    return copy.deepcopy(document)


def test_a_scheme_survives_its_json() -> None:
    again = Scheme.from_dict(json.loads(json.dumps(MAPPED.to_dict())))
    assert again.to_dict() == MAPPED.to_dict()
    ids = np.array([[0, 5, 3, 4, 2, -1, 1]])
    for layer in MAPPED.layers:
        np.testing.assert_array_equal(again.row_ids(ids, layer), MAPPED.row_ids(ids, layer))


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("layers.0.multipliers.1", 3, r"layers\[0\].multipliers\[1\] does not follow"),
        ("layers.1.moduli.0", 51, r"layers\[1\].moduli\[0\] does not follow"),
        ("layers.1.offsets.2", 5, r"layers\[1\].offsets\[2\] does not follow"),
        ("layers.0.num_rows", 7, r"layers\[0\].num_rows does not follow"),
        ("mix.kind", "poly", "mix.kind does not follow"),
        ("mix.seed", 1, "does not follow"),
        ("schema", "engramctl.scheme/2", "not a scheme"),
        ("extra", 1, "unknown key 'extra'"),
        ("mix.extra", 1, "unknown key 'extra' in mix"),
        ("canonical.sha256", "00", "does not match its sha256"),
        ("canonical.num_ids", 7, "another size"),
        ("canonical.num_ids", 5, "another size"),
        ("canonical.ids_zlib_base64", "AAAA", "cannot be unpacked"),
        ("boundary.fill", 99, "outside the canonical vocabulary"),
        ("orders", [2, 4], "are not 2, 3"),
        ("heads.heads_per_order", 0, "need at least 1"),
        ("heads.slots", "many", "wrong type"),
    ],
)
def test_an_edited_scheme_is_refused_by_name(path: str, value: Any, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        Scheme.from_dict(edited(path, value))


@pytest.mark.parametrize("key", ["orders", "layers", "canonical", "mix"])
def test_a_scheme_with_a_missing_key_is_refused(key: str) -> None:
    document = MAPPED.to_dict()
    del document[key]
    with pytest.raises(ConfigError, match=key):
        Scheme.from_dict(document)


@pytest.mark.parametrize("bad", [6, 1000, -2, -(2**30)])
def test_ids_outside_the_vocabulary_are_named_with_their_place(bad: int) -> None:
    with pytest.raises(ValueError, match=f"token id {bad} at sequence 1, position 2 is outside"):
        MAPPED.row_ids(np.array([[0, 1, 2], [3, 4, bad]]), MAPPED.layers[0])


def test_bad_history_is_named_with_a_negative_position() -> None:
    with pytest.raises(ValueError, match="token id 77 at sequence 0, position -1"):
        MAPPED.row_ids(np.array([[0]]), MAPPED.layers[0], history=[[1, 77]])


@pytest.mark.parametrize("ids", [np.zeros((1, 2)), np.zeros((), np.int64), [["a"]]])
def test_ids_that_are_not_integers_are_refused(ids: Any) -> None:
    with pytest.raises(ValueError, match="must be integers"):
        MAPPED.row_ids(ids, MAPPED.layers[0])


def test_history_of_another_batch_is_refused() -> None:
    with pytest.raises(ValueError, match="2 sequences"):
        MAPPED.row_ids(np.zeros((1, 2), np.int64), MAPPED.layers[0], history=[[1], [2]])


def test_an_output_of_another_shape_is_refused() -> None:
    with pytest.raises(ValueError, match="out must be"):
        MAPPED.row_ids(np.zeros((1, 2), np.int64), 1, out=np.empty((1, 2, 5), np.int32))


@pytest.mark.parametrize(
    "options",
    [
        {"name": "engramm"},
        {"name": "engram", "orders": [2, 4]},
        {"name": "engram", "orders": []},
        {"name": "engram", "slots": [10, 20, 30]},
        {"name": "engram", "slots": 1},
        {"name": "engram", "heads_per_order": 0},
        {"name": "engram", "layers": [1, 1]},
        {"name": "engram", "layers": []},
        {"name": "engram", "layers": [-1]},
        {"name": "engram", "seed": -1},
        {"name": "engram", "vocab_size": 0},
        {"name": "engram", "vocab_size": 2**32},
        {"name": "engram", "pad_id": 129280},
        {"name": "engram", "row_dim": 0},
        {"name": "engram", "heads_per_order": 1_000_000},
        {"name": "engram", "slots": 2**62},
        {"name": "engram", "orders": range(2, 5000)},
        {"name": "engram", "token_map": np.array([[0, 1]])},
        {"name": "engram", "token_map": np.array([0, -1, 2])},
        {"name": "engram", "token_map": np.arange(5), "vocab_size": 6},
    ],
    ids=str,
)
def test_impossible_recipes_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(ConfigError):
        make_scheme(**options)


def test_primes_are_prime_and_the_search_can_run_out() -> None:
    sieve = [n for n in range(2, 2000) if all(n % d for d in range(2, int(n**0.5) + 1))]
    assert [n for n in range(2000) if is_prime(n)] == sieve
    assert is_prime(2**61 - 1)
    assert not is_prime(3215031751)  # a strong pseudoprime to the bases 2, 3, 5 and 7
    with pytest.raises(ConfigError, match="no prime"):
        list(primes_above(2**62 - 3, set()))


def test_tables_beyond_int32_get_int64_rows() -> None:
    large = make_scheme("engram", vocab_size=10, slots=2**31)
    assert large.row_ids([[1, 2]], 1).dtype == np.int64
    assert MAPPED.row_ids([[1, 2]], 1).dtype == np.int32
