"""Sizes set by `key=value`, and models cut to fewer layers."""

import pytest

from engramctl.errors import ConfigError
from engramctl.model.presets import PRESETS, preset
from engramctl.model.settings import SETTABLE, read_settings, shape_of


def test_every_kind_of_value_is_read() -> None:
    words = ["width=1k", "tied=no", "rope_theta=5e5", "memory_layers=0,2", "routing=softmax"]
    assert read_settings(words) == {
        "width": 1000, "tied": False, "rope_theta": 5e5, "memory_layers": (0, 2),
        "routing": "softmax",
    }  # fmt: skip
    assert read_settings(["num-layers=2", "memory_layers="]) == {
        "num_layers": 2,
        "memory_layers": (),
    }


@pytest.mark.parametrize(
    ("word", "message"),
    [
        ("width", "has no value"),
        ("width=wide", "is not a whole number"),
        ("width=1.5", "is not a whole number"),
        ("tied=perhaps", "unknown --set tied 'perhaps'"),
        ("rope_theta=x", "is not a number"),
        ("memory_layers=a", "is not a list of numbers"),
        ("routing=hash", "unknown --set routing 'hash'"),
        ("memory=1", "unknown --set key 'memory'"),
        ("mode=hc", "unknown --set key 'mode'"),
    ],
)
def test_a_wrong_setting_is_refused(word: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        read_settings([word])


def test_an_unknown_key_names_near_ones_and_all() -> None:
    with pytest.raises(ConfigError) as caught:
        read_settings(["num_expert=4"])
    assert caught.value.facts["known"] == ", ".join(SETTABLE)
    assert "'num_experts'" in str(caught.value.hint)


def test_a_key_given_twice_is_refused() -> None:
    with pytest.raises(ConfigError, match="width is given twice"):
        read_settings(["width=1", "width=2"])


def test_settings_go_into_shape_and_residual() -> None:
    settings = read_settings(["width=128", "branches=2", "num_experts=4", "experts_per_token=1",
                              "expert_width=32"])  # fmt: skip
    shape = shape_of("tiny", settings, residual="hc")
    assert (shape.width, shape.residual.branches, shape.residual.mode) == (128, 2, "hc")
    assert (shape.num_experts, shape.num_expert_layers) == (4, 4)
    assert (shape.ffn_width, shape.vocab_size) == (160, 512)


def test_without_settings_a_shape_is_the_preset() -> None:
    for name in PRESETS:
        assert shape_of(name) == preset(name)


@pytest.mark.parametrize(
    ("layers", "places"), [(36, (1, 15)), (16, (1, 15)), (4, (1, 3)), (2, (0, 1)), (1, (0,))]
)
def test_a_cut_model_keeps_its_first_layers_and_its_memories(
    layers: int, places: tuple[int, ...]
) -> None:
    shape = shape_of("4b", layers=layers)
    assert (shape.num_layers, shape.memory_layers) == (layers, places)


@pytest.mark.parametrize("layers", [0, -1, 37])
def test_a_cut_that_is_none_is_refused(layers: int) -> None:
    with pytest.raises(ConfigError) as caught:
        shape_of("4b", layers=layers)
    assert caught.value.facts["expected"] == "1 to 36"


def test_a_deeper_or_flatter_model_by_settings_is_no_cut() -> None:
    assert shape_of("tiny", {"num_layers": 2}).memory_layers == (0, 1)
    assert shape_of("tiny", {"num_layers": 9}).memory_layers == (1, 3)
