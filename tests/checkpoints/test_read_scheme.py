"""A model's folder to its scheme."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save_file

from engramctl.checkpoints import read_scheme
from engramctl.errors import ConfigError, FormatError
from engramctl.hashing import make_scheme
from tests.hashing.configs import LITE, QWEN

ROOT = "model.layers.1.ple.ple_embedding"


def write(folder: Path, config: dict[str, Any], **tensors: Any) -> Path:
    (folder / "config.json").write_text(json.dumps(config))
    for number, (name, values) in enumerate(tensors.items()):
        table = {f"model.layers.{number}.mlp.weight": np.zeros((4, 4), np.float32)}
        save_file({f"{ROOT}.{name}": np.asarray(values), **table}, folder / f"{name}.safetensors")
    return folder


def constants() -> dict[str, Any]:
    derived = make_scheme("qwen-ple").layer_hash(1)
    return {
        "layer_multipliers": np.array(derived.multipliers, np.int64),
        "ngram_heads_vocab_sizes": np.array([head.modulus for head in derived.heads], np.int64),
        "ngram_heads_offsets": np.array([head.offset for head in derived.heads], np.int64),
    }


def test_a_folder_with_a_config_alone_has_a_scheme(tmp_path: Path) -> None:
    assert read_scheme(write(tmp_path, LITE)).num_rows(0) == make_scheme("longcat").num_rows(0)


def test_constants_in_the_files_are_compared(tmp_path: Path) -> None:
    assert read_scheme(write(tmp_path, QWEN, **constants())).layers == (1,)
    wrong = constants()
    wrong["layer_multipliers"][2] += 2
    with pytest.raises(ConfigError, match=r"layer_multipliers\[2\] differs"):
        read_scheme(write(tmp_path, QWEN, **wrong))


def test_constants_that_are_not_integers_are_refused(tmp_path: Path) -> None:
    folder = write(tmp_path, QWEN, layer_multipliers=np.zeros(3, np.float32))
    with pytest.raises(FormatError, match="cannot be constants"):
        read_scheme(folder)


def test_a_cut_file_is_named(tmp_path: Path) -> None:
    folder = write(tmp_path, QWEN, **constants())
    path = folder / "layer_multipliers.safetensors"
    path.write_bytes(path.read_bytes()[:-4])
    with pytest.raises(FormatError, match=r"layer_multipliers\.safetensors"):
        read_scheme(folder)


@pytest.mark.parametrize("text", ["", "[]", "{", "[" * 200_000])
def test_a_config_that_is_not_one_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "config.json").write_text(text)
    with pytest.raises(FormatError, match=r"config\.json"):
        read_scheme(tmp_path)


def test_a_folder_without_a_config_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FormatError, match="cannot read"):
        read_scheme(tmp_path)
