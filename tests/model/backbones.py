"""Tiny decoders of every kind of attention and FFN."""

from dataclasses import replace
from typing import Any

from engramctl.layers.config import DecoderConfig
from engramctl.model.presets import PRESETS

MLA = {"kv_rank": 24, "rope_head_dim": 8}
MOE = {
    "num_experts": 6, "experts_per_token": 2, "num_shared_experts": 2, "expert_width": 48,
    "num_dense_layers": 1, "routing": "sqrt_softplus",
}  # fmt: skip
BACKBONES: dict[str, dict[str, Any]] = {
    "gqa-dense": {},
    "mla-dense": MLA,
    "gqa-moe": {**MOE, "routing": "softmax"},
    "mla-moe": {**MLA, **MOE},
}


def tiny(backbone: str, **changes: Any) -> DecoderConfig:
    """Return the preset `tiny` with another attention or FFN, and other changes."""
    return replace(PRESETS["tiny"], **BACKBONES[backbone], **changes)
