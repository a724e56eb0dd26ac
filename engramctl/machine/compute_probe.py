"""What the compute device gives at most: products of matrices, and bytes read in order."""

import time
from collections.abc import Callable

import torch

_WIDTH = {"cpu": 768, "cuda": 8192}  # of the matrices: their product takes milliseconds
_LEAST_BYTES = 1 << 16  # what is read at a time: less is measured as a call and not as a read


def flops_per_s(dtype: torch.dtype, device: torch.device, seconds: float = 0.1) -> float:
    """Measure products of square matrices, a multiply-add counted as two; torch's threads do it.

    Args:
        dtype: of the matrices.
        device: where they lie.
        seconds: of measuring, about.
    """
    width = _WIDTH.get(device.type, _WIDTH["cpu"])
    one = torch.ones((width, width), dtype=dtype, device=device)
    out = torch.empty_like(one)
    return 2 * width**3 / _least_s(lambda: torch.mm(one, one, out=out), device, seconds)


def bytes_per_s(num_bytes: int, device: torch.device, seconds: float = 0.1) -> float:
    """Measure reading one piece of memory in order, again and again; torch's threads do it.

    Args:
        num_bytes: of the piece: what fits into a cache is read from there.
        device: where it lies.
        seconds: of measuring, about.
    """
    words = torch.ones(max(num_bytes, _LEAST_BYTES) // 4, dtype=torch.float32, device=device)
    return 4 * len(words) / _least_s(lambda: words.sum(), device, seconds)


def _least_s(call: Callable[[], object], device: torch.device, seconds: float) -> float:
    """Return the shortest time of a call, of as many as fit, three at least."""
    best, calls = float("inf"), 0
    end = time.perf_counter() + seconds
    while calls < 3 or time.perf_counter() < end:
        _synchronise(device)
        started = time.perf_counter()
        call()
        _synchronise(device)
        best = min(best, time.perf_counter() - started)
        calls += 1
    return max(best, 1e-9)


def _synchronise(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
