"""The fused residual against plain torch, on the CPU: `python -m tests.benchmarks mhc`.

One sublayer's residual work a call. Weights of several sites in turn, as in a model: each comes
from memory. All on one core: torch's threads wait for each other, the worse the busier the machine.
"""

from collections.abc import Callable
from functools import partial

import torch

from engramctl.layers.config import DecoderConfig, ResidualConfig, ResidualKernels, ResidualMode
from engramctl.layers.init import Draw
from engramctl.residual.launches import launches_per_sublayer, sublayer
from engramctl.residual.sites import Site, make_site
from tests.benchmarks.gather_one_core import one_core
from tests.benchmarks.harness import Row, interleave, row

WIDTHS, TOKENS = (512, 2560), (1, 8, 64, 512)
MODES: tuple[ResidualMode, ...] = ("mhc", "single_pass")
KERNELS: tuple[ResidualKernels, ...] = ("fused", "eager")
SITES = 8
REST_S = 0.01  # torch's threads spin meanwhile


def run(quick: bool) -> list[Row]:
    """Return one row a mode, width, number of tokens and dtype."""
    rounds = 3 if quick else 7
    few = 3 if quick else 1
    kinds = [(mode, width, torch.float32) for mode in MODES for width in WIDTHS]
    kinds.append(("mhc", WIDTHS[-1], torch.bfloat16))
    with one_core(), torch.inference_mode():
        return [
            compared(mode, width, tokens, dtype, torch.device("cpu"), rounds)
            for mode, width, dtype in kinds
            for tokens in TOKENS[::few]
        ]


def compared(
    mode: ResidualMode, width: int, tokens: int, dtype: torch.dtype, device: torch.device,
    rounds: int,
) -> Row:  # fmt: skip
    """Time all sites of both kinds, a call each, until the device has done them.

    Raises:
        AssertionError: they give other branches.
    """
    generator = torch.Generator().manual_seed(0)
    X = torch.randn(1, tokens, 4, width, generator=generator).to(device, dtype)
    y = torch.randn(1, tokens, width, generator=generator).to(device, dtype)
    arms: dict[str, Callable[[], torch.Tensor]] = {}
    launches = {}
    for kernels in KERNELS:
        sites = made_sites(mode, kernels, width, dtype, device)
        launches[kernels] = launches_per_sublayer(sites[0], X, mode)
        arms[kernels] = partial(all_sites, sites, X, y, mode)
    ours, theirs = arms["fused"]().float(), arms["eager"]().float()
    near = 2.0**-6 if dtype == torch.bfloat16 else 1e-4
    torch.testing.assert_close(ours, theirs, rtol=near, atol=4 * near)
    seconds = interleave(arms, rounds, rest_s=REST_S)
    kind = str(dtype).removeprefix("torch.")
    return row(
        f"{mode}, {tokens} x 4 x {width} {kind}, a sublayer", "plain torch",
        [one / SITES for one in seconds["fused"]], [one / SITES for one in seconds["eager"]],
        target=1.0,
        bound=f"{launches['fused']} launches against {launches['eager']}, "
        f"{torch.get_num_threads()} threads",
    )  # fmt: skip


def made_sites(
    mode: ResidualMode, kernels: ResidualKernels, width: int, dtype: torch.dtype,
    device: torch.device,
) -> list[Site]:  # fmt: skip
    """Draw the sites of a model's sublayers, random ones."""
    config = shape(mode, kernels, width)
    return [make_site(config, at, Draw(at, dtype, device)) for at in range(SITES)]


def shape(mode: ResidualMode, kernels: ResidualKernels, width: int) -> DecoderConfig:
    """Return a model of two sublayers for each of SITES, of which only the residual counts."""
    residual = ResidualConfig(mode=mode, init="random", kernels=kernels)
    return DecoderConfig(
        width=width, num_layers=SITES, num_attention_heads=1, num_kv_heads=1,
        attention_head_dim=2, ffn_width=1, vocab_size=1, residual=residual,
    )  # fmt: skip


def all_sites(
    sites: list[Site], X: torch.Tensor, y: torch.Tensor, mode: ResidualMode
) -> torch.Tensor:
    """Do every site's work, or queue it; return the branches of the last."""
    for site in sites:
        out = sublayer(site, X, y, mode)
    return out
