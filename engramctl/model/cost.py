"""The cost card: FLOPs and bytes of one call, from the shape alone; needs no torch.

They are the floor of a fused implementation: eager execution launches more and moves more, which is
what a measurement beside this card shows.

Letters: C width, n branches, L layers, D = H * E values of one token's rows.
"""

from engramctl.layers.config import CONV_KERNEL, DecoderConfig, MemoryConfig

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


def _residual_weights(config: DecoderConfig) -> int:
    """Return the number of float32 residual weights, both sites of all layers and the read-out."""
    n, width, residual = config.num_branches, config.width, config.residual
    raw = 2 * n + n * n
    per_site = {"none": 0, "hc": (width + n + 1) * (n + 2)}.get(
        residual.mode, n * width * raw + 3 + raw
    )
    head = n * n * width + n + 1 if residual.readout == "hyperhead" else 0
    return 2 * config.num_layers * per_site + head


def residual_bytes(config: DecoderConfig, num_tokens: int, value_bytes: int) -> int:
    """Return the bytes that branches and residual weights of a step move at the least.

    Args:
        config: the shape.
        num_tokens: of the step, all sequences.
        value_bytes: of one branch value; weights are float32.
    """
    boundary = boundary_elements(_BOUNDARY_OF_MODE[config.residual.mode], config.num_branches)
    streams = 2 * config.num_layers * num_tokens * config.width * boundary
    return streams * value_bytes + 4 * _residual_weights(config)


def _memory_weights(config: DecoderConfig, memory: MemoryConfig) -> tuple[int, int]:
    """Return one memory layer's weights: those in the model's dtype, those in float32."""
    n, width = config.num_branches, config.width
    projection = (memory.num_heads * memory.row_dim + memory.has_bias) * (n + 1) * width
    return projection, n * width * (2 + (1 + CONV_KERNEL if memory.has_conv else 0))


def _dense_weights(config: DecoderConfig) -> int:
    """Return the weights read in full by every call: layers, norms, output projection."""
    width, head_dim = config.width, config.attention_head_dim
    attention = 2 * width * head_dim * (config.num_attention_heads + config.num_kv_heads)
    per_layer = attention + 3 * width * config.ffn_width + 2 * width
    return config.num_layers * per_layer + width + config.vocab_size * width


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
    projection = 2 * memory.num_heads * memory.row_dim * (n + 1) * width
    conv = 2 * CONV_KERNEL * n * width if memory.has_conv else 0
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
        `weight_bytes` (every dense matrix once, residual and norm weights of a memory in float32),
        `kv_bytes` (cache read and written), `stream_bytes` (branches between sublayers, and the
        memory's read and write of them), `memory_row_bytes` (rows over the store's link).
    """
    n, width, num_layers = config.num_branches, config.width, config.num_layers
    num_tokens = batch * tokens
    head_dim, kv_heads = config.attention_head_dim, config.num_kv_heads
    kv_token = 2 * num_layers * kv_heads * head_dim * value_bytes
    dense = _dense_weights(config) - width * (config.vocab_size + 1 + 2 * num_layers)
    # Causal: token i of the call attends to context + i + 1 positions.
    attended = batch * (tokens * context + tokens * (tokens + 1) // 2)
    score = 4 * config.num_attention_heads * head_dim * num_layers
    flops = num_tokens * (2 * dense + 2 * num_layers * _residual_flops(config)) + score * attended
    flops += batch * 2 * width * config.vocab_size
    weight_bytes = _dense_weights(config) * value_bytes + _residual_weights(config) * 4
    weight_bytes += 0 if config.tied else num_tokens * width * value_bytes
    boundary = boundary_elements(_BOUNDARY_OF_MODE[config.residual.mode], n)
    stream_elements = 2 * num_layers * num_tokens * width * boundary
    row_bytes = 0
    if config.residual.readout == "hyperhead":
        flops += batch * (2 * n * n + 4 * n) * width
    if config.memory is not None:
        num_memories = len(config.memory.layers)
        projection, exact = _memory_weights(config, config.memory)
        flops += num_memories * num_tokens * _memory_flops(config, config.memory)
        weight_bytes += num_memories * (projection * value_bytes + exact * 4)
        stream_elements += num_memories * num_tokens * 2 * n * width
        record = record_bytes or config.memory.row_dim * value_bytes
        row_bytes = num_memories * num_tokens * config.memory.num_heads * record
    return {
        "flops": flops,
        "weight_bytes": weight_bytes,
        "kv_bytes": kv_token * batch * (context + tokens),
        "stream_bytes": stream_elements * value_bytes,
        "memory_row_bytes": row_bytes,
    }
