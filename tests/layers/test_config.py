"""Shapes no decoder could run are refused when they are written down."""

import subprocess
import sys
from dataclasses import replace
from typing import Any

import pytest

from engramctl.errors import ConfigError
from engramctl.layers.config import MemoryConfig, ResidualConfig
from engramctl.model.presets import PRESETS, preset

MEMORY = {"layers": ((1, 1), (3, 14)), "num_heads": 4, "row_dim": 8, "max_order": 3}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"mode": "mch"}, "unknown residual mode 'mch'"),
        ({"form": "v4"}, "unknown Sinkhorn form"),
        ({"init": "zeros"}, "unknown residual init"),
        ({"readout": "sum"}, "unknown read-out"),
        ({"branches": 0}, "branches is out of range"),
        ({"iterations": 0}, "iterations is out of range"),
        ({"rms_eps": 0.0}, "rms_eps must be above zero"),
        ({"hc_eps": -1.0}, "hc_eps must not be negative"),
        ({"mode": "none", "readout": "last_pre"}, "needs branches"),
    ],
)
def test_a_wrong_residual_is_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        ResidualConfig(**changes)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"fusion": "ple"}, "unknown fusion 'ple'"),
        ({"num_heads": 0}, "num_heads is out of range"),
        ({"row_dim": 2.5}, "row_dim is out of range"),
        ({"norm_eps": 0.0}, "norm_eps must be above zero"),
        ({"layers": ()}, "memory layers must be pairs"),
        ({"layers": ((-1, 1),)}, "memory layers must be pairs"),
        ({"layers": ((3, 1), (1, 14))}, "once, ascending"),
        ({"layers": ((1, 1), (1, 14))}, "once, ascending"),
        ({"layers": ((1, 1), (3, 1))}, "same table layer"),
        ({"layers": (("input", 1),)}, "not at the input"),
        ({"fusion": "longcat"}, "one table layer, at the input"),
        ({"fusion": "longcat", "layers": (("input", 1), (2, 3))}, "one table layer, at the input"),
        ({"fusion": "longcat", "layers": (("input", 1),), "normaliser": "median"}, "normaliser"),
    ],
)
def test_a_wrong_memory_is_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        MemoryConfig(**{**MEMORY, **changes})


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"width": 0}, "width is out of range"),
        ({"num_kv_heads": 3}, "attention heads do not fit"),
        ({"attention_head_dim": 15}, "attention heads do not fit"),
        ({"memory_layers": (4,)}, "decoder layer 4, which this decoder lacks"),
        ({"memory": MemoryConfig(((4, 1),), 4, 8, 3)}, "decoder layer 4"),
        ({"rope_theta": 0.0}, "rope_theta must be above zero"),
    ],
)
def test_a_wrong_shape_is_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        replace(PRESETS["tiny"], **changes)


def test_an_unknown_preset_names_the_known_ones() -> None:
    with pytest.raises(ConfigError) as caught:
        preset("large")
    assert caught.value.facts["known"] == ", ".join(PRESETS)


def test_configs_and_the_cost_card_load_without_torch() -> None:
    code = (
        "import sys, engramctl.model.cost, engramctl.model.presets; "
        "sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
