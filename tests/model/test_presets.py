"""Shapes of published sizes: their weights, counted without making any (mhc.md, section 6)."""

import pytest

from engramctl.layers.config import MemoryConfig, ResidualConfig
from engramctl.model.cost import cost
from engramctl.model.decoder import Decoder
from engramctl.model.presets import PRESETS, preset
from engramctl.model.weights import active_parameters, num_parameters, weight_bytes
from tests.model.backbones import BACKBONES, tiny
from tests.model.shapes import FUSIONS, MODES, memory, residual

PLAIN = ResidualConfig(mode="none")


@pytest.mark.parametrize(
    ("name", "billions", "mhc_millions", "kv_kib"),
    [
        ("1b", 1.236, 6.3, 32),
        ("4b", 4.022, 17.7, 144),
        ("8b", 8.190, 28.3, 144),
        ("moe27", 27.03, 14.7, 576 * 2 * 30 / 1024),
    ],
)
def test_the_sizes_of_the_table(
    name: str, billions: float, mhc_millions: float, kv_kib: float
) -> None:
    plain = num_parameters(preset(name, residual=PLAIN))
    assert plain / 1e9 == pytest.approx(billions, abs=0.0051 if billions > 10 else 0.001)
    mhc = num_parameters(preset(name, residual=ResidualConfig())) - plain
    assert mhc / 1e6 == pytest.approx(mhc_millions, abs=0.051)
    assert cost(preset(name), 1, 1, value_bytes=2)["kv_bytes"] / 1024 == kv_kib


def test_a_token_of_moe27_passes_through_a_part_of_it() -> None:
    assert active_parameters(preset("moe27")) / 1e9 == pytest.approx(4.12, abs=0.0051)
    assert active_parameters(preset("4b")) == num_parameters(preset("4b", residual=PLAIN))


def test_v41_module_has_the_width_of_v41_and_its_sites() -> None:
    shape = preset("v41-module")
    assert (shape.width, shape.vocab_size, shape.residual.mode) == (5120, 129_280, "single_pass")
    sites = num_parameters(shape) - num_parameters(preset("v41-module", residual=PLAIN))
    assert sites / 8 / 1e6 == pytest.approx(0.49, abs=0.0051)
    module = MemoryConfig(((1, 1), (3, 14)), num_heads=24, row_dim=256, max_order=4)
    added = num_parameters(preset("v41-module", memory=module)) - num_parameters(shape)
    assert added / 2 / 1e6 == pytest.approx(157.3, abs=0.051)


def test_every_preset_says_where_two_memories_go() -> None:
    assert all(len(shape.memory_layers) == 2 for shape in PRESETS.values())


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("backbone", BACKBONES)
def test_the_count_is_what_a_decoder_has(backbone: str, mode: str) -> None:
    for fusion in (None, FUSIONS[0]):
        shape = tiny(
            backbone,
            residual=residual(mode),  # type: ignore[arg-type]
            memory=memory(fusion) if fusion else None,
            tied=fusion is None,
        )
        decoder = Decoder(shape)
        assert num_parameters(shape) == decoder.num_parameters()
        held = sum(weight.nbytes for weight in decoder.parameters())
        assert weight_bytes(shape, 4) == held
