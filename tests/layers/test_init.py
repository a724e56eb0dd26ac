"""Weights are functions of seed and name, large ones too; models share what they have in common."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from engramctl.layers.init import LINE, Draw
from engramctl.model.decoder import Decoder
from tests.model.backbones import tiny

LARGE = (LINE // 512 + 1, 512)


@pytest.mark.parametrize("shape", [(8, 4), LARGE])
def test_seed_and_name_decide(shape: tuple[int, ...]) -> None:
    def drawn(seed: int, name: str) -> torch.Tensor:
        return Draw(seed).normal(name, *shape, std=0.5)

    assert torch.equal(drawn(1, "a"), drawn(1, "a"))
    assert not torch.equal(drawn(1, "a"), drawn(1, "b"))
    assert not torch.equal(drawn(1, "a"), drawn(2, "a"))


def test_a_large_matrix_is_normal_and_its_rows_are_unlike_each_other() -> None:
    large = Draw(0).normal("large", *LARGE, std=0.5)
    assert float(large.std()) == pytest.approx(0.5, rel=0.01)
    assert abs(float(large.mean())) < 0.01
    assert len(np.unique(large[:, :4].numpy(), axis=0)) == len(large)
    near = torch.corrcoef(large[:64]) - torch.eye(64)
    assert float(near.abs().max()) < 0.3


def test_a_large_stack_is_drawn_as_its_rows_and_cast_as_a_small_one() -> None:
    flat = Draw(0).normal("same", *LARGE, std=1.0)
    assert torch.equal(Draw(0).normal("same", 3, LARGE[0], 512, std=1.0)[0], flat)
    rounded = Draw(0, torch.bfloat16).normal("same", *LARGE, std=1.0)
    assert torch.equal(rounded, flat.bfloat16())


def test_a_model_like_another_takes_its_weights_and_draws_what_it_lacks() -> None:
    plain = Decoder(tiny("mla-moe"), seed=3)
    other = Decoder(tiny("mla-dense"), seed=3, like=plain)
    alone = Decoder(tiny("mla-dense"), seed=3)
    for (name, weight), expected in zip(other.named_parameters(), alone.parameters(), strict=True):
        assert torch.equal(weight, expected), name
    assert other.embedding is plain.embedding
    names = dict(plain.named_parameters())
    shared = {name for name, weight in other.named_parameters() if weight is names.get(name)}
    assert {"layers.0.attention.q", "layers.0.ffn.down", "layers.3.attention.up"} <= shared
    assert "layers.3.ffn.down" not in shared
    reseeded = Decoder(replace(tiny("mla-moe")), seed=4, like=plain)
    assert not torch.equal(reseeded.embedding, plain.embedding)
