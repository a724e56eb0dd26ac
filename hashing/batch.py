"""Token ids as callers give them -> the arrays a walk takes."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from engramctl.hashing.window import START

_INT64 = np.dtype(np.int64)
_AS_THEY_ARE = (_INT64, np.dtype(np.int32))


def as_batch(tokens: NDArray[Any]) -> NDArray[Any]:
    """Return (B, T) contiguous, int32 or int64, of integers (..., T).

    Raises:
        ValueError: not integers, or no axis.
    """
    if tokens.ndim == 2 and tokens.dtype in _AS_THEY_ARE and tokens.flags.c_contiguous:
        return tokens  # what a decode step gives; its time counts in nanoseconds
    if tokens.dtype.kind not in "iu" or tokens.ndim < 1:
        raise ValueError(
            f"token ids must be integers of shape (..., T), not {tokens.dtype} {tokens.shape}"
        )
    if tokens.dtype not in _AS_THEY_ARE:
        tokens = tokens.astype(np.int64)
    return np.ascontiguousarray(tokens.reshape(-1, tokens.shape[-1]))


def padded_history(history: Any, batch: int, context: int) -> NDArray[np.int64]:
    """Return exactly `context` ids before each sequence, START where there is none.

    The caller's own array comes back when it is that already.

    Args:
        history: integers (..., C), oldest first, or None; only the last `context` count.
        batch: B.
        context: N - 1.

    Returns:
        int64 (B, context).

    Raises:
        ValueError: not integers, or another number of sequences.
    """
    if (
        type(history) is np.ndarray
        and history.shape == (batch, context)
        and history.dtype == _INT64
        and history.flags.c_contiguous
    ):
        return history
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
