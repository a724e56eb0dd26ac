"""Which sizes of attention and experts fit each other; needs no torch."""

from typing import TYPE_CHECKING

from engramctl.errors import ConfigError

if TYPE_CHECKING:
    from engramctl.layers.config import DecoderConfig


def refuse_attention(config: "DecoderConfig") -> None:
    """Refuse heads that do not share out, and half of an MLA.

    Raises:
        ConfigError: says which sizes were found.
    """
    if config.num_attention_heads % config.num_kv_heads or config.attention_head_dim % 2:
        raise ConfigError(
            "attention heads do not fit: query heads must be a multiple of key-value heads, "
            "and the attention head width even",
            facts={
                "query heads": config.num_attention_heads,
                "key-value heads": config.num_kv_heads,
                "head width": config.attention_head_dim,
            },
        )
    if bool(config.kv_rank) != bool(config.rope_head_dim) or config.rope_head_dim % 2:
        raise ConfigError(
            "kv_rank and rope_head_dim do not fit: MLA has both, the latter even; GQA has neither",
            facts={"kv_rank": config.kv_rank, "rope_head_dim": config.rope_head_dim},
        )


def refuse_experts(config: "DecoderConfig") -> None:
    """Refuse experts that are not told in full, and parts of them in a model without.

    Raises:
        ConfigError: says which sizes were found.
    """
    parts = {
        name: getattr(config, name) for name in ("num_experts", "experts_per_token", "expert_width")
    }
    if any(parts.values()) and not all(parts.values()):
        raise ConfigError(
            "experts need num_experts, experts_per_token and expert_width, all above zero",
            facts=parts,
        )
    if config.experts_per_token > config.num_experts:
        raise ConfigError("a token cannot pass through more experts than there are", facts=parts)
    beside = {name: getattr(config, name) for name in ("num_shared_experts", "num_dense_layers")}
    if not config.num_experts and any(beside.values()):
        raise ConfigError(
            "shared experts and leading dense layers are of a model with experts",
            facts={**parts, **beside},
            hint="give num_experts, experts_per_token and expert_width too",
        )
