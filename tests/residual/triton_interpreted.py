"""Run by test_cuda in a process of its own: the CUDA kernels through Triton's interpreter.

Prints one line a case: its name, and "same" or what differs. A bfloat16 is rounded by the
interpreter as numpy does, which may be to the other neighbour.
"""

from typing import Any

import torch
from torch import Tensor

from engramctl.residual import cuda_kernels, operators
from engramctl.residual.site import Branches
from tests.residual.sites import branches_and_output, pair

CASES = [  # tokens, branches, width, dtype
    (1, 4, 160, torch.float32),
    (3, 4, 100, torch.bfloat16),
    (17, 3, 33, torch.float32),
    (5, 1, 20, torch.float32),
    (2, 5, 40, torch.bfloat16),
    (1, 2, 1100, torch.float32),
    (0, 4, 16, torch.float32),
]


def main() -> None:
    for tokens, branches, width, dtype in CASES:
        X, y = branches_and_output((1, tokens, branches, width), dtype)
        for mode in ("mhc", "hc"):
            for form in ("paper", "release"):
                plain, fused = pair(width, branches, dtype, mode=mode, form=form)
                name = f"{mode} {form}, {tokens} x {branches} x {width} {dtype}"
                print(f"{name}: {compared(plain, fused, X, y)}")


def compared(plain: Branches, fused: Branches, X: Tensor, y: Tensor) -> str:
    """The second call finds the counters that the first one left."""
    mapping: Any = plain.mapping
    arrived = torch.zeros(operators.ARRIVALS, dtype=torch.int32)
    expected = plain.coeff(X)
    for _ in range(2):
        made = operators.coefficients_for(X)
        for one in made:
            one.fill_(-7)
        if hasattr(mapping, "phi"):
            config = mapping.config
            paper = config.form == "paper"
            cuda_kernels.mhc_coefficients(
                X, mapping.phi, mapping.alpha, mapping.bias, arrived, made, config.iterations,
                0.0 if paper else config.hc_eps, config.rms_eps, paper,
            )  # fmt: skip
        else:
            cuda_kernels.hc_coefficients(
                X, mapping.weight, mapping.static, mapping.scale, arrived, made, mapping.eps
            )
    u, ahead, out, alone = X[:, :, 0].clone(), X[:, :, 0].clone(), X.clone(), X.clone()
    cuda_kernels.collapse(X, expected.pre_BTR.contiguous(), u)
    parts = [part.contiguous() for part in expected]
    cuda_kernels.expand(X, y, parts[1], parts[2], parts[0], out, ahead)
    cuda_kernels.expand(X, y, parts[1], parts[2], None, alone, X.new_empty(0, X.shape[-1]))
    next_X, _ = plain.advance(X, y, expected, ahead=False)
    pairs = {
        "pre": (made[0], expected[0]), "post": (made[1], expected[1]),
        "comb": (made[2], expected[2]), "u": (u, plain.collapse(X, expected[0])),
        "X": (out, next_X), "X alone": (alone, out),
        "ahead": (ahead, plain.collapse(out, expected[0])),
    }  # fmt: skip
    if bool(arrived.any()):
        return "counters are not 0 again"
    for name, (found, right) in pairs.items():
        near = 2.0**-7 if found.dtype == torch.bfloat16 else 1e-5
        if not torch.allclose(found.float(), right.float(), rtol=near, atol=near):
            return f"{name} differs by {(found.float() - right.float()).abs().max()}"
    return "same"


if __name__ == "__main__":
    main()
