"""The fused residual as torch operators: one kernel each, numba on the CPU, Triton on CUDA.

As operators they are seen by whoever counts launches (`engramctl.residual.launches`), have shapes
without values, and run under CUDA graphs: none allocates by values or waits for the device.

Shapes: ... any leading dimensions, D model width, R branches, Z columns of a projection. X is
(..., R, D); X, y (..., D) and what is made of them are float32 or bfloat16, coefficients and
weights float32; all are contiguous.
`arrived` is int32 zeros of ARRIVALS values, of one site alone: on CUDA programs that share a sum
count themselves there, and the last one leaves zeros behind.
"""

# mypy: disable-error-code="no-untyped-call"
import torch
from torch import Tensor

from engramctl.residual import cpu_calls

ARRIVALS = 256
_library = torch.library.Library("engramctl", "DEF")
_MADE = "-> (Tensor, Tensor, Tensor)"
_library.define(
    "mhc_coefficients(Tensor X, Tensor phi, Tensor alpha, Tensor bias, Tensor? m, "
    "Tensor(a!) arrived, int iterations, float hc_eps, float rms_eps, bool paper) " + _MADE
)
_library.define(
    "hc_coefficients(Tensor X, Tensor weight, Tensor static, Tensor scale, Tensor? m, "
    "Tensor(a!) arrived, float eps) " + _MADE
)
_library.define("collapse(Tensor X, Tensor pre) -> Tensor")
_library.define(
    "expand(Tensor X, Tensor y, Tensor post, Tensor comb, Tensor? pre) -> (Tensor, Tensor)"
)

mhc_coefficients = torch.ops.engramctl.mhc_coefficients.default
hc_coefficients = torch.ops.engramctl.hc_coefficients.default
collapse = torch.ops.engramctl.collapse.default
expand = torch.ops.engramctl.expand.default


def _mhc_on_cpu(
    X: Tensor, phi: Tensor, alpha: Tensor, bias: Tensor, m: Tensor | None, arrived: Tensor,
    iterations: int, hc_eps: float, rms_eps: float, paper: bool,
) -> tuple[Tensor, Tensor, Tensor]:  # fmt: skip
    return cpu_calls.mhc_coefficients(X, phi, alpha, bias, m, iterations, hc_eps, rms_eps, paper)


def _hc_on_cpu(
    X: Tensor, weight: Tensor, static: Tensor, scale: Tensor, m: Tensor | None, arrived: Tensor,
    eps: float,
) -> tuple[Tensor, Tensor, Tensor]:  # fmt: skip
    return cpu_calls.hc_coefficients(X, weight, static, scale, m, eps)


def _mhc_on_cuda(
    X: Tensor, phi: Tensor, alpha: Tensor, bias: Tensor, m: Tensor | None, arrived: Tensor,
    iterations: int, hc_eps: float, rms_eps: float, paper: bool,
) -> tuple[Tensor, Tensor, Tensor]:  # fmt: skip
    from engramctl.residual import cuda_kernels

    made = coefficients_for(X)
    cuda_kernels.mhc_coefficients(
        X, phi, alpha, bias, arrived, made, iterations, hc_eps, rms_eps, paper
    )
    return made


def _hc_on_cuda(
    X: Tensor, weight: Tensor, static: Tensor, scale: Tensor, m: Tensor | None, arrived: Tensor,
    eps: float,
) -> tuple[Tensor, Tensor, Tensor]:  # fmt: skip
    from engramctl.residual import cuda_kernels

    made = coefficients_for(X)
    cuda_kernels.hc_coefficients(X, weight, static, scale, arrived, made, eps)
    return made


def _collapse_on_cuda(X: Tensor, pre: Tensor) -> Tensor:
    from engramctl.residual import cuda_kernels

    u = _collapse_shape(X, pre)
    cuda_kernels.collapse(X, pre, u)
    return u


def _expand_on_cuda(
    X: Tensor, y: Tensor, post: Tensor, comb: Tensor, pre: Tensor | None
) -> tuple[Tensor, Tensor]:
    from engramctl.residual import cuda_kernels

    out, u = _expand_shape(X, y, post, comb, pre)
    cuda_kernels.expand(X, y, post, comb, pre, out, u)
    return out, u


def coefficients_for(X: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return empty pre (..., R), post (..., R), comb (..., R, R), float32, where X is."""
    one = X.shape[:-1]
    sizes = (one, one, (*one, X.shape[-2]))
    pre, post, comb = (X.new_empty(size, dtype=torch.float32) for size in sizes)
    return pre, post, comb


def _coefficients_shape(X: Tensor, *given: object) -> tuple[Tensor, Tensor, Tensor]:
    return coefficients_for(X)


def _collapse_shape(X: Tensor, pre: Tensor) -> Tensor:
    return X.new_empty((*X.shape[:-2], X.shape[-1]))


def _expand_shape(
    X: Tensor, y: Tensor, post: Tensor, comb: Tensor, pre: Tensor | None
) -> tuple[Tensor, Tensor]:
    size = (0, X.shape[-1]) if pre is None else (*X.shape[:-2], X.shape[-1])
    return torch.empty_like(X), X.new_empty(size)


for _name, _on_cpu, _on_cuda, _shape in (
    ("mhc_coefficients", _mhc_on_cpu, _mhc_on_cuda, _coefficients_shape),
    ("hc_coefficients", _hc_on_cpu, _hc_on_cuda, _coefficients_shape),
    ("collapse", cpu_calls.collapse, _collapse_on_cuda, _collapse_shape),
    ("expand", cpu_calls.expand, _expand_on_cuda, _expand_shape),
):
    _library.impl(_name, _on_cpu, "CPU")
    _library.impl(_name, _on_cuda, "CUDA")
    torch.library.register_fake(f"engramctl::{_name}", _shape, lib=_library)
