"""What the residual takes of a step, and the least it could: measured on a model's own sites.

Every site of a decoder works once, in order, on branches of a step's shape, so that each reads its
own weights; the sublayers between are left out. The floor is the bytes that must move (mHC, arXiv
2512.24880, table 2, and every site's weights once) at the rate of a plain copy.
"""

import statistics
import time
from dataclasses import dataclass

import torch

from engramctl.model.cost import residual_bytes
from engramctl.model.decoder import Decoder, Layer
from engramctl.model.graphed import captured
from engramctl.residual.launches import launches_per_sublayer, sublayer

_ROUNDS = 5
_COPIED_BYTES = {"cpu": 1 << 26, "cuda": 1 << 28}  # more than a cache holds
_COPIES = {"cpu": 1, "cuda": 8}  # begun together, so that a launch takes no share of the time


@dataclass(frozen=True)
class ResidualTime:
    """Of one step.

    Attributes:
        kernels: `fused` or `eager`.
        launches_per_sublayer: see `engramctl.residual.launches`.
        threads: of torch, and so of fused kernels on a CPU.
        time_ns: of all sublayers, median.
        floor_ns: what moving their bytes takes.
    """

    kernels: str
    launches_per_sublayer: int
    threads: int
    time_ns: int
    floor_ns: int


def residual_time(
    model: Decoder, batch: int, tokens: int, *, graphed: bool = False
) -> ResidualTime:
    """Measure the residual of a step of `batch` sequences, `tokens` tokens each.

    Waits for the device, a few times. Of a step that is replayed from CUDA graphs (`graphed`) it is
    replayed too.
    """
    config, device = model.config, model.device
    mode = config.residual.mode
    sites = [
        site
        for layer in model.layers
        if isinstance(layer, Layer)
        for site in (layer.attention_site, layer.ffn_site)
    ]
    shape = (batch, tokens, config.num_branches, config.width)
    drawn = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    X = drawn.to(device, model.dtype)
    y = torch.zeros_like(X[:, :, 0])
    launches = launches_per_sublayer(sites[0], X, mode)
    times = []

    def all_sites() -> None:
        for site in sites:
            sublayer(site, X, y, mode)

    with torch.inference_mode():
        work = captured(all_sites, device) if graphed else all_sites
        for _ in range(1 + _ROUNDS):
            _wait(device)
            started = time.perf_counter_ns()
            work()
            _wait(device)
            times.append(time.perf_counter_ns() - started)
    moved = residual_bytes(config, batch * tokens, model.dtype.itemsize)
    return ResidualTime(
        kernels=config.residual.kernels,
        launches_per_sublayer=launches,
        threads=torch.get_num_threads(),
        time_ns=round(statistics.median(times[1:])),
        floor_ns=round(moved / copied_bytes_per_s(device) * 1e9),
    )


def copied_bytes_per_s(device: torch.device) -> float:
    """Return bytes read and written a second by the best of a few copies on a device."""
    num_bytes, copies = _COPIED_BYTES[device.type], _COPIES[device.type]
    source = torch.zeros(num_bytes, dtype=torch.uint8, device=device)
    target = torch.empty_like(source)
    best = float("inf")
    for _ in range(_ROUNDS):
        _wait(device)
        started = time.perf_counter()
        for _ in range(copies):
            target.copy_(source)
        _wait(device)
        best = min(best, time.perf_counter() - started)
    return 2 * num_bytes * copies / best


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
