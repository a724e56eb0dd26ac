"""The tensor that rows are written to: a new one, or the caller's, which must fit."""

import torch


def output(
    shape: tuple[int, ...], dtype: torch.dtype, device: torch.device, out: torch.Tensor | None
) -> torch.Tensor:
    """Return `out` when it fits, or a new tensor when there is none.

    Args:
        shape: what is written.
        dtype: of it.
        device: where it is to be.
        out: the caller's; contiguous, of that shape and dtype, and there.

    Raises:
        ValueError: it does not fit.
    """
    if out is None:
        return torch.empty(shape, dtype=dtype, device=device)
    if not isinstance(out, torch.Tensor):
        raise ValueError(f"out must be a torch tensor, not {type(out).__name__}")
    fits = out.shape == shape and out.dtype is dtype
    fits = fits and ((out.is_cpu and device.type == "cpu") or out.device == device)
    if not fits or out.layout is not torch.strided or not out.is_contiguous():
        raise ValueError(
            f"out must be contiguous {dtype} {shape} on {device}, not {out.dtype} "
            f"{tuple(out.shape)} on {out.device}"
        )
    return out
