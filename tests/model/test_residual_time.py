"""What the residual takes of a step, measured on a model's own sites."""

import pytest
import torch

from engramctl.layers.config import ResidualConfig
from engramctl.model import residual_time as module
from engramctl.model.cost import residual_bytes
from engramctl.model.decoder import Decoder
from engramctl.model.presets import preset
from engramctl.model.residual_time import residual_time
from engramctl.residual.launches import sublayer


def test_it_counts_every_sublayer_once(monkeypatch: pytest.MonkeyPatch) -> None:
    model = Decoder(preset("tiny", residual=ResidualConfig(mode="mhc", kernels="fused")))
    seen: list[object] = []
    whole = sublayer

    def watched(site: object, *given: object) -> torch.Tensor:
        seen.append(site)
        return whole(site, *given)  # type: ignore[arg-type]

    monkeypatch.setattr(module, "sublayer", watched)
    monkeypatch.setattr(module, "copied_bytes_per_s", lambda device: 1e9)
    found = residual_time(model, 2, 3)
    sites = [site for layer in model.layers for site in (layer.attention_site, layer.ffn_site)]
    assert len(seen) % len(sites) == 0
    assert seen[: len(sites)] == sites
    assert (found.kernels, found.launches_per_sublayer) == ("fused", 4)
    assert found.time_ns > 0
    assert found.floor_ns == residual_bytes(model.config, 6, 4)


def test_its_bytes_are_branches_and_weights() -> None:
    """20C a token and sublayer for mHC, 10C for single-pass, 4C for none."""
    weights = 4 * (4 * 64 * 24 + 3 + 24)
    for mode, elements, each in (
        ("mhc", 20, weights),
        ("single_pass", 10, weights),
        ("none", 4, 0),
    ):
        config = preset("tiny", residual=ResidualConfig(mode=mode))  # type: ignore[arg-type]
        sublayers = 2 * config.num_layers
        assert residual_bytes(config, 5, 2) == sublayers * (5 * 64 * elements * 2 + each)


def test_a_copy_moves_bytes() -> None:
    assert module.copied_bytes_per_s(torch.device("cpu")) > 1e7
