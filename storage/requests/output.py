"""The tensor that rows are written to: a new one, or the caller's, which must fit."""

import torch

from engramctl.errors import ConfigError
from engramctl.storage.record.record import RecordSpec

STORED = torch.uint8  # rows as they are stored: their records
DTYPES = (torch.bfloat16, torch.float32, STORED)


def output_width(record: RecordSpec, dtype: torch.dtype) -> int:
    """Return how many values of a dtype a row is written as.

    Raises:
        ConfigError: rows are not read as such.

    Example:
        >>> record = RecordSpec("f8_e4m3", 256)
        >>> output_width(record, torch.bfloat16), output_width(record, torch.uint8)
        (256, 264)
    """
    if dtype not in DTYPES:
        raise ConfigError(
            f"rows cannot be read as {dtype}",
            facts={"known": "torch.bfloat16, torch.float32, torch.uint8 (as stored)"},
        )
    return record.record_bytes if dtype is STORED else record.row_dim


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
