"""Named decoder shapes; needs no torch. Layers are counted from 0.

In `tiny` a gather costs more than a whole step, so its times say nothing about a tier. `1b`, `4b`
and `8b` are shapes that published models of these sizes have; `moe27` is the mHC paper's 27B.
`v41-module` is for the memory of DeepSeek-V4.1-Flash alone: its width and its single-pass residual
around four layers that stand in for its forty (MLA, and a SwiGLU as wide as the experts that one of
its tokens passes through).
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
    "1b": DecoderConfig(
        width=2048,
        num_layers=16,
        num_attention_heads=32,
        num_kv_heads=8,
        attention_head_dim=64,
        ffn_width=8192,
        vocab_size=128_256,
        memory_layers=(1, 7),
    ),
    "4b": DecoderConfig(
        width=2560,
        num_layers=36,
        num_attention_heads=32,
        num_kv_heads=8,
        attention_head_dim=128,
        ffn_width=9728,
        vocab_size=151_936,
        memory_layers=(1, 15),
    ),
    "8b": DecoderConfig(
        width=4096,
        num_layers=36,
        num_attention_heads=32,
        num_kv_heads=8,
        attention_head_dim=128,
        ffn_width=12288,
        vocab_size=151_936,
        tied=False,
        memory_layers=(1, 15),
    ),
    "moe27": DecoderConfig(
        width=2560,
        num_layers=30,
        num_attention_heads=32,
        num_kv_heads=32,
        attention_head_dim=128,
        ffn_width=12288,
        vocab_size=129_280,
        tied=False,
        memory_layers=(1, 15),
        kv_rank=512,
        rope_head_dim=64,
        num_experts=72,
        experts_per_token=6,
        num_shared_experts=2,
        expert_width=1536,
        num_dense_layers=1,
    ),
    "v41-module": DecoderConfig(
        width=5120,
        num_layers=4,
        num_attention_heads=64,
        num_kv_heads=64,
        attention_head_dim=128,
        ffn_width=7 * 2304,
        vocab_size=129_280,
        memory_layers=(1, 3),
        residual=ResidualConfig(mode="single_pass", readout="last_pre"),
        kv_rank=512,
        rope_head_dim=64,
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
        residual: the residual form; the preset's, mostly classic mHC, when not given.
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
