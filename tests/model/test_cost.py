"""The cost card against what the decoder really holds, and against worked figures of the spec."""

from dataclasses import replace
from typing import get_args

import pytest
import torch

from engramctl.layers.config import (
    DecoderConfig,
    Readout,
    ResidualConfig,
    ResidualMode,
)
from engramctl.layers.fusions import Fusion
from engramctl.model.cost import cost, expected_experts
from engramctl.model.decoder import Decoder
from engramctl.model.presets import PRESETS, preset
from tests.model.backbones import tiny
from tests.model.shapes import memory

ARMS = [(mode, "mean", None) for mode in get_args(ResidualMode)]
ARMS += [("mhc", readout, None) for readout in get_args(Readout)]
ARMS += [("mhc", "mean", fusion) for fusion in get_args(Fusion)]


@pytest.mark.parametrize(("mode", "readout", "fusion"), ARMS)
def test_the_weights_on_the_card_are_the_weights_in_memory(
    mode: ResidualMode, readout: Readout, fusion: Fusion | None
) -> None:
    config = preset(
        "tiny",
        residual=ResidualConfig(mode=mode, readout=readout),
        memory=memory(fusion) if fusion else None,
    )
    assert cost(config, 1, 1)["weight_bytes"] == 4 * Decoder(config).num_parameters()


@pytest.mark.parametrize("fusion", ["blt", "dictionary"])
def test_rows_as_wide_as_the_model_are_not_projected(fusion: Fusion) -> None:
    wide = replace(memory(fusion), row_dim=64)
    with_memory, without = preset("tiny", memory=wide), preset("tiny")
    assert Decoder(with_memory).num_parameters() == Decoder(without).num_parameters()
    assert cost(with_memory, 1, 1)["weight_bytes"] == cost(without, 1, 1)["weight_bytes"]


def test_an_untied_head_is_read_and_the_embedding_only_where_tokens_point() -> None:
    tied = PRESETS["tiny"]
    untied = DecoderConfig(**{**vars(tied), "tied": False})
    extra = cost(untied, 2, 3)["weight_bytes"] - cost(tied, 2, 3)["weight_bytes"]
    assert extra == 2 * 3 * 64 * 4
    assert Decoder(untied).num_parameters() - Decoder(tied).num_parameters() == 512 * 64


def test_the_8b_figures_of_the_spec() -> None:
    """By hand: at 4.8 TB/s and bfloat16, B = 1 and 32, 1024 tokens of context."""
    config = DecoderConfig(
        width=4096,
        num_layers=36,
        num_attention_heads=32,
        num_kv_heads=8,
        attention_head_dim=128,
        ffn_width=12288,
        vocab_size=151936,
        tied=False,
    )
    plain = DecoderConfig(**{**vars(config), "residual": ResidualConfig(mode="none")})
    per_us = 4.8e6
    card, base = cost(config, 1, 1, 1023, value_bytes=2), cost(plain, 1, 1, 1023, value_bytes=2)
    assert base["weight_bytes"] / per_us == pytest.approx(3153, rel=0.01)
    assert (card["weight_bytes"] - base["weight_bytes"]) / per_us == pytest.approx(23.6, rel=0.01)
    assert card["kv_bytes"] / per_us == pytest.approx(31, rel=0.02)
    batch = cost(config, 32, 1, 1023, value_bytes=2)
    assert batch["stream_bytes"] / per_us == pytest.approx(79, rel=0.01)
    single = DecoderConfig(**{**vars(config), "residual": ResidualConfig(mode="single_pass")})
    assert cost(single, 32, 1, value_bytes=2)["stream_bytes"] / per_us == pytest.approx(
        39, rel=0.02
    )
    assert cost(plain, 32, 1, value_bytes=2)["stream_bytes"] / per_us == pytest.approx(16, rel=0.02)
    added = (card["flops"] - base["flops"]) / 72
    assert added == pytest.approx(1.02e6, rel=0.01)


def test_rows_are_counted_for_every_token_head_and_layer() -> None:
    config = preset("tiny", memory=memory())
    assert cost(config, 2, 5)["memory_row_bytes"] == 2 * 5 * 2 * 4 * 8 * 4
    assert cost(config, 2, 5, record_bytes=9)["memory_row_bytes"] == 2 * 5 * 2 * 4 * 9
    assert cost(preset("tiny"), 2, 5)["memory_row_bytes"] == 0


def test_a_prefill_costs_the_sum_of_its_chunks_but_for_the_last_logits() -> None:
    config = preset("tiny", memory=memory("engram"))
    whole, first, second = cost(config, 1, 8), cost(config, 1, 5), cost(config, 1, 3, 5)
    logits = 2 * 64 * 512
    assert whole["flops"] + logits == first["flops"] + second["flops"]
    for key in ("stream_bytes", "memory_row_bytes"):
        assert whole[key] == first[key] + second[key]


def test_a_call_of_many_tokens_reads_every_expert_and_one_token_only_its_own() -> None:
    shape = tiny("mla-moe")
    expert = 3 * 64 * 48 * 4
    everything = cost(shape, 64, 64)["weight_bytes"]
    assert everything == 4 * Decoder(shape).num_parameters()
    assert everything - cost(shape, 1, 1)["weight_bytes"] == 3 * (6 - 2) * expert
    two = 6 * (1 - (4 / 6) ** 2)
    assert expected_experts(shape, 2) == pytest.approx(two)
    for batch, tokens in ((2, 1), (1, 2)):
        read = cost(shape, batch, tokens)["weight_bytes"]
        assert everything - read == pytest.approx(3 * (6 - two) * expert, abs=4)


def test_bfloat16_leaves_routers_in_float32() -> None:
    shape = tiny("gqa-moe")
    held = sum(weight.nbytes for weight in Decoder(shape, dtype=torch.bfloat16).parameters())
    assert cost(shape, 64, 64, value_bytes=2)["weight_bytes"] == held


def test_the_flops_of_experts_and_latents_by_hand() -> None:
    """C = 64, 4 heads of 16 + 8, rank 24, ffn 160, 6 experts of 48, 2 chosen and 2 shared."""
    plain = ResidualConfig(mode="none")
    shape = tiny("mla-moe", residual=plain)
    attention = 64 * 4 * 24 + 64 * 32 + 24 * 4 * 32 + 4 * 16 * 64
    ffn = 3 * 64 * 160 + 3 * (3 * 64 * 48 * 4 + 64 * 6)
    logits = 2 * 64 * 512
    token = 2 * (4 * attention + ffn) + 2 * 4 * 64
    absorbed = 4 * 2 * 4 * 11 * (2 * 24 + 8)
    assert cost(shape, 1, 1, 10)["flops"] == token + absorbed + logits
    pairs = 3 * 10 + 6
    widened = 4 * (2 * 4 * pairs * (2 * 16 + 8) + 10 * 2 * 24 * 4 * 32)
    assert cost(shape, 1, 3, 10)["flops"] == 3 * token + widened + logits
