"""Torch tensors as callers give them -> what a walk takes, on the device where they lie."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from engramctl.hashing.walk.batch import Check, flat_shape, padded_history
from engramctl.hashing.walk.window import OUTSIDE, START

if TYPE_CHECKING:
    import torch


def rows_of_cpu_tensor(
    row_ids: Callable[..., NDArray[Any]],
    token_ids: "torch.Tensor",
    layer: int,
    history: Any,
    out: "torch.Tensor | None",
    check: Check,
) -> "torch.Tensor":
    """Call a numpy `row_ids` with tensors that lie on the CPU; nothing is copied."""
    import torch

    _check_tensor(out)
    past = history.numpy() if isinstance(history, torch.Tensor) else history
    result = row_ids(
        token_ids.numpy(), layer, past, out if out is None else out.numpy(), check=check
    )
    return torch.from_numpy(result) if out is None else out


def as_tensor_batch(tokens: "torch.Tensor") -> "torch.Tensor":
    """Return (B, T) contiguous, int32 or int64, of integers (..., T) on their own device.

    Nothing waits for the device.

    Raises:
        ValueError: not integers, or no axis.
    """
    import torch

    if not _is_integer(tokens.dtype) or tokens.dim() < 1:
        raise ValueError(
            f"token ids must be integers of shape (..., T), not {tokens.dtype} "
            f"{tuple(tokens.shape)}"
        )
    if tokens.dtype not in (torch.int32, torch.int64):
        tokens = _signed(tokens)
    return tokens.reshape(flat_shape(tokens.shape)).contiguous()


def tensor_history(
    history: Any, batch: int, context: int, device: "torch.device"
) -> "torch.Tensor":
    """Return exactly `context` ids before each sequence, on `device`, START where there is none.

    A tensor that lies there stays there, and nothing waits for the device; anything else is copied
    to it. It comes back as it is when it is contiguous int64 (B, context) already.

    Args:
        history: integers (..., C), oldest first, or None; only the last `context` count.
        batch: B.
        context: N - 1.
        device: where the token ids lie.

    Raises:
        ValueError: not integers, or another number of sequences.
    """
    import torch

    if history is not None and not lies_on(history, device):
        past = history.cpu().numpy() if isinstance(history, torch.Tensor) else history
        return torch.from_numpy(padded_history(past, batch, context)).to(device)
    if history is not None and history.numel():
        if not _is_integer(history.dtype):
            raise ValueError(f"history must be integers, not {history.dtype}")
        past_BC = history.reshape(-1, history.shape[-1])
        if len(past_BC) != batch:
            raise ValueError(f"history has {len(past_BC)} sequences, token ids have {batch}")
        past_BC = _signed(past_BC[:, max(0, past_BC.shape[1] - context) :]).contiguous()
        if past_BC.shape[1] == context:
            return past_BC
    padded_BC = torch.full((batch, context), START, dtype=torch.int64, device=device)
    if history is not None and history.numel():
        padded_BC[:, context - past_BC.shape[1] :] = past_BC
    return padded_BC


def lies_on(ids: Any, device: "torch.device") -> bool:
    """Tell whether ids are a tensor of this device."""
    import torch

    return isinstance(ids, torch.Tensor) and ids.device == device


def _signed(ids: "torch.Tensor") -> "torch.Tensor":
    """Return ids as int64; those of 64 bits, which would come back negative, as OUTSIDE."""
    import torch

    signed = ids.long()
    return signed.masked_fill(signed < 0, OUTSIDE) if ids.dtype == torch.uint64 else signed


def tensor_output(
    out: "torch.Tensor | None",
    shape: tuple[int, ...],
    dtype: np.dtype[Any],
    num_rows: int,
    like: "torch.Tensor",
    negative: str | None = None,
) -> "torch.Tensor":
    """Return `out` when it fits, or a new tensor where `like` is; `negative` as in `output`.

    Raises:
        ValueError: `out` is no tensor, has another shape, holes, a dtype that cannot hold every row
            id or -1, or is on another device.
    """
    import torch

    if out is None:
        kind = torch.int32 if dtype == np.int32 else torch.int64
        return torch.empty(shape, dtype=kind, device=like.device)
    _check_tensor(out)
    if out.shape != shape or not out.is_contiguous() or out.device != like.device:
        raise ValueError(
            f"out must be contiguous of shape {shape} on {like.device}, not {tuple(out.shape)} on "
            f"{out.device}"
        )
    if not _is_integer(out.dtype) or torch.iinfo(out.dtype).max < num_rows - 1:
        raise ValueError(f"out must hold row ids below {num_rows:,}; {out.dtype} does not")
    if negative and not out.dtype.is_signed:
        raise ValueError(f"out must be signed, for -1 means {negative}; not {out.dtype}")
    return out


def _check_tensor(out: Any) -> None:
    """Refuse an `out` that is no tensor of numbers side by side."""
    import torch

    if out is None:
        return
    if not isinstance(out, torch.Tensor) or out.layout != torch.strided:
        found = type(out).__name__ if not isinstance(out, torch.Tensor) else out.layout
        raise ValueError(f"out must be a strided tensor, as the token ids are, not {found}")


def _is_integer(dtype: "torch.dtype") -> bool:
    import torch

    return not (dtype.is_floating_point or dtype.is_complex or dtype is torch.bool)
