"""Released configurations: derived totals are the published ones."""

import pytest

from engramctl.hashing import PRESETS, make_scheme
from tests.conftest import golden

# Row counts of published checkpoints.
ROWS = {
    "deepseek-v41-flash": {1: 384_006_168, 14: 384_016_682},
    "qwen3.8-flash-next": {1: 320_001_536},
    "longcat-flash-lite": {0: 122_683_536},
    "longcat-2.0": {0: 263_630_608},
    "oe-12.8m": {0: 4 * 12_800_000 + 12},
}


@pytest.mark.parametrize("name", ROWS)
def test_a_released_model_has_its_published_rows(name: str) -> None:
    scheme = make_scheme(name)
    assert {layer: scheme.num_rows(layer) for layer in scheme.layers} == ROWS[name]


@pytest.mark.parametrize(
    ("name", "billions"),
    # arXiv 2601.07372, 2501.16975 and 2601.21204
    [("engram-27b", 5.79), ("engram-40b", 18.53), ("oe-12.8m", 13.1), ("longcat-2.0", 135.0),
     ("longcat-flash-lite", 31.4), ("longcat-next", 31.4), ("longcat-special-scope", 14.5),
     ("qwen3.8-flash-next", 51.2)],
)  # fmt: skip
def test_a_released_model_has_its_published_parameters(name: str, billions: float) -> None:
    scheme = make_scheme(name)
    values = sum(scheme.num_rows(layer) for layer in scheme.layers) * scheme.row_dim
    assert values / 1e9 == pytest.approx(billions, rel=0.005)


@pytest.mark.golden
def test_released_constants_are_those_of_the_vectors() -> None:
    released = golden("engram_v41_hash")["layers"]
    scheme = make_scheme("deepseek-v41-flash")
    for layer, facts in released.items():
        assert list(scheme.layer_hash(int(layer)).multipliers) == facts["multipliers"]


def test_every_preset_is_built_without_waiting_and_says_its_name() -> None:
    for name in PRESETS:
        scheme = make_scheme(name)
        assert scheme.name == scheme.to_dict()["name"] == name
        assert scheme.num_heads == len(scheme.layer_hash(scheme.layers[0]).heads)
