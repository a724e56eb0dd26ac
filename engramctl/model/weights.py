"""How many weights a shape has, part by part, without making one; needs no torch.

Letters: C width, n branches, L layers, as in the cost card.
"""

from engramctl.layers.config import CONV_KERNEL, DecoderConfig, MemoryConfig


def attention_weights(config: DecoderConfig) -> int:
    """Return the weights of one attention that are multiplied, norms left out."""
    width, heads, head_dim = config.width, config.num_attention_heads, config.attention_head_dim
    if not config.kv_rank:
        return 2 * width * head_dim * (heads + config.num_kv_heads)
    query = width * heads * (head_dim + config.rope_head_dim)
    down = width * (config.kv_rank + config.rope_head_dim)
    return query + down + latent_up_weights(config) + heads * head_dim * width


def latent_up_weights(config: DecoderConfig) -> int:
    """Return the weights that widen one layer's latents into keys and values of every head."""
    return config.kv_rank * config.num_attention_heads * 2 * config.attention_head_dim


def expert_weights(config: DecoderConfig) -> int:
    """Return the weights of one expert."""
    return 3 * config.width * config.expert_width


def router_weights(config: DecoderConfig) -> int:
    """Return the float32 weights of all layers' routers."""
    return config.num_expert_layers * config.width * config.num_experts


def norm_weights(config: DecoderConfig) -> int:
    """Return the weights of all norms but those of sites and memories."""
    return config.num_layers * (2 * config.width + config.kv_rank) + config.width


def every_token_weights(config: DecoderConfig) -> int:
    """Return the weights that every token is multiplied with, in the model's dtype.

    Attention, SwiGLUs and shared experts of all layers; no routed expert, no output projection.
    """
    dense = config.num_layers - config.num_expert_layers
    shared = config.num_shared_experts * expert_weights(config)
    ffn = dense * 3 * config.width * config.ffn_width + config.num_expert_layers * shared
    return config.num_layers * attention_weights(config) + ffn


def residual_weights(config: DecoderConfig) -> int:
    """Return the float32 residual weights, both sites of all layers and the read-out."""
    n, width, residual = config.num_branches, config.width, config.residual
    raw = 2 * n + n * n
    per_site = {"none": 0, "hc": (width + n + 1) * (n + 2)}.get(
        residual.mode, n * width * raw + 3 + raw
    )
    head = n * n * width + n + 1 if residual.readout == "hyperhead" else 0
    return 2 * config.num_layers * per_site + head


def memory_weights(config: DecoderConfig, memory: MemoryConfig) -> tuple[int, int]:
    """Return one memory layer's weights: those in the model's dtype, those in float32."""
    n, width, kind = config.num_branches, config.width, memory.kind
    if kind.at_input:
        return memory.projected_at_input(width) * width, 0
    projection = (memory.num_heads * memory.row_dim + kind.has_bias) * (n + 1) * width
    return projection, n * width * (2 + (1 + CONV_KERNEL if kind.has_conv else 0))


def num_parameters(config: DecoderConfig) -> int:
    """Return the weights of a decoder of this shape; a tied head counts once, table rows never."""
    experts = config.num_expert_layers * config.num_experts * expert_weights(config)
    embeddings = config.vocab_size * config.width * (1 if config.tied else 2)
    total = every_token_weights(config) + experts + router_weights(config) + embeddings
    total += norm_weights(config) + residual_weights(config)
    if config.memory is not None:
        total += len(config.memory.layers) * sum(memory_weights(config, config.memory))
    return total


def active_parameters(config: DecoderConfig) -> int:
    """Return the weights that one token passes through, residual and memory left out.

    Of an embedding that is not the output projection as well, a token reads one row: not counted.
    """
    chosen = config.num_expert_layers * config.experts_per_token * expert_weights(config)
    total = every_token_weights(config) + chosen + router_weights(config) + norm_weights(config)
    return total + config.vocab_size * config.width


def weight_bytes(config: DecoderConfig, value_bytes: int) -> int:
    """Return the memory a decoder's weights take, those that stay in float32 counted as such.

    Args:
        config: the shape.
        value_bytes: of a weight in the model's dtype (float32 4, bfloat16 2).
    """
    exact = router_weights(config) + residual_weights(config)
    if config.memory is not None:
        exact += len(config.memory.layers) * memory_weights(config, config.memory)[1]
    return (num_parameters(config) - exact) * value_bytes + exact * 4
