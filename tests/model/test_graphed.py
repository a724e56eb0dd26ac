"""Decode from graphs: where it cannot be had the step is the plain one, with the reason said."""

import pytest
import torch

from engramctl.model.decoder import Decoder
from engramctl.model.graphed import NO_DEVICE, GraphedDecode, decoder_of, why_not
from engramctl.model.presets import preset
from tests.helpers.fake_cuda import fake_cuda
from tests.helpers.one_thread import one_thread
from tests.model.backbones import tiny
from tests.model.shapes import memory, residual

__all__ = ["one_thread"]


def test_without_a_device_a_step_is_the_decoders_own_bit_for_bit() -> None:
    model = Decoder(preset("tiny", residual=residual("mhc"), memory=memory()))
    assert why_not(model) == NO_DEVICE
    rows = torch.randn(2, 1, 4, 8, generator=torch.Generator().manual_seed(0))
    found = []
    for plain in (True, False):
        state = model.new_state(2, 3)
        ids = torch.tensor([3, 5])
        for _ in range(3):
            if plain:
                logits = model.decode(ids, state, lambda _: rows)
            else:
                logits = decoder_of(model, state)(ids, lambda _: rows, None)
        found.append(logits)
        assert state.position == 3
    assert torch.equal(*found)


def test_experts_that_the_host_counts_are_not_captured() -> None:
    with fake_cuda():
        counted = Decoder(tiny("mla-moe"), 0, torch.float32, "cuda:1")
        assert why_not(counted) == "the host reads how many tokens each expert has"
        assert why_not(Decoder(preset("tiny"), 0, torch.bfloat16, "cuda:1")) is None


def test_graphs_are_broken_where_a_memory_takes_its_rows() -> None:
    """The host waits for a layer's rows when the layers before it are under way, not before."""
    with fake_cuda() as machine:
        model = Decoder(preset("tiny", residual=residual("mhc"), memory=memory()), device="cuda:1")
        state = model.new_state(2, 5)
        state.position = 4
        graphed = GraphedDecode(model, state)
        ids = torch.zeros(2, dtype=torch.int64, device="cuda:1")

        def rows(layer: int, /) -> torch.Tensor:
            machine.graphs.append(("rows", layer))
            return torch.zeros((2, 1, 4, 8), device="cuda:1")

        for _ in range(2):
            state.position = 4
            machine.waits.clear()
            logits = graphed.decode(ids, rows)
            assert (logits.shape, state.position) == ((2, 512), 5)
        layers = [layer for _, layer, _ in model.memories()]
        assert len(layers) == 2
        capture = [(what, at) for at in range(3) for what in ("made", "begin", "end")]
        step = [("replay", 0), ("rows", layers[0]), ("replay", 1), ("rows", layers[1])]
        step.append(("replay", 2))
        assert machine.graphs == [*capture, *step, *step]
        assert machine.waits == []
        assert machine.downloads == []
        with pytest.raises(ValueError, match="the graphs begin at position 4, the state is at 5"):
            graphed.decode(ids, rows)


def test_without_a_memory_a_step_is_one_graph() -> None:
    with fake_cuda() as machine:
        model = Decoder(preset("tiny"), device="cuda:1")
        graphed = GraphedDecode(model, model.new_state(1, 1))
        graphed.decode(torch.zeros(1, dtype=torch.int64, device="cuda:1"))
        assert machine.graphs == [("made", 0), ("begin", 0), ("end", 0), ("replay", 0)]
