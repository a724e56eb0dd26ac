"""Named decoder shapes: `tiny` for tests, `small` for the demo; needs no torch.

In `tiny` a gather costs more than a whole step, so its times say nothing about a tier.
"""

from dataclasses import replace

from engramctl.errors import unknown
from engramctl.layers.config import DecoderConfig, MemoryConfig, ResidualConfig

PRESETS: dict[str, DecoderConfig] = {
    "tiny": DecoderConfig(
        width=64,
        num_layers=4,
        num_attention_heads=4,
        num_kv_heads=2,
        attention_head_dim=16,
        ffn_width=160,
        vocab_size=512,
        memory_layers=(1, 3),
    ),
    "small": DecoderConfig(
        width=512,
        num_layers=8,
        num_attention_heads=8,
        num_kv_heads=4,
        attention_head_dim=64,
        ffn_width=1408,
        vocab_size=16384,
        memory_layers=(1, 4),
    ),
}


def preset(
    name: str,
    *,
    residual: ResidualConfig | None = None,
    memory: MemoryConfig | None = None,
    vocab_size: int | None = None,
) -> DecoderConfig:
    """Return a preset's shape with the given parts put in; what is not given stays.

    Args:
        name: a key of PRESETS.
        residual: the residual form; classic mHC with four branches when not given.
        memory: geometry and fusion of the memory; none when not given.
        vocab_size: number of token ids, when the table's scheme has more than the preset.

    Raises:
        ConfigError: an unknown name, or parts that do not fit the shape.

    Example:
        >>> preset("tiny", vocab_size=1000).vocab_size
        1000
    """
    if name not in PRESETS:
        raise unknown("model preset", name, PRESETS)
    shape = PRESETS[name]
    return replace(
        shape,
        residual=residual or shape.residual,
        memory=memory or shape.memory,
        vocab_size=vocab_size or shape.vocab_size,
    )
