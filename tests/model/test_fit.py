"""What a model needs, part by part, and the refusal of one that does not fit."""

import pytest
import torch

from engramctl.errors import StorageError
from engramctl.layers.config import DecoderConfig
from engramctl.model.decoder import Decoder
from engramctl.model.fit import Load, needed_bytes, refuse_above
from engramctl.model.settings import shape_of
from tests.model.backbones import BACKBONES, tiny

LOAD = Load(batch=3, tokens=5, cached=7, states=2, tables=1000)


@pytest.mark.parametrize("dtype", ["f32", "bf16"])
@pytest.mark.parametrize("backbone", BACKBONES)
def test_weights_and_caches_are_what_is_allocated(backbone: str, dtype: str) -> None:
    shape = tiny(backbone)
    decoder = Decoder(shape, dtype={"f32": torch.float32, "bf16": torch.bfloat16}[dtype])
    needs = needed_bytes(shape, dtype, LOAD)
    assert needs["weights"] == sum(weight.nbytes for weight in decoder.parameters())
    assert needs["cache"] == 2 * decoder.new_state(3, 7).kv.nbytes
    assert needs["tables"] == 1000
    assert needs["streams"] >= 3 * 5 * 4 * 64 * 2


def cut(layers: int | None) -> DecoderConfig:
    return shape_of("8b", layers=layers)


def test_a_model_that_fits_is_not_refused_and_one_byte_less_is() -> None:
    needs = sum(needed_bytes(cut(None), "f32", LOAD).values())
    refuse_above(needs, "8b", "f32", LOAD, cut)
    with pytest.raises(StorageError, match="a model of 8b does not fit"):
        refuse_above(needs - 1, "8b", "f32", LOAD, cut)


def test_the_refusal_shows_the_sum_and_names_what_would_fit() -> None:
    free = 22 << 30
    with pytest.raises(StorageError) as caught:
        refuse_above(free, "8b", "f32", LOAD, cut)
    facts, hint = caught.value.facts, str(caught.value.hint)
    assert list(facts) == ["weights", "cache", "streams", "tables", "together", "free"]
    assert facts["weights"] == "30.6 GiB: 8.22 billion, f32"
    assert facts["free"] == "22.0 GiB"
    layers = int(hint.split("--layers ")[1].split(":")[0])
    room = free * 0.9
    assert sum(needed_bytes(cut(layers), "f32", LOAD).values()) <= room
    assert sum(needed_bytes(cut(layers + 1), "f32", LOAD).values()) > room
    assert "--model-dtype bf16" in hint


def test_where_no_cut_would_fit_none_is_named() -> None:
    with pytest.raises(StorageError) as caught:
        refuse_above(1 << 20, "8b", "f32", LOAD, cut)
    assert "--layers" not in str(caught.value.hint)
    assert "smaller --preset" in str(caught.value.hint)
