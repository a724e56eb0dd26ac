"""24 row ids a token on a GPU: the Triton kernel against torch operations on the same device.

Both find bad token ids later, so that neither waits: a decode step is a matter of launches, one
against some fifty, and of the kernels alone when it is replayed from a CUDA graph.
"""

from collections.abc import Callable
from statistics import median

import numpy as np
import torch

from engramctl.hashing import make_scheme
from engramctl.hashing.kernels.choice import kernel
from engramctl.hashing.kernels.device import DeviceWalk
from engramctl.model.graphed import captured
from tests.benchmarks.harness import Row, row, skipped

NAME, PEER, TARGET = "hashing on the device, V4.1 primes", "torch operations, same GPU", 5.0
STEPS = (1, 64)  # sequences, a token each
PROMPT, BATCH = 1 << 14, 1 << 24  # tokens
Arm = Callable[[], object]


def run(quick: bool) -> list[Row]:
    """All heads of one layer, ids on the device, int32 rows out; the share of the fill rate."""
    if not torch.cuda.is_available():
        return [skipped(NAME, PEER, "needs a CUDA device", TARGET)]
    if kernel("cuda") != "triton":
        return [skipped(NAME, PEER, "triton is not installed", TARGET)]
    device = torch.device("cuda", torch.cuda.current_device())
    rounds = 21 if quick else 101
    rows = []
    for graphed in (False, True):
        rows += [
            measured(device, batch, rounds, cuda_seconds, batch=batch, graphed=graphed)
            for batch in STEPS
        ]
        rows.append(measured(device, PROMPT, rounds, cuda_seconds, graphed=graphed))
    tokens, rounds = (1 << 20, 5) if quick else (BATCH, 21)
    return [*rows, measured(device, tokens, rounds, cuda_seconds)]


def measured(
    device: torch.device,
    tokens: int,
    rounds: int,
    seconds_of: Callable[[Arm], float],
    *,
    batch: int = 1,
    graphed: bool = False,
) -> Row:
    """Compare both walks with each other, and with the CPU's; then time them and a plain fill.

    Args:
        device: of the ids.
        tokens: of all sequences together.
        rounds: samples an arm.
        seconds_of: how long one call takes.
        batch: sequences.
        graphed: replay each arm from a CUDA graph, where the device has them.
    """
    from engramctl.hashing.kernels.triton_walk import TritonWalk

    scheme = make_scheme("deepseek-v41", vocab_size=99_092)
    plan = scheme.plans[scheme.layers[0]]
    length, context = tokens // batch, scheme.max_order - 1
    ids_BT = torch.randint(0, scheme.vocab_size, (batch, length), device=device)
    past_BC = torch.randint(0, scheme.vocab_size, (batch, context), device=device)
    out, other = (
        torch.full((batch, length, scheme.num_heads), -7, dtype=torch.int32, device=device)
        for _ in range(2)
    )
    ours, theirs = TritonWalk(plan, device), DeviceWalk(plan, device)
    arms: dict[str, Arm] = {
        "ours": lambda: ours(ids_BT, past_BC, out, later=True),
        "torch": lambda: theirs(ids_BT, past_BC, other, later=True),
        "fill": lambda: out.fill_(1),
    }
    if graphed:
        arms = {name: captured(arm, device) for name, arm in arms.items()}
        out.fill_(-7)
        other.fill_(-7)
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
    what = f"{length:,} tokens" if batch == 1 else f"{batch} sequences, {length:,} token each"
    return row(
        f"{NAME}: {what}{', from a CUDA graph' if graphed else ''}",
        PEER, seconds["ours"], seconds["torch"], target=TARGET, work=tokens, unit="tokens/s",
        bound=f"writing 96 bytes a token; a fill of them takes {100 * share:.0f} % of the time",
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
