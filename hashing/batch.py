"""Token ids as callers give them -> the arrays a walk takes."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from engramctl.hashing.window import START


def as_batch(tokens: NDArray[Any]) -> NDArray[Any]:
    """Return (B, T) contiguous, int32 or int64, of integers (..., T).

    Raises:
        ValueError: not integers, or no axis.
    """
    if tokens.dtype.kind not in "iu" or tokens.ndim < 1:
        raise ValueError(
            f"token ids must be integers of shape (..., T), not {tokens.dtype} {tokens.shape}"
        )
    if tokens.dtype not in (np.int32, np.int64):
        tokens = tokens.astype(np.int64)
    return np.ascontiguousarray(tokens.reshape(-1, tokens.shape[-1]))


def padded_history(history: Any, batch: int, context: int) -> NDArray[np.int64]:
    """Return exactly `context` ids before each sequence, START where there is none.

    Args:
        history: integers (..., C), oldest first, or None; only the last `context` count.
        batch: B.
        context: N - 1.

    Returns:
        int64 (B, context).

    Raises:
        ValueError: not integers, or another number of sequences.
    """
    padded_BC = np.full((batch, context), START, np.int64)
    if history is None:
        return padded_BC
    past = np.asarray(history)
    if past.size and past.dtype.kind not in "iu":
        raise ValueError(f"history must be integers, not {past.dtype}")
    past = past.reshape(-1, past.shape[-1])[:, -context:] if past.size else past.reshape(0, 0)
    if past.size and len(past) != batch:
        raise ValueError(f"history has {len(past)} sequences, token ids have {batch}")
    if past.size:
        padded_BC[:, context - past.shape[1] :] = past
    return padded_BC
