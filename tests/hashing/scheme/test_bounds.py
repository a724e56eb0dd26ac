"""A scheme's document is bounded: neither its memory nor its work follows from a number in it."""

import base64
import json
import zlib
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engramctl.errors import ConfigError
from engramctl.hashing import lookup_from_dict, make_scheme
from engramctl.hashing.dictionary import ngrams
from engramctl.hashing.dictionary.dictionary_scheme import DictionaryScheme
from engramctl.hashing.dictionary.ngrams import NgramList
from engramctl.hashing.released.configs import scheme_from_config
from engramctl.hashing.scheme.check import MAX_BOUNDARY_IDS, MAX_HEADS, MAX_ROW_DIM
from engramctl.hashing.walk import primes
from engramctl.hashing.walk.primes import is_prime, primes_above
from engramctl.hashing.walk.token_map import MAX_IDS, Canonical
from tests.hashing.configs import DEEPSEEK, LITE, QWEN


def document(**changed: Any) -> dict[str, Any]:
    scheme = make_scheme("engram", token_map=np.arange(500) // 3, slots=97, pad_id=2)
    made: dict[str, Any] = json.loads(json.dumps(scheme.to_dict()))
    return {**made, **changed}


def test_many_layers_that_search_one_range_test_its_numbers_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    tested = 0

    def counted(n: int) -> bool:
        nonlocal tested
        tested += 1
        return is_prime(n)

    monkeypatch.setattr(primes, "is_prime", counted)
    primes.primes_of.cache_clear()
    taken: set[int] = set()
    found = [next(primes_above(2**40, taken)) for _ in range(300)]
    assert found == sorted(set(found))
    assert all(map(is_prime, found))
    assert tested < 4 * 300  # what the sieve leaves of the range, and the rest of its last block
    primes.primes_of.cache_clear()


@given(
    ranges=st.lists(st.tuples(st.integers(0, 29), st.integers(1, 30)), max_size=12).map(
        lambda pairs: [(first, stop) for first, stop in pairs if first < stop]
    )
)
def test_ranges_read_as_zero_however_they_overlap(ranges: list[tuple[int, int]]) -> None:
    made = Canonical.specials_to_zero(30, ranges)
    wanted = [0 if any(a <= n < b for a, b in ranges) else n for n in range(30)]
    assert [made.of(n) for n in range(30)] == wanted


def test_half_a_million_ranges_of_a_large_vocabulary_are_read() -> None:
    ranges = [(0, MAX_IDS)] * 500_000
    assert Canonical.specials_to_zero(MAX_IDS, ranges).num_canonical == 1


@pytest.mark.parametrize("num_ids", [0, -1, MAX_IDS + 1, 1 << 29, 10**30])
def test_a_token_map_of_absurd_size_is_refused_before_it_is_unpacked(
    monkeypatch: pytest.MonkeyPatch, num_ids: int
) -> None:
    def unpack(*_: object) -> bytes:
        raise AssertionError("it was unpacked")

    monkeypatch.setattr("engramctl.hashing.walk.token_map.unpack", unpack)
    changed = document()
    changed["canonical"]["num_ids"] = num_ids
    with pytest.raises(ConfigError, match="token map of"):
        lookup_from_dict(changed)


def test_a_token_map_is_unpacked_to_the_ids_it_says_and_no_further() -> None:
    changed = document()
    packed = zlib.compress(bytes(64 << 20))
    changed["canonical"]["ids_zlib_base64"] = base64.b64encode(packed).decode()
    with pytest.raises(ConfigError, match="another size") as caught:
        lookup_from_dict(changed)
    assert caught.value.facts["found"] == "2,001 bytes or more"


@pytest.mark.parametrize("level", [0, 1, 6])
def test_a_token_map_may_be_packed_by_another_zlib(level: int) -> None:
    changed = document()
    ids = zlib.decompress(base64.b64decode(changed["canonical"]["ids_zlib_base64"]))
    changed["canonical"]["ids_zlib_base64"] = base64.b64encode(zlib.compress(ids, level)).decode()
    assert lookup_from_dict(changed).to_dict() == document()


@pytest.mark.parametrize(
    ("name", "value"), [("sha256", "0" * 64), ("num_canonical", 500), ("num_canonical", 1)]
)
def test_a_token_map_that_is_not_its_digests_is_refused(name: str, value: object) -> None:
    changed = document()
    changed["canonical"][name] = value
    with pytest.raises(ConfigError, match=f"does not match its {name}"):
        lookup_from_dict(changed)


def test_an_identity_has_no_packed_ids() -> None:
    made = make_scheme("engram", vocab_size=64, slots=97, pad_id=2).to_dict()
    made["canonical"]["ids_zlib_base64"] = "AAAA"
    with pytest.raises(ConfigError, match="has no meaning"):
        lookup_from_dict(made)


@pytest.mark.parametrize("num_ids", [0, 2**62 + 1, 10**35])
def test_a_vocabulary_of_absurd_size_is_refused(num_ids: int) -> None:
    with pytest.raises(ConfigError, match="cannot have"):
        Canonical.identity(num_ids)


@pytest.mark.parametrize(
    ("section", "name", "value"),
    [
        ("boundary", "stop", list(range(MAX_BOUNDARY_IDS + 1))),
        ("boundary", "block", [0] * (MAX_BOUNDARY_IDS + 1)),
        ("boundary", "stop", [1.5]),
        ("boundary", "fill", float("inf")),
        ("heads", "heads_per_order", 10**38),
        ("heads", "heads_per_order", 1e308),
        ("heads", "slots", [2**41, 2**41]),
        ("heads", "slots", [float("inf"), 97]),
        ("store", "row_dim", MAX_ROW_DIM + 1),
        ("store", "row_dim", 10**38),
        ("mix", "seed", float("inf")),
        ("mix", "seed", 10**38),
    ],
)
def test_absurd_numbers_of_a_recipe_are_refused(section: str, name: str, value: object) -> None:
    changed = document()
    changed[section][name] = value
    with pytest.raises(ConfigError):
        lookup_from_dict(changed)


def test_too_many_layers_are_refused() -> None:
    with pytest.raises(ConfigError, match="too many"):
        make_scheme("engram", vocab_size=64, slots=97, layers=range(MAX_HEADS + 1))
    with pytest.raises(ConfigError, match="too many"):
        DictionaryScheme.of([(1, 2)], vocab_size=9, layers=range(MAX_HEADS + 1))


@pytest.mark.parametrize("number", [65, 2**31, 2**62])
@pytest.mark.parametrize(
    ("config", "name"),
    [
        (DEEPSEEK["text_config"], "engram_max_ngram_size"),
        (QWEN.get("text_config", QWEN), "ngram_size"),
        (LITE, "emb_neighbor_num"),
    ],
)
def test_a_config_cannot_ask_for_endless_orders(
    config: dict[str, Any], name: str, number: int
) -> None:
    assert name in config
    with pytest.raises(ConfigError, match=f"{name} must be an integer from 2 to 64"):
        scheme_from_config({**config, name: number})


@pytest.mark.parametrize(
    ("config", "name"),
    [
        (DEEPSEEK["text_config"], "engram_n_heads"),
        (QWEN.get("text_config", QWEN), "heads_per_ngram"),
        (LITE, "emb_split_num"),
    ],
)
def test_a_config_cannot_ask_for_endless_heads(config: dict[str, Any], name: str) -> None:
    assert name in config
    with pytest.raises(ConfigError, match=f"{name} must be an integer from 1 to 4,096"):
        scheme_from_config({**config, name: 2**40})


def test_an_ngram_list_shorter_than_distinct_ngrams_is_refused_before_it_is_unpacked(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def unpack(*_: object) -> bytes:
        raise AssertionError("it was unpacked")

    monkeypatch.setattr(ngrams, "unpack", unpack)
    num, text = 100_000, "A" * 100_000
    with pytest.raises(ConfigError, match="fewer characters than distinct n-grams"):
        NgramList.unpacked(text, (9,), {"num_ngrams": num, "per_order": [num]})


def test_ngrams_that_pack_too_well_are_packed_less() -> None:
    shared = [0] * 62
    made = NgramList.of([(*shared, n // 256, n % 256) for n in range(3000)])
    scheme = DictionaryScheme(made, (64,), Canonical.identity(256))
    assert zlib.compress(made.to_bytes(), 5).__len__() * 4 // 3 * 8 < len(made.ids)
    again = lookup_from_dict(json.loads(json.dumps(scheme.to_dict())))
    assert isinstance(again, DictionaryScheme)
    assert np.array_equal(again.ngrams.ids, made.ids)
