"""Chunks equal the whole, and prefill equals decode, for every attention, FFN, residual, memory."""

import itertools

import pytest
import torch
from torch import Tensor

from engramctl.layers.config import ResidualMode
from engramctl.layers.mla import LatentAttention
from engramctl.layers.moe import Experts
from engramctl.model.decoder import Decoder, Layer
from engramctl.model.state import State
from tests.model.backbones import BACKBONES, tiny
from tests.model.shapes import MODES, memory, residual

B, T = 2, 12
GENERATOR = torch.Generator().manual_seed(5)
TABLE = torch.randn(512, 4, 8, generator=GENERATOR)
IDS = torch.randint(0, 512, (B, T), generator=GENERATOR)

COMBINATIONS = list(itertools.product(BACKBONES, MODES, (False, True)))


def model(backbone: str, mode: ResidualMode, with_memory: bool) -> Decoder:
    given = memory("engram") if with_memory else None
    return Decoder(tiny(backbone, residual=residual(mode), memory=given))


def read(decoder: Decoder, ids_BT: Tensor, state: State) -> Tensor:
    return decoder.prefill(ids_BT, state, lambda _: TABLE[ids_BT])


def assert_same(found: Tensor, expected: Tensor) -> None:
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=2e-5)


@pytest.mark.parametrize(("backbone", "mode", "with_memory"), COMBINATIONS)
def test_a_prefill_equals_its_chunks_and_its_tokens_one_by_one(
    backbone: str, mode: ResidualMode, with_memory: bool
) -> None:
    decoder = model(backbone, mode, with_memory)
    whole, chunked, stepped = (decoder.new_state(B, T) for _ in range(3))
    expected = read(decoder, IDS, whole)
    for part in (slice(0, 5), slice(5, 6), slice(6, T)):
        logits = read(decoder, IDS[:, part], chunked)
    assert_same(logits, expected)
    for step in range(T):
        ids = IDS[:, step]
        logits = decoder.decode(ids, stepped, lambda _, ids=ids: TABLE[ids[:, None]])
    assert_same(logits, expected)
    for state in (chunked, stepped):
        assert_same(state.kv, whole.kv)


@pytest.mark.parametrize("backbone", BACKBONES)
def test_sequences_of_a_batch_do_not_meet(backbone: str) -> None:
    decoder = model(backbone, "mhc", with_memory=True)
    together = read(decoder, IDS, decoder.new_state(B, T))
    for one in range(B):
        alone = read(decoder, IDS[one : one + 1], decoder.new_state(1, T))
        assert_same(together[one : one + 1], alone)


def test_the_cache_of_mla_holds_a_latent_and_a_rotated_key_whatever_the_heads() -> None:
    for heads in (4, 8):
        decoder = Decoder(tiny("mla-dense", num_attention_heads=heads))
        assert decoder.new_state(B, T).kv.shape == (4, 1, B, T, 1, 24 + 8)
    assert Decoder(tiny("gqa-dense")).new_state(B, T).kv.shape == (4, 2, B, T, 2, 16)


def test_leading_layers_stay_dense() -> None:
    decoder = Decoder(tiny("mla-moe"))
    kinds = [isinstance(layer.ffn, Experts) for layer in decoder.layers if isinstance(layer, Layer)]
    assert kinds == [False, True, True, True]
    assert all(
        isinstance(layer.attention, LatentAttention)
        for layer in decoder.layers
        if isinstance(layer, Layer)
    )
