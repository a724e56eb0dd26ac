"""The least time a call could take here: its FLOPs and bytes over what this machine gives."""

import torch

from engramctl.layers.config import DecoderConfig
from engramctl.machine.ceilings import Ceilings
from engramctl.model.cost import cost


def call_floor(
    config: DecoderConfig,
    batch: int,
    tokens: int,
    context: int,
    dtype: torch.dtype,
    record_bytes: int,
    ceilings: Ceilings,
) -> dict[str, int]:
    """Return the roofline of one call: the larger of bytes over bandwidth and FLOPs over peak.

    The bandwidth is that of a piece of memory as large as the call's bytes: what fits into a cache
    may be read from there, or the floor would lie above what is measured.

    Args:
        config: of the model.
        batch: sequences.
        tokens: of the call, each sequence.
        context: tokens in the cache before it.
        dtype: of the model.
        record_bytes: of one row as it is stored.
        ceilings: of the machine, on the device of the model.

    Returns:
        ns, flops, bytes.
    """
    card = cost(
        config, batch, tokens, context, value_bytes=dtype.itemsize, record_bytes=record_bytes
    )
    flops = card["flops"]
    moved = sum(num_bytes for name, num_bytes in card.items() if name.endswith("_bytes"))
    seconds = max(flops / ceilings.of_products(dtype), moved / ceilings.of_streams(moved))
    return {"ns": round(seconds * 1e9), "flops": flops, "bytes": moved}
