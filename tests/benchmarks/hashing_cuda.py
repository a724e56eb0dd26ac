"""24 row ids a token on a GPU: the Triton kernel against torch operations on the same device."""

from collections.abc import Callable
from statistics import median

import numpy as np
import torch

from engramctl.hashing import make_scheme
from engramctl.hashing.kernels.choice import kernel
from engramctl.hashing.kernels.device import DeviceWalk
from tests.benchmarks.harness import Row, row, skipped

NAME, PEER, TARGET = "hash prefill on CUDA, V4.1 primes", "torch operations, same GPU", 5.0
Arm = Callable[[], object]


def run(quick: bool) -> list[Row]:
    """All heads of one layer, ids on the device, int32 rows out; the share of the fill rate."""
    if not torch.cuda.is_available():
        return [skipped(NAME, PEER, "needs a CUDA device", TARGET)]
    if kernel("cuda") != "triton":
        return [skipped(NAME, PEER, "triton is not installed", TARGET)]
    tokens, rounds = (1 << 20, 5) if quick else (1 << 24, 21)
    return [measured(torch.device("cuda"), tokens, rounds, cuda_seconds)]


def measured(
    device: torch.device, tokens: int, rounds: int, seconds_of: Callable[[Arm], float]
) -> Row:
    """Compare both walks with each other, and with the CPU's; then time them and a plain fill."""
    from engramctl.hashing.kernels.triton_walk import TritonWalk

    scheme = make_scheme("deepseek-v41", vocab_size=99_092)
    plan = scheme.plans[scheme.layers[0]]
    ids_BT = torch.randint(0, scheme.vocab_size, (1, tokens), device=device)
    past_BC = torch.zeros((1, scheme.max_order - 1), dtype=torch.int64, device=device)
    out, other = (
        torch.full((1, tokens, scheme.num_heads), -7, dtype=torch.int32, device=device)
        for _ in range(2)
    )
    ours, theirs = TritonWalk(plan, device), DeviceWalk(plan, device)
    arms: dict[str, Arm] = {
        "ours": lambda: ours(ids_BT, past_BC, out),
        "torch": lambda: theirs(ids_BT, past_BC, other),
        "fill": lambda: out.fill_(1),
    }
    for arm in ("ours", "torch"):
        arms[arm]()
    assert torch.equal(out, other)
    some_BT, history_BC = ids_BT[:, :4096].cpu().numpy(), past_BC.cpu().numpy()
    expected = scheme.row_ids(some_BT, scheme.layers[0], history_BC)
    assert np.array_equal(out[:, :4096].cpu().numpy(), expected)
    seconds: dict[str, list[float]] = {name: [] for name in arms}
    for number in range(rounds):
        for name in list(arms)[:: 1 if number % 2 else -1]:
            seconds[name].append(seconds_of(arms[name]))
    share = median(seconds["fill"]) / median(seconds["ours"])
    return row(
        NAME, PEER, seconds["ours"], seconds["torch"], target=TARGET, work=tokens,
        unit="tokens/s",
        bound=f"writing 96 bytes a token; {100 * share:.0f} % of the measured fill rate",
    )  # fmt: skip


def cuda_seconds(action: Arm) -> float:
    """Time one call by CUDA events; what came before has ended."""
    torch.cuda.synchronize()
    start, stop = (torch.cuda.Event(enable_timing=True) for _ in range(2))  # type: ignore[no-untyped-call]
    start.record()
    action()
    stop.record()
    torch.cuda.synchronize()
    return float(start.elapsed_time(stop)) / 1000
