"""The cost card: FLOPs and bytes of one call, from the shape alone; needs no torch.

They are the floor of a fused implementation: eager execution launches more and moves more, which is
what a measurement beside this card shows.

Letters: C width, n branches, L layers, D = H * E values of one token's rows.
"""

import math

from engramctl.layers.config import CONV_KERNEL, DecoderConfig, MemoryConfig
from engramctl.model.weights import (
    every_token_weights,
    expert_weights,
    latent_up_weights,
    memory_weights,
    norm_weights,
    residual_weights,
    router_weights,
)

# Elements moved a token between two sublayers, norm included, as multiples of C (mHC, arXiv
# 2512.24880, table 2): (per branch, constant).
BOUNDARY_TRAFFIC: dict[str, tuple[int, int]] = {
    "single_pass": (2, 2),
    "two_pass": (3, 2),
    "three_kernel": (4, 4),
    "hc_naive": (8, 2),
}
_BOUNDARY_OF_MODE = {
    "none": "single_pass",  # with one branch: the fused add and norm, 4C
    "hc": "hc_naive",
    "mhc": "three_kernel",
    "single_pass": "single_pass",
}


def boundary_elements(form: str, branches: int) -> int:
    """Return the elements moved between two sublayers, a token, in units of C.

    Example:
        >>> [boundary_elements(form, 4) for form in BOUNDARY_TRAFFIC]
        [10, 14, 20, 34]
    """
    per_branch, constant = BOUNDARY_TRAFFIC[form]
    return per_branch * branches + constant


def expected_experts(config: DecoderConfig, num_tokens: int) -> float:
    """Return how many experts of a layer some token chooses, if all are chosen equally often.

    Example:
        >>> from engramctl.model.presets import preset
        >>> [round(expected_experts(preset("moe27"), tokens), 1) for tokens in (1, 8, 512)]
        [6.0, 36.1, 72.0]
    """
    if not config.num_experts:
        return 0.0
    missed = (1 - config.experts_per_token / config.num_experts) ** num_tokens
    return config.num_experts * (1 - missed)


def _read_bytes(config: DecoderConfig, num_tokens: int, value_bytes: int) -> int:
    """Return the bytes of weights that a call of `num_tokens` reads, memories left out."""
    experts = expected_experts(config, num_tokens) * config.num_expert_layers
    plain = every_token_weights(config) + norm_weights(config) + config.vocab_size * config.width
    plain += round(experts * expert_weights(config))
    plain += 0 if config.tied else num_tokens * config.width
    return plain * value_bytes + (router_weights(config) + residual_weights(config)) * 4


def residual_bytes(config: DecoderConfig, num_tokens: int, value_bytes: int) -> int:
    """Return the bytes that branches and residual weights of a step move at the least.

    Args:
        config: the shape.
        num_tokens: of the step, all sequences.
        value_bytes: of one branch value; weights are float32.
    """
    boundary = boundary_elements(_BOUNDARY_OF_MODE[config.residual.mode], config.num_branches)
    streams = 2 * config.num_layers * num_tokens * config.width * boundary
    return streams * value_bytes + 4 * residual_weights(config)


def _layer_flops(config: DecoderConfig, batch: int, tokens: int, context: int) -> int:
    """Return the FLOPs of attention and FFN of all layers, a multiply-add counted as two."""
    num_tokens, heads = batch * tokens, config.num_attention_heads
    chosen = config.num_expert_layers * config.experts_per_token * expert_weights(config)
    multiplied = every_token_weights(config) + chosen + router_weights(config)
    # Causal: token i of the call attends to context + i + 1 positions.
    attended = batch * (tokens * context + tokens * (tokens + 1) // 2)
    widened = 0
    if not config.kv_rank:
        pair = 4 * config.attention_head_dim
    elif tokens == 1:
        pair = 2 * (2 * config.kv_rank + config.rope_head_dim)
    else:
        pair = 2 * (2 * config.attention_head_dim + config.rope_head_dim)
        widened = 2 * latent_up_weights(config) * batch * context
    return 2 * num_tokens * multiplied + config.num_layers * (heads * pair * attended + widened)


def _residual_flops(config: DecoderConfig) -> int:
    """Return the FLOPs of one site for one token, a multiply-add counted as two."""
    n, width, residual = config.num_branches, config.width, config.residual
    if residual.mode == "none":
        return width
    apply = 2 * n * width + 2 * n * n * width + 2 * n * width
    if residual.mode == "hc":
        return 2 * n * width * (n + 2) + 2 * n * width + apply
    coefficients = 2 * n * width * (n * n + 2 * n) + 2 * n * width
    return coefficients + apply + 4 * residual.iterations * n * n


def _memory_flops(config: DecoderConfig, memory: MemoryConfig) -> int:
    n, width = config.num_branches, config.width
    if memory.kind.at_input:
        summed = memory.num_heads * memory.row_dim if memory.fusion == "blt" else 0
        return 2 * memory.projected_at_input(width) * width + summed + 2 * width
    projection = 2 * memory.num_heads * memory.row_dim * (n + 1) * width
    conv = 2 * CONV_KERNEL * n * width if memory.kind.has_conv else 0
    return projection + (7 * n + 2) * width + conv


def cost(
    config: DecoderConfig,
    batch: int,
    tokens: int,
    context: int = 0,
    *,
    value_bytes: int = 4,
    record_bytes: int | None = None,
) -> dict[str, int]:
    """Return what one call computes and moves.

    Args:
        config: the shape.
        batch: sequences.
        tokens: tokens of this call, each sequence: T of a prefill, 1 of a decode step.
        context: tokens each sequence has in its cache before the call.
        value_bytes: of one weight, cache or branch value (float32 4, bfloat16 2).
        record_bytes: of one row as stored, scales included; row_dim * value_bytes when not given.

    Returns:
        `flops` (a multiply-add is 2; output projection at the last position only),
        `weight_bytes` (every dense matrix once, of the experts those that some token chooses, in
        expectation; routers, residual and norm weights of a memory in float32), `kv_bytes` (cache
        read and written), `stream_bytes` (branches between sublayers, and the
        memory's read and write of them), `memory_row_bytes` (rows over the store's link).
    """
    n, width, num_layers = config.num_branches, config.width, config.num_layers
    num_tokens = batch * tokens
    kv_token = num_layers * math.prod(config.cache_shape) * value_bytes
    flops = _layer_flops(config, batch, tokens, context)
    flops += num_tokens * 2 * num_layers * _residual_flops(config)
    flops += batch * 2 * width * config.vocab_size
    weight_bytes = _read_bytes(config, num_tokens, value_bytes)
    boundary = boundary_elements(_BOUNDARY_OF_MODE[config.residual.mode], n)
    stream_elements = 2 * num_layers * num_tokens * width * boundary
    row_bytes = 0
    if config.residual.readout == "hyperhead":
        flops += batch * (2 * n * n + 4 * n) * width
    if config.memory is not None:
        num_memories = len(config.memory.layers)
        projection, exact = memory_weights(config, config.memory)
        flops += num_memories * num_tokens * _memory_flops(config, config.memory)
        weight_bytes += num_memories * (projection * value_bytes + exact * 4)
        written = 1 if config.memory.kind.at_input else n  # there the branches are one still
        stream_elements += num_memories * num_tokens * 2 * written * width
        record = record_bytes or config.memory.row_dim * value_bytes
        row_bytes = num_memories * num_tokens * config.memory.num_heads * record
    return {
        "flops": flops,
        "weight_bytes": weight_bytes,
        "kv_bytes": kv_token * batch * (context + tokens),
        "stream_bytes": stream_elements * value_bytes,
        "memory_row_bytes": row_bytes,
    }
