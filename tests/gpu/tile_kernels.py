"""DeepSeek's TileKernels as a peer of the fused residual: its calls, with the model's values.

`post_mult_value` and `sinkhorn_repeat` have other defaults there than the released models use.
"""

from collections.abc import Callable, Sequence
from importlib import import_module

import torch

from engramctl.residual.mhc import MhcCoefficients
from engramctl.residual.site import Branches
from engramctl.residual.sites import Site
from tests.gpu import Skipped

TILE_KERNELS = "tile-kernels"
POST_MULT = 2.0


def tile_sites(
    sites: Sequence[Site],
) -> Callable[[torch.Tensor, torch.Tensor], torch.Tensor]:
    """Return what does the residual's work of these sites: (X, y) -> branches of the last.

    Raises:
        Skipped: the package is not installed, or does not start here.
    """
    try:
        mhc_pre = import_module("tile_kernels.modeling.mhc").mhc_pre
        mhc_post = import_module("tile_kernels.modeling.mhc.ops.post").mhc_post
    except ModuleNotFoundError as error:
        raise Skipped(f"{error.name} is not installed: pip install {TILE_KERNELS}") from error
    except Exception as error:
        raise Skipped(f"{TILE_KERNELS} does not start here: {error}") from error
    given = []
    for site in sites:
        assert isinstance(site, Branches)
        mapping = site.mapping
        assert isinstance(mapping, MhcCoefficients)
        given.append((mapping.phi.T.contiguous(), mapping.alpha, mapping.bias, mapping.config))

    def work(X: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        out = X
        for fn, scale, base, config in given:
            try:
                _, (post, comb) = mhc_pre(
                    X, fn, scale, base, norm_eps=config.rms_eps, pre_eps=config.hc_eps,
                    sinkhorn_eps=config.hc_eps, sinkhorn_repeat=config.iterations,
                    post_mult_value=POST_MULT, mhc_mult=X.shape[-2],
                )  # fmt: skip
                out = mhc_post(y, X, post, comb)
            except (RuntimeError, ValueError, TypeError, AssertionError) as error:
                raise Skipped(f"{TILE_KERNELS} fails at this shape: {error}") from error
        return out

    return work
