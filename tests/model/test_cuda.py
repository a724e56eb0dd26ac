"""The decoder's device code: on a fake machine, and against the CPU on a real GPU."""

import numpy as np
import pytest
import torch

from engramctl.layers.config import ResidualMode
from engramctl.layers.fusions import Fusion
from engramctl.model.decoder import Decoder
from engramctl.model.graphed import GraphedDecode
from engramctl.model.presets import preset
from tests.helpers.fake_cuda import fake_cuda
from tests.model.backbones import tiny
from tests.model.shapes import FUSIONS, MODES, memory, residual

SHAPES: list[tuple[ResidualMode, Fusion | None]] = [
    *((mode, "deepseek-v41") for mode in MODES),
    *(("none", fusion) for fusion in (*FUSIONS, None) if fusion != "deepseek-v41"),
]
TOKENS = 6


def steps(
    mode: ResidualMode, fusion: Fusion | None, dtype: torch.dtype, device: str
) -> list[torch.Tensor]:
    """Prefill in two chunks, then one decode step, with the same rows everywhere."""
    given = memory(fusion) if fusion else None
    model = Decoder(preset("tiny", residual=residual(mode), memory=given), 0, dtype, device)
    state = model.new_state(2, 2 * TOKENS + 1)
    ids = torch.from_numpy(np.random.default_rng(0).integers(0, 512, (2, 2 * TOKENS + 1)))
    ids = ids.to(device)
    shape = (512, given.num_heads if given else 4, 8)
    table = torch.from_numpy(np.random.default_rng(1).normal(size=shape)).to(device, dtype)
    found = []
    for part in (slice(0, TOKENS), slice(TOKENS, 2 * TOKENS)):
        found.append(model.prefill(ids[:, part], state, lambda _, part=part: table[ids[:, part]]))
    last = ids[:, -1]
    found.append(model.decode(last, state, lambda _: table[last[:, None]]))
    return found


@pytest.mark.parametrize(("mode", "fusion"), SHAPES)
def test_a_step_stays_on_its_device_and_waits_for_nothing(
    mode: ResidualMode, fusion: Fusion | None
) -> None:
    with fake_cuda() as machine:
        for logits in steps(mode, fusion, torch.bfloat16, "cuda:1"):
            assert logits.device == torch.device("cuda:1")
            assert (logits.shape, logits.dtype) == ((2, 512), torch.bfloat16)
        assert not machine.downloads + machine.waits


def test_a_second_step_copies_nothing_to_the_device() -> None:
    with fake_cuda() as machine:
        model = Decoder(preset("tiny", residual=residual("mhc"), memory=memory()), device="cuda:1")
        state = model.new_state(1, 3)
        ids = torch.zeros(1, dtype=torch.int64, device="cuda:1")
        rows = torch.zeros((1, 1, 4, 8), device="cuda:1")
        model.decode(ids, state, lambda _: rows)
        machine.uploads.clear()
        model.decode(ids, state, lambda _: rows)
        assert machine.uploads == []


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize(("mode", "fusion"), SHAPES)
def test_a_gpu_gives_the_logits_of_the_cpu(mode: ResidualMode, fusion: Fusion | None) -> None:
    on_cpu = steps(mode, fusion, torch.float64, "cpu")
    for found, expected in zip(steps(mode, fusion, torch.float64, "cuda"), on_cpu, strict=True):
        torch.testing.assert_close(found.cpu(), expected, rtol=1e-9, atol=1e-9)
    for found in steps(mode, fusion, torch.bfloat16, "cuda"):
        assert found.isfinite().all()


IDS = torch.randint(0, 512, (2, TOKENS), generator=torch.Generator().manual_seed(5))


@pytest.mark.parametrize("backbone", ["mla-dense", "mla-moe"])
def test_a_step_of_mla_and_experts_on_a_device_waits_for_nothing(backbone: str) -> None:
    with fake_cuda() as machine:
        decoder = Decoder(tiny(backbone), 0, torch.bfloat16, "cuda:1")
        state = decoder.new_state(2, 3)
        ids = torch.zeros((2, 2), dtype=torch.int64, device="cuda:1")
        for logits in (decoder.prefill(ids, state), decoder.decode(ids[:, 0], state)):
            assert logits.device == torch.device("cuda:1")
            assert (logits.shape, logits.dtype) == ((2, 512), torch.bfloat16)
        assert not machine.downloads + machine.waits


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_mla_and_experts_give_the_logits_of_the_cpu() -> None:
    shape = tiny("mla-moe")
    logits = []
    for device, dtype in (
        ("cpu", torch.float64),
        ("cuda", torch.float64),
        ("cuda", torch.bfloat16),
    ):
        decoder = Decoder(shape, 0, dtype, device)
        state = decoder.new_state(2, TOKENS)
        logits.append(decoder.prefill(IDS.to(device), state).cpu())
    torch.testing.assert_close(logits[1], logits[0], rtol=1e-9, atol=1e-9)
    assert (logits[2].double() - logits[0]).abs().mean() < 0.1


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize(("mode", "fusion"), SHAPES)
def test_a_step_from_graphs_gives_the_logits_of_the_plain_one(
    mode: ResidualMode, fusion: Fusion | None
) -> None:
    """For other ids, rows and cache values than those of the capture, convolutions moved on."""
    given = memory(fusion) if fusion else None
    shape = preset("tiny", residual=residual(mode), memory=given)
    model = Decoder(shape, 0, torch.bfloat16, "cuda")
    states = [model.new_state(2, TOKENS) for _ in range(2)]
    for state in states:
        state.position = TOKENS - 1
    graphed = GraphedDecode(model, states[1])
    heads = given.num_heads if given else 4
    for seed in range(4):
        drawn = torch.Generator("cuda").manual_seed(seed)
        ids = torch.randint(0, 512, (2,), device="cuda", generator=drawn)
        rows = torch.randn((2, 1, heads, 8), device="cuda", generator=drawn).bfloat16()
        cache = torch.randn(states[0].kv.shape, device="cuda", generator=drawn)
        for state in states:
            state.kv.copy_(cache)
            state.position = TOKENS - 1
        expected = model.decode(ids, states[0], lambda _, rows=rows: rows)
        found = graphed.decode(ids, lambda _, rows=rows: rows)
        torch.testing.assert_close(found, expected, rtol=1e-2, atol=1e-2)
        torch.testing.assert_close(states[1].kv, states[0].kv, rtol=1e-2, atol=1e-2)
        for layer, history in states[0].conv.items():
            torch.testing.assert_close(states[1].conv[layer], history, rtol=1e-2, atol=1e-2)
