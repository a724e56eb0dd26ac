"""Which class a sublayer's residual site has, by mode and kernels."""

from engramctl.layers.config import DecoderConfig
from engramctl.layers.init import Draw
from engramctl.residual.site import Branches, PreNorm

Site = PreNorm | Branches


def make_site(config: DecoderConfig, site: int, draw: Draw) -> Site:
    """Return the residual site of sublayer `site` for the configured mode.

    Raises:
        ValueError: fused kernels for a dtype they lack.
    """
    if config.residual.mode == "none":
        return PreNorm(draw)
    if config.residual.kernels == "fused":
        from engramctl.residual.fused import FusedBranches  # brings numba, which eager needs not

        return FusedBranches(config, site, draw)
    return Branches(config, site, draw)
