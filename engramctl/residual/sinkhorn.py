"""Sinkhorn-Knopp on one small matrix per token, in the release form and the paper form.

Shapes: R branches; leading dimensions are free and all done at once.

A matrix is kept as one row of R * R values and a 1. One product with a constant matrix then gives
each entry its row's sum (or its column's) plus eps, and the 1 itself: a normalisation is two
launches, a product and a division. On a CPU that takes half the time of `sum`, `add` and `div` at
one token, a third at 512.
"""

import functools
import math

import torch
import torch.nn.functional as F
from torch import Tensor


@functools.lru_cache(maxsize=32)
def summing(
    branches: int, eps: float, dtype: torch.dtype, device: torch.device
) -> tuple[Tensor, Tensor]:
    """Return the two (R * R + 1)^2 matrices that sum rows, and columns, plus eps."""
    with torch.inference_mode(False):
        entry = torch.arange(branches * branches, device=device)
        both = []
        for line in (entry // branches, entry % branches):
            matrix = torch.zeros(len(entry) + 1, len(entry) + 1, dtype=dtype, device=device)
            matrix[:-1, :-1] = line[:, None] == line
            matrix[-1, :-1] = eps
            matrix[-1, -1] = 1
            both.append(matrix)
        return both[0], both[1]


def sinkhorn(logits: Tensor, iterations: int, eps: float) -> Tensor:
    """Return `comb` of the release form (DeepSeek-V4): row softmax first, columns last.

    With eps 0, columns (the last operation) sum to 1 exactly and rows approximately; the residual
    matrix of the paper is comb transposed. Any finite logits give finite values: entries below the
    dtype's range are raised to its edge, else a vanished column would be 0 / 0.

    Args:
        logits: (..., R, R), float32 or float64.
        iterations: row and column normalisations, the softmax included; at least 1.
        eps: added to the softmax and to each sum.

    Returns:
        (..., R, R), positive, dtype of the logits.
    """
    num_entries = logits.shape[-1] ** 2
    by_row, by_column = summing(logits.shape[-1], eps, logits.dtype, logits.device)
    if eps == 0:
        floor = 0.9 * math.log(torch.finfo(logits.dtype).tiny)
        logits = (logits - logits.amax(-1, keepdim=True)).clamp_min_(floor)
    start = torch.softmax(logits, -1).add_(eps).reshape(-1, num_entries)
    comb = F.pad(start, (0, 1), value=1.0)
    sums = torch.empty_like(comb)
    comb.div_(torch.mm(comb, by_column, out=sums))
    for _ in range(iterations - 1):
        comb.div_(torch.mm(comb, by_row, out=sums))
        comb.div_(torch.mm(comb, by_column, out=sums))
    return comb[:, :num_entries].reshape(logits.shape)


def sinkhorn_paper(logits: Tensor, iterations: int) -> Tensor:
    """Return `H_res` of the paper (mHC, arXiv 2512.24880): columns first, rows last, no epsilon.

    exp and the first column step together are a column softmax, so this is the release form of the
    transposed logits, transposed. Rows sum to 1 exactly, columns approximately.

    Args:
        logits: (..., R, R); H_res[o, i] weighs input branch i for output branch o.
        iterations: column and row normalisations, at least 1.

    Returns:
        (..., R, R), a transposed view.
    """
    return sinkhorn(logits.mT, iterations, 0.0).mT
