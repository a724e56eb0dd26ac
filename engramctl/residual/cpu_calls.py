"""The residual's numba kernels, called with torch tensors on the CPU.

A call with much to do is cut over as many threads as torch uses (`torch.get_num_threads`), the
calling one among them; with little it stays on that one.

Shapes: ... any leading dimensions, N tokens in them, D model width, R branches, Z columns of a
projection. All tensors are contiguous.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from engramctl.residual import cpu_kernels
from engramctl.runtime.threads import Workers

_PIECE_VALUES = 1 << 17  # of branches; below this a second thread costs more than it saves
_Arrays = tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]
_NONE = np.empty((0, 1), np.float32)
_workers = Workers("engramctl-residual")


def mhc_coefficients(
    X: Tensor, phi: Tensor, alpha: Tensor, bias: Tensor, m: Tensor | None, iterations: int,
    hc_eps: float, rms_eps: float, paper: bool,
) -> tuple[Tensor, Tensor, Tensor]:  # fmt: skip
    """Return pre (..., R), post (..., R), comb (..., R, R); m is X @ phi where that was done."""
    X_NRD, (pre, post, comb), made = _opened(X)
    _in_pieces(
        cpu_kernels.mhc_rows, X_NRD, X_NRD, phi.numpy(), _rows(m), alpha.numpy(), bias.numpy(),
        iterations, hc_eps, rms_eps, paper, pre, post, comb,
    )  # fmt: skip
    return made


def hc_coefficients(
    X: Tensor, weight: Tensor, static: Tensor, scale: Tensor, m: Tensor | None, eps: float
) -> tuple[Tensor, Tensor, Tensor]:
    """Return pre (..., R), post (..., R), comb (..., R, R); m (N * R, Z) as for mHC."""
    X_NRD, (pre, post, comb), made = _opened(X)
    _in_pieces(
        cpu_kernels.hc_rows, X_NRD, X_NRD, weight.numpy(), _rows(m), static.numpy(),
        scale.numpy(), eps, pre, post, comb,
    )  # fmt: skip
    return made


def collapse(X: Tensor, pre: Tensor) -> Tensor:
    """Return u (..., D) in the dtype of X."""
    u = X.new_empty((*X.shape[:-2], X.shape[-1]))
    X_NRD = _branches(X)
    _in_pieces(cpu_kernels.collapse_rows, X_NRD, X_NRD, _rows(pre), _rows(u))
    return u


def expand(
    X: Tensor, y: Tensor, post: Tensor, comb: Tensor, pre: Tensor | None
) -> tuple[Tensor, Tensor]:
    """Return the next branches, and their collapse by `pre` (no values where that is None)."""
    out = torch.empty_like(X)
    u = X.new_empty((0, X.shape[-1]) if pre is None else (*X.shape[:-2], X.shape[-1]))
    X_NRD = _branches(X)
    _in_pieces(
        cpu_kernels.expand_rows, X_NRD, X_NRD, _rows(y), _rows(post),
        _branches(comb), _rows(pre), _branches(out), _rows(u),
    )  # fmt: skip
    return out, u


def _opened(X: Tensor) -> tuple[NDArray[Any], _Arrays, tuple[Tensor, Tensor, Tensor]]:
    """Return branches (N, R, D), arrays for pre, post and comb, and the tensors these are."""
    lead, branches = X.shape[:-2], X.shape[-2]
    X_NRD = _branches(X)
    tokens = len(X_NRD)
    one, square = (tokens, branches), (tokens, branches, branches)
    pre, post, comb = (np.empty(size, np.float32) for size in (one, one, square))
    made = (
        torch.from_numpy(pre.reshape(*lead, branches)),
        torch.from_numpy(post.reshape(*lead, branches)),
        torch.from_numpy(comb.reshape(*lead, branches, branches)),
    )
    return X_NRD, (pre, post, comb), made


def _array(values: Tensor) -> NDArray[Any]:
    """Return float32 as it is, bfloat16 as its bits."""
    plain: NDArray[Any] = (
        values.view(torch.uint16) if values.dtype == torch.bfloat16 else values
    ).numpy()
    return plain


def _branches(X: Tensor) -> NDArray[Any]:
    branches, width = X.shape[-2:]
    return _array(X).reshape(X.numel() // (branches * width), branches, width)


def _rows(values: Tensor | None) -> NDArray[Any]:
    if values is None:
        return _NONE
    width = values.shape[-1]
    return _array(values).reshape(values.numel() // width, width)


def _in_pieces(kernel: Callable[..., None], X_NRD: NDArray[Any], *given: object) -> None:
    tokens = len(X_NRD)
    pieces = min(X_NRD.size // _PIECE_VALUES, tokens, torch.get_num_threads())
    if pieces <= 1:
        kernel(*given, 0, tokens)
        return
    edges = [tokens * piece // pieces for piece in range(pieces + 1)]

    def work(piece: int) -> None:
        kernel(*given, edges[piece], edges[piece + 1])

    _workers.each(pieces, work, first_here=True)
