"""A residual site of fused kernels: two launches a sublayer in single-pass mode, else three.

Equal to the plain site but for the order of sums. On CUDA each is one kernel: coefficients (the
product with phi, the norm, sigmoids, Sinkhorn), collapse, expand; where the next input mix is known
(single-pass mode) expand makes the next sublayer's input in the same pass. On a CPU the kernels are
numba's, on as many threads as torch has. There one token's product with phi is a part of its
kernel; from two tokens on BLAS makes it (measured, widths 512 and 2560: at 1 token the kernel is
as fast, at 8 BLAS takes a third of its time, at 64 and more a tenth).

Shapes: B sequences, T tokens, D model width, R branches.
"""

import torch
from torch import Tensor

from engramctl.layers.config import DecoderConfig
from engramctl.layers.init import Draw
from engramctl.layers.norm import wide
from engramctl.residual import operators
from engramctl.residual.hc import HcCoefficients
from engramctl.residual.mhc import Coefficients, MhcCoefficients
from engramctl.residual.site import Branches

DTYPES = (torch.float32, torch.bfloat16)
_FEW_TOKENS = 1  # of a CPU, whose product is a part of the kernel


class FusedBranches(Branches):
    """Modes `hc`, `mhc` and `single_pass` in fused kernels."""

    arrived: Tensor

    def __init__(self, config: DecoderConfig, site: int, draw: Draw) -> None:
        """Draw the mapping of sublayer `site`, as the plain site does.

        Raises:
            ValueError: a dtype the kernels lack.
        """
        super().__init__(config, site, draw)
        if draw.dtype not in DTYPES:
            raise ValueError(
                f"fused residual kernels take float32 and bfloat16, found {draw.dtype}: "
                "choose eager ones"
            )
        counts = torch.zeros(operators.ARRIVALS, dtype=torch.int32, device=draw.device)
        self.register_buffer("arrived", counts, persistent=False)

    def coeff(self, X_BTRD: Tensor) -> Coefficients:
        """Return pre (B, T, R), post (B, T, R), comb (B, T, R, R), float32."""
        mapping, X = self.mapping, X_BTRD.contiguous()
        if isinstance(mapping, HcCoefficients):
            m = _product(X, X.shape[:-1].numel(), mapping.weight)
            made = operators.hc_coefficients(
                X, mapping.weight, mapping.static, mapping.scale, m, self.arrived, mapping.eps
            )
            return Coefficients(*made)
        assert isinstance(mapping, MhcCoefficients)
        config = mapping.config
        paper = config.form == "paper"
        made = operators.mhc_coefficients(
            X, mapping.phi, mapping.alpha, mapping.bias,
            _product(X, X.shape[:-2].numel(), mapping.phi), self.arrived, config.iterations,
            0.0 if paper else config.hc_eps, config.rms_eps, paper,
        )  # fmt: skip
        return Coefficients(*made)

    def collapse(self, X_BTRD: Tensor, pre_BTR: Tensor) -> Tensor:
        """Return u (B, T, D) in the dtype of X."""
        u: Tensor = operators.collapse(X_BTRD.contiguous(), pre_BTR.contiguous())
        return u

    def advance(
        self, X_BTRD: Tensor, y_BTD: Tensor, given: Coefficients, *, ahead: bool
    ) -> tuple[Tensor, Tensor | None]:
        """Return the branches after the sublayer, and the next one's input; see `Branches`."""
        X_next, u = operators.expand(
            X_BTRD.contiguous(), y_BTD.contiguous(), given.post_BTR, given.comb_BTRR,
            given.pre_BTR if ahead else None,
        )  # fmt: skip
        return X_next, u if ahead else None


def _product(X: Tensor, rows: int, weight: Tensor) -> Tensor | None:
    """Return X @ weight (rows, Z) in float32 where torch's product is faster than the kernel's."""
    if not X.is_cpu or X.shape[:-2].numel() <= _FEW_TOKENS:
        return None
    return torch.mm(wide(X).view(rows, -1), weight)
