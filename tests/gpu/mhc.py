"""The fused residual beside plain torch, the floor of its bytes, and DeepSeek's tile-kernels.

All sites of a model one behind the other, replayed from a CUDA graph as a decode step is: launches
by the host are in no arm's time.
"""

from collections.abc import Callable, Iterator
from functools import partial

import torch

from engramctl.layers.config import ResidualMode
from engramctl.model.cost import residual_bytes
from engramctl.model.graphed import captured
from engramctl.model.residual_time import copied_bytes_per_s
from tests.benchmarks.harness import Row, interleave, row, skipped
from tests.benchmarks.mhc import MODES, SITES, all_sites, made_sites, shape
from tests.gpu import Skipped
from tests.gpu.gathers import wait
from tests.gpu.tile_kernels import TILE_KERNELS, tile_sites

WIDTHS, TOKENS, ROUNDS = (2560, 4096), (1, 8, 64, 4096), 15
TARGET = 0.5  # at most twice the floor
BRANCHES = 4
Arm = Callable[[], object]


def run() -> Iterator[Row]:
    """Return rows for every mode, width and number of tokens, each as it is measured."""
    return measured(torch.device("cuda"), WIDTHS, TOKENS, ROUNDS)


def measured(
    device: torch.device, widths: tuple[int, ...], tokens: tuple[int, ...], rounds: int
) -> Iterator[Row]:
    """Yield a row against each peer."""
    rate = copied_bytes_per_s(device)
    with torch.inference_mode():
        for mode in MODES:
            for width in widths:
                for count in tokens:
                    yield from compared(mode, width, count, device, rounds, rate)


def compared(
    mode: ResidualMode, width: int, tokens: int, device: torch.device, rounds: int, rate: float
) -> Iterator[Row]:
    """Time one shape, bfloat16, and yield a row for each peer; `rate` is of a copy, in bytes/s.

    Raises:
        AssertionError: the fused residual gives other branches than plain torch.
    """
    generator = torch.Generator(device).manual_seed(0)
    X, y = (
        torch.randn(shape, generator=generator, device=device).to(torch.bfloat16)
        for shape in ((1, tokens, BRANCHES, width), (1, tokens, width))
    )
    fused, eager = (
        made_sites(mode, kernels, width, torch.bfloat16, device) for kernels in ("fused", "eager")
    )
    work: dict[str, Callable[[], torch.Tensor]] = {
        "fused": partial(all_sites, fused, X, y, mode),
        "eager": partial(all_sites, eager, X, y, mode),
    }
    expected = work["eager"]().float()
    check_branches(work["fused"](), expected, "fused")
    arms = {name: replayed(arm, device) for name, arm in work.items()}
    reason = f"{TILE_KERNELS} has no single-pass form"
    if mode == "mhc":
        try:
            peer = partial(tile_sites(eager), X, y)
            check_branches(peer(), expected, TILE_KERNELS)
            arms[TILE_KERNELS] = replayed(peer, device)
        except (Skipped, AssertionError, RuntimeError) as why:
            reason = str(why)
    seconds = interleave(arms, rounds)
    of_one = {name: [one / SITES for one in found] for name, found in seconds.items()}
    what = f"{mode}, {tokens} x {BRANCHES} x {width} bfloat16, a sublayer"
    floor = floor_bytes(mode, width, tokens) / rate
    yield row(what, "plain torch", of_one["fused"], of_one["eager"], target=1.0)
    yield row(
        what, "floor: its bytes at a copy's rate", of_one["fused"], [floor] * rounds,
        target=TARGET, bound=f"{rate / 1e9:.3g} GB/s",
    )  # fmt: skip
    if TILE_KERNELS in of_one:
        yield row(what, TILE_KERNELS, of_one["fused"], of_one[TILE_KERNELS], target=1.0)
    else:
        yield skipped(what, TILE_KERNELS, reason, target=1.0)


def check_branches(found: torch.Tensor, expected: torch.Tensor, name: str) -> None:
    """Refuse branches that are not about the expected ones."""
    torch.testing.assert_close(
        found.float(), expected, rtol=2e-2, atol=6e-2, msg=f"{name} gives other branches"
    )


def floor_bytes(mode: ResidualMode, width: int, tokens: int) -> float:
    """Return the bytes one sublayer must move, as `bench` counts them: branches and weights."""
    return residual_bytes(shape(mode, "fused", width), tokens, 2) / (2 * SITES)


def replayed(arm: Arm, device: torch.device) -> Arm:
    """Return what does an arm's work from a CUDA graph, and waits until it is done."""
    work = captured(arm, device)

    def run() -> None:
        work()
        wait(device)

    return run
