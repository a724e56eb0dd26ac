"""Row ids on a device -> a request, without a wait: their values are checked by the gather."""

from typing import Any

import torch

from engramctl.storage.requests.ticket import Request

_KINDS = (torch.int32, torch.int64)


def on_a_device(row_ids: Any) -> bool:
    """Tell whether row ids are where the host cannot read them."""
    return isinstance(row_ids, torch.Tensor) and not row_ids.is_cpu


def device_request(row_ids: torch.Tensor, device: torch.device, *, copied: bool) -> Request:
    """Return a request for row ids on a store's device.

    Args:
        row_ids: int32 or int64, (*S, H), contiguous or not.
        device: the store's.
        copied: the caller may change them before they are read.

    Raises:
        ValueError: ids of another type or without a shape, or on another device.
    """
    if row_ids.dtype not in _KINDS or not row_ids.dim():
        raise ValueError(f"row ids must be int32 or int64 of shape (*S, H), not {row_ids.dtype}")
    if row_ids.device != device:
        raise ValueError(f"row ids must be on the CPU or on {device}, not {row_ids.device}")
    ids = row_ids.detach()
    ids = ids.clone(memory_format=torch.contiguous_format) if copied else ids.contiguous()
    flat = ids.view(-1)
    return Request(flat, tuple(row_ids.shape), len(flat))
