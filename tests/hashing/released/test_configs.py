"""config.json to scheme: every family, and configs that must be refused."""

import copy
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from engramctl.errors import ConfigError
from engramctl.hashing import make_scheme, scheme_from_config
from engramctl.hashing.released.configs import longcat_moduli
from tests.conftest import golden
from tests.hashing.configs import DEEPSEEK, LITE, LONGCAT2, MOJO, NEXT, QWEN, SCOPE


def changed(config: dict[str, Any], **values: Any) -> dict[str, Any]:
    """Replace keys where they are (in text_config or outside); None takes a key away."""
    made = copy.deepcopy(config)
    inner = made.get("text_config", made)
    for key, value in values.items():
        if value is None:
            del inner[key]
        else:
            inner[key] = value
    return made


@pytest.mark.parametrize(
    ("config", "released"),
    [
        (DEEPSEEK, "deepseek-v41-flash"),
        (QWEN, "qwen3.8-flash-next"),
        (LITE, "longcat-flash-lite"),
        (LONGCAT2, "longcat-2.0"),
        (NEXT, "longcat-next"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_released_config_is_its_preset(config: dict[str, Any], released: str) -> None:
    found, expected = scheme_from_config(config), make_scheme(released)
    assert {**found.to_dict(), "name": released} == expected.to_dict()


def test_the_scope_of_special_tokens_is_read() -> None:
    scheme = scheme_from_config(SCOPE)
    assert scheme.normaliser == "sqrt"
    assert scheme.canonical.zeroed == ((0, 4), (36, 55))
    assert [head.modulus for head in scheme.layer_hash(0).heads] == longcat_moduli(28.8, 163840, 12)
    assert scheme.boundary.stop == scheme.boundary.block == (0,)


@pytest.mark.golden
def test_listed_sizes_and_orders_are_the_vectors_ones() -> None:
    params = golden("scheme_over_encoding")["fuse_concat"]["params"]
    keys = {"ori_vocab_size": params["V"], "oe_embed_dim": params["oe_dim"]}
    listed = {key: params[key] for key in ("oe_vocab_sizes", "oe_grams")}
    scheme = scheme_from_config({**MOJO, **keys, **listed})
    offsets = [head.offset for head in scheme.layer_hash(0).heads]
    assert offsets == golden("scheme_over_encoding")["fuse_concat"]["offsets"]
    assert scheme.fuse == "over-encoding-concat"


def test_qwen_layers_count_from_one_and_come_in_order() -> None:
    scheme = scheme_from_config(changed(QWEN, ple_layer_ids=[5, 2, 5]))
    assert scheme.layers == (1, 4)


def test_a_list_of_end_tokens_means_its_first() -> None:
    scheme = scheme_from_config(changed(QWEN, eos_token_id=[248046, 248044]))
    assert scheme.boundary.stop == (248046,)


def test_the_absent_seed_is_the_class_default() -> None:
    with_zero = scheme_from_config(changed(QWEN, seed=0))
    assert with_zero.seed == 0
    assert scheme_from_config(QWEN).seed != 0


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({}, "names no n-gram memory"),
        ({**LITE, **MOJO}, "names two schemes"),
        (changed(DEEPSEEK, engram_n_heads=None), "lacks the key engram_n_heads"),
        (changed(DEEPSEEK, engram_n_heads="8"), "must be an integer"),
        (changed(DEEPSEEK, engram_n_heads=True), "must be an integer"),
        (changed(DEEPSEEK, engram_num_embeddings=[1, 2]), "does not follow from the others"),
        (changed(DEEPSEEK, engram_mix="sum"), "unknown key 'engram_mix'"),
        (changed(DEEPSEEK, engram_pad_token_id=99092), "outside the vocabulary"),
        (changed(QWEN, heads_per_ngram=None), "lacks the key heads_per_ngram"),
        (changed(QWEN, ple_layer_ids=[0]), "from 1"),
        (changed(QWEN, ple_embed_dim=2561), "cannot be shared"),
        (changed(QWEN, ple_embedding_dtype="int2"), "unknown ple_embedding_dtype"),
        (changed(QWEN, ngram_salt=3), "unknown key 'ngram_salt'"),
        (changed(QWEN, ple_layer_ids=[]), "at least one integer"),
        (changed(LITE, eos_token_id=None), "lacks the key eos_token_id"),
        (changed(LITE, oe_vocab_size_ratio=77), "contradicts itself"),
        (changed(LITE, ngram_vocab_size_ratio=-1), "positive number"),
        (changed(LITE, ngram_mod_force_prime=True), "unknown key 'ngram_mod_force_prime'"),
        (changed(LITE, special_token_scope="0:4"), "without ngram_exclude_sp_token"),
        (changed(SCOPE, special_token_scope="0-4"), "is not 'first:stop"),
        (changed(SCOPE, special_token_scope="4:2"), "outside the vocabulary"),
        (changed(SCOPE, oe_ignored_token_ids=[1]), "contradict each other"),
        (changed(SCOPE, ngram_exclude_sp_token=1), "true or false"),
        (changed(NEXT, text_vocab_size=None), "lacks the key text_vocab_size"),
        (changed(MOJO, oe_grams=[2, 3, 3, 3]), "equally often"),
        (changed(MOJO, oe_vocab_sizes=[31]), "contradict 4 oe_grams"),
        (changed(MOJO, oe_vocab_sizes=[31, 31, 37, 41]), "one and the same hash"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_config_that_fits_no_scheme_is_refused(config: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        scheme_from_config(config)


def test_a_token_map_of_another_size_is_refused() -> None:
    with pytest.raises(ConfigError, match="engram_compressed_vocab_size does not follow"):
        scheme_from_config(DEEPSEEK, token_map=np.arange(500))
    with pytest.raises(ConfigError, match="has no token map"):
        scheme_from_config(LITE, token_map=np.arange(500))


def qwen_buffers() -> dict[str, Any]:
    case = golden("scheme_qwen4exp_ple")["cases"][-1]
    root = "model.language_model.layers.1.ple.ple_embedding"
    return {
        f"{root}.layer_multipliers": np.array(case["multipliers"]),
        f"{root}.ngram_heads_vocab_sizes": np.array(case["head_sizes"]),
        f"{root}.ngram_heads_offsets": np.array(case["head_offsets"]),
    }


@pytest.mark.golden
def test_released_buffers_agree_with_the_released_config() -> None:
    scheme_from_config(QWEN, qwen_buffers())


@pytest.mark.golden
@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (lambda b: b["layer_multipliers"].__iadd__(2), r"layer_multipliers\[0\] differs"),
        (lambda b: b["ngram_heads_vocab_sizes"].__setitem__(3, 5), r"vocab_sizes\[3\] differs"),
        (lambda b: b["ngram_heads_offsets"].__setitem__(15, 5), r"offsets\[15\] differs"),
    ],
    ids=["multipliers", "sizes", "offsets"],
)
def test_the_first_constant_that_differs_is_named(
    edit: Callable[[dict[str, Any]], None], message: str
) -> None:
    buffers = qwen_buffers()
    edit({name.rsplit(".", 1)[-1]: values for name, values in buffers.items()})
    with pytest.raises(ConfigError, match=message):
        scheme_from_config(QWEN, buffers)


@pytest.mark.golden
def test_a_layers_number_of_many_digits_is_refused() -> None:
    """Python reads no integer of more than 4,300."""
    name = f"model.layers.{'1' * 5000}.ple.layer_multipliers"
    with pytest.raises(ConfigError, match="has no layer 1111"):
        scheme_from_config(QWEN, {name: next(iter(qwen_buffers().values()))})


def test_buffers_of_another_model_are_refused() -> None:
    for buffers, message in (
        ({"layers.7.layer_multipliers": np.arange(3)}, "no layer 7"),
        ({"layers.1.layer_multipliers": np.arange(2)}, "holds 2 constants"),
        ({"layers.1.weight": np.arange(2)}, "holds no constants"),
    ):
        with pytest.raises(ConfigError, match=message):
            scheme_from_config(QWEN, buffers)
    with pytest.raises(ConfigError, match=r"layer_multipliers\[0\] differs"):
        scheme_from_config(changed(QWEN, seed=0), qwen_buffers())
