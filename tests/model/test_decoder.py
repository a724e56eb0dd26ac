"""What the whole decoder promises, for every residual mode and fusion."""

from typing import get_args

import pytest
import torch
from torch import Tensor

from engramctl.layers.config import MemoryConfig, Readout, ResidualConfig, ResidualMode
from engramctl.layers.fusions import Fusion
from engramctl.model.decoder import Decoder
from engramctl.model.presets import preset
from engramctl.model.state import State
from tests.model.shapes import FUSIONS, MODES, memory, residual

B, T = 2, 24


class Rows:
    """A row for each (table layer, token id), so that rows depend on tokens alone."""

    def __init__(self, token_ids_BT: Tensor, config: MemoryConfig) -> None:
        self.token_ids_BT, self.asked = token_ids_BT, list[int]()
        generator = torch.Generator().manual_seed(9)
        shape = (512, config.num_heads, config.row_dim)
        self.tables = {
            table_layer: torch.randn(shape, generator=generator) for _, table_layer in config.layers
        }

    def __call__(self, table_layer: int) -> Tensor:
        self.asked.append(table_layer)
        return self.tables[table_layer][self.token_ids_BT]


def token_ids(num: int = T, seed: int = 0) -> Tensor:
    return torch.randint(0, 512, (B, num), generator=torch.Generator().manual_seed(seed))


def model(
    mode: ResidualMode = "mhc",
    fusion: Fusion | None = "deepseek-v41",
    dtype: torch.dtype = torch.float32,
) -> Decoder:
    given = memory(fusion) if fusion else None
    return Decoder(preset("tiny", residual=residual(mode), memory=given), dtype=dtype)


def prefill(decoder: Decoder, token_ids_BT: Tensor, state: State | None = None) -> Tensor:
    config = decoder.config.memory
    rows = Rows(token_ids_BT, config) if config else None
    return decoder.prefill(token_ids_BT, state or decoder.new_state(B, T), rows)


def decode(decoder: Decoder, token_ids_B: Tensor, state: State) -> Tensor:
    config = decoder.config.memory
    return decoder.decode(
        token_ids_B, state, Rows(token_ids_B[:, None], config) if config else None
    )


def assert_same(found: Tensor, expected: Tensor) -> None:
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)


ARMS = [(mode, "deepseek-v41") for mode in MODES] + [
    ("mhc", fusion) for fusion in FUSIONS if fusion != "deepseek-v41"
]


@pytest.mark.parametrize(("mode", "fusion"), [*ARMS, ("mhc", None)])
def test_a_prefill_equals_as_many_decode_steps(mode: ResidualMode, fusion: Fusion | None) -> None:
    decoder, ids = model(mode, fusion), token_ids()
    whole, stepped = decoder.new_state(B, T), decoder.new_state(B, T)
    for step in range(T):
        logits = decode(decoder, ids[:, step], stepped)
        assert_same(logits, prefill(decoder, ids[:, : step + 1]))
    prefill(decoder, ids, whole)
    assert whole.position == stepped.position == T
    assert_same(stepped.kv, whole.kv)
    for layer, history in whole.conv.items():
        assert_same(stepped.conv[layer], history)


@pytest.mark.parametrize(("mode", "fusion"), ARMS)
@pytest.mark.parametrize("sizes", [(7, 17), (1, 22, 1), (8, 8, 8)])
def test_a_chunked_prefill_equals_the_whole(
    mode: ResidualMode, fusion: Fusion, sizes: tuple[int, ...]
) -> None:
    decoder, ids = model(mode, fusion), token_ids()
    state, start = decoder.new_state(B, T), 0
    for size in sizes:
        logits = prefill(decoder, ids[:, start : start + size], state)
        start += size
    assert_same(logits, prefill(decoder, ids))


@pytest.mark.parametrize(("mode", "fusion"), ARMS)
def test_a_later_token_never_changes_an_earlier_one(mode: ResidualMode, fusion: Fusion) -> None:
    decoder, ids, cut = model(mode, fusion), token_ids(), 10
    edited = torch.cat([ids[:, :cut], token_ids(seed=1)[:, cut:]], 1)
    before, after = decoder.new_state(B, T), decoder.new_state(B, T)
    changed = (prefill(decoder, ids, before) - prefill(decoder, edited, after)).abs().max()
    assert changed > 1e-3
    # The last layer's cache holds what each position came to.
    assert_same(after.kv[:, :, :, :cut], before.kv[:, :, :, :cut])
    assert (after.kv[-1, :, :, cut:] - before.kv[-1, :, :, cut:]).abs().max() > 1e-3


def test_sequences_of_a_batch_do_not_meet() -> None:
    decoder, ids = model("mhc", "engram-demo"), token_ids()
    alone = decoder.prefill(ids[1:], decoder.new_state(1, T), Rows(ids[1:], memory()))
    assert_same(prefill(decoder, ids)[1:], alone)


@pytest.mark.parametrize("fusion", FUSIONS)
@pytest.mark.parametrize("mode", MODES)
def test_a_gate_forced_to_0_is_the_model_without_memory(mode: ResidualMode, fusion: Fusion) -> None:
    ids = token_ids()
    plain, remembering = model(mode, None), model(mode, fusion)
    closed = torch.zeros(B, T, dtype=torch.bool)
    state, rows = remembering.new_state(B, T), Rows(ids, memory(fusion))
    assert torch.equal(remembering.prefill(ids, state, rows, closed), prefill(plain, ids))
    assert not torch.allclose(prefill(remembering, ids), prefill(plain, ids))


@pytest.mark.parametrize("mode", MODES)
def test_adding_a_memory_or_a_residual_changes_no_other_weight(mode: ResidualMode) -> None:
    plain = dict(model("none", None).named_parameters())
    other = dict(model(mode, "engram").named_parameters())
    assert plain.keys() <= other.keys()
    assert all(torch.equal(weight, other[name]) for name, weight in plain.items())
    added = other.keys() - plain.keys()
    assert all("memory" in name or "_site" in name for name in added)


def test_the_seed_decides_every_weight() -> None:
    config = preset("tiny", residual=residual("mhc"), memory=memory())
    one, same, other = Decoder(config, seed=1), Decoder(config, seed=1), Decoder(config, seed=2)
    assert all(torch.equal(*pair) for pair in zip(one.parameters(), same.parameters(), strict=True))
    assert not torch.equal(one.embedding, other.embedding)
    assert not torch.equal(one.embedding[0], one.embedding[1])


@pytest.mark.parametrize("init", ["identity", "uniform"])
@pytest.mark.parametrize("mode", ["hc", "mhc", "single_pass"])
def test_a_fresh_decoder_is_the_pre_norm_decoder(mode: ResidualMode, init: str) -> None:
    ids = token_ids()
    config = ResidualConfig(mode=mode, init="identity" if init == "identity" else "uniform")
    expected = prefill(model("none", None), ids)
    found = prefill(Decoder(preset("tiny", residual=config)), ids)
    torch.testing.assert_close(found, expected, rtol=1e-3, atol=1e-3)


def test_single_pass_differs_from_classic_once_coefficients_depend_on_tokens() -> None:
    ids = token_ids()
    classic = Decoder(preset("tiny", residual=ResidualConfig(init="random")))
    deferred = Decoder(preset("tiny", residual=ResidualConfig(mode="single_pass", init="random")))
    assert not torch.allclose(prefill(classic, ids), prefill(deferred, ids), atol=1e-2)


@pytest.mark.parametrize("readout", get_args(Readout))
@pytest.mark.parametrize("mode", ["hc", "mhc", "single_pass"])
def test_every_read_out_runs(mode: ResidualMode, readout: Readout) -> None:
    config = preset("tiny", residual=ResidualConfig(mode=mode, readout=readout, init="random"))
    logits = prefill(Decoder(config), token_ids())
    assert logits.shape == (B, 512)
    assert bool(logits.isfinite().all())


@pytest.mark.parametrize(("mode", "fusion"), ARMS)
def test_bfloat16_runs_and_is_near_float32(mode: ResidualMode, fusion: Fusion) -> None:
    ids = token_ids()
    exact, rounded = model(mode, fusion), model(mode, fusion, torch.bfloat16)
    found = prefill(rounded, ids)
    assert found.dtype == torch.bfloat16
    assert (found.float() - prefill(exact, ids)).abs().mean() < 0.1


def test_rows_are_asked_for_when_the_layer_needs_them_and_only_once() -> None:
    events: list[str] = []
    decoder = Decoder(
        preset("tiny", residual=residual("mhc"), memory=memory()), trace=events.append
    )
    ids = token_ids()
    rows = Rows(ids, memory())
    decoder.prefill(ids, decoder.new_state(B, T), rows)
    assert rows.asked == [1, 14]
    sublayers = ["coeff", "collapse", "attention", "expand", "coeff", "collapse", "ffn", "expand"]
    expected = []
    for layer in range(4):
        points = (["memory_wait", "memory_apply"] if layer in (1, 3) else []) + sublayers
        expected += [f"{layer}.{point}" for point in points]
    assert events == expected


def test_rows_at_the_input_are_asked_for_before_the_first_layer() -> None:
    events: list[str] = []
    decoder = Decoder(preset("tiny", memory=memory("longcat")), trace=events.append)
    ids = token_ids()
    decoder.prefill(ids, decoder.new_state(B, T), Rows(ids, memory("longcat")))
    assert events[:3] == ["input.memory_wait", "input.memory_apply", "0.coeff"]
    assert sum("memory" in event for event in events) == 2
    with pytest.raises(ValueError, match="the input has a memory, and no rows were given"):
        decoder.prefill(ids, decoder.new_state(B, T))


@pytest.mark.parametrize("fusion", ["dictionary", "qwen-ple", "longcat"])
def test_a_decode_step_takes_the_mask_of_its_token(fusion: Fusion) -> None:
    decoder, ids = model("mhc", fusion), token_ids()
    mask = torch.rand(B, T, generator=torch.Generator().manual_seed(3)) > 0.5
    whole, stepped = decoder.new_state(B, T), decoder.new_state(B, T)
    config = memory(fusion)
    expected = decoder.prefill(ids, whole, Rows(ids, config), mask)
    for step in range(T):
        rows = Rows(ids[:, step : step + 1], config)
        logits = decoder.decode(ids[:, step], stepped, rows, mask[:, step])
    assert_same(logits, expected)
    assert not torch.allclose(expected, prefill(decoder, ids), atol=1e-3)


def test_memories_are_listed_as_a_call_runs_them() -> None:
    assert [found[:2] for found in model("mhc", "engram").memories()] == [(1, 1), (3, 14)]
    assert [found[:2] for found in model("mhc", "blt").memories()] == [("input", 0)]
    assert model("mhc", None).memories() == []


def test_a_full_state_missing_rows_and_rows_of_another_shape_are_refused() -> None:
    decoder, ids = model(), token_ids()
    state = decoder.new_state(B, T)
    with pytest.raises(ValueError, match="no rows were given"):
        decoder.prefill(ids, state)
    with pytest.raises(ValueError, match=r"expected \(2, 24, 4, 8\)"):
        decoder.prefill(ids, state, lambda _: torch.zeros(B, T, 4, 7))
    prefill(decoder, ids, state)
    with pytest.raises(ValueError, match="do not fit"):
        decode(decoder, ids[:, 0], state)
    with pytest.raises(ValueError, match="needs a sequence"):
        decoder.new_state(0, 1)


def test_parameters_are_counted_once() -> None:
    tied, plain = model("none", None), preset("tiny")
    per_layer = 64 * 16 * (4 + 2 + 2) + 64 * 64 + 3 * 64 * 160 + 2 * 64
    assert tied.num_parameters() == 512 * 64 + 4 * per_layer + 64
    mhc = Decoder(plain).num_parameters() - tied.num_parameters()
    assert mhc == 8 * (4 * 64 * 24 + 3 + 24)
