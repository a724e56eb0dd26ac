"""Which memory a scheme gets, where it sits, and what is refused."""

from dataclasses import replace
from typing import Any

import pytest

from engramctl.errors import ConfigError
from engramctl.hashing import PRESETS, DictionaryScheme, Lookup, make_scheme
from engramctl.layers.fusions import KINDS
from engramctl.model.memory_of import memory_of
from engramctl.model.presets import preset

DICTIONARY = DictionaryScheme.of([(5, 9), (7, 5, 9)], vocab_size=64)


def of(scheme: Lookup, fusion: str | None = None, layers: str | None = None) -> Any:
    return memory_of(scheme, preset("tiny"), fusion, layers)


@pytest.mark.parametrize("name", PRESETS)
def test_every_named_scheme_has_a_memory(name: str) -> None:
    memory = of(make_scheme(name))
    assert memory.fusion == PRESETS[name].fuse
    assert memory.norm_eps == KINDS[memory.fusion].norm_eps
    assert memory.normaliser == (PRESETS[name].normaliser or "mean")


def test_the_normaliser_is_the_schemes() -> None:
    assert of(replace(make_scheme("longcat"), normaliser="word_full")).normaliser == "word_full"


def test_layers_and_fusion_can_be_chosen() -> None:
    scheme = make_scheme("deepseek-v41")
    assert of(scheme).layers == ((1, 1), (3, 14))
    assert of(scheme, layers="2,0").layers == ((0, 1), (2, 14))
    assert of(scheme, fusion="engram").fusion == "engram"
    assert of(make_scheme("longcat"), fusion="qwen-ple", layers="3").layers == ((3, 0),)
    assert of(make_scheme("longcat"), layers="input").layers == (("input", 0),)
    assert of(DICTIONARY, fusion="longcat").num_heads == 1


@pytest.mark.parametrize(
    ("name", "given", "message"),
    [
        ("deepseek-v41", {"layers": "1"}, "a decoder layer for each layer of the table"),
        ("deepseek-v41", {"layers": "1,4"}, "no decoder layer 4"),
        ("deepseek-v41", {"layers": "1,1"}, "once, ascending"),
        ("deepseek-v41", {"layers": "one"}, "is not a list of numbers"),
        ("qwen-ple", {"layers": "input"}, "not at the input"),
        ("longcat", {"layers": "1"}, "no place in a decoder layer"),
        ("deepseek-v41", {"fusion": "longcat"}, "one table at the input, and this one has layers"),
        ("longcat", {"fusion": "dictionary"}, "replaces a token by one row"),
        ("longcat", {"fusion": "ple"}, "unknown fusion 'ple'"),
    ],
)
def test_a_memory_that_cannot_be_is_refused(name: str, given: dict[str, str], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        of(make_scheme(name), **given)
