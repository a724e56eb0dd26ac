"""Gather and dequantise within device memory: beside a copy's rate, and beside torch operations."""

import time
from collections.abc import Callable

import numpy as np
import torch

from engramctl.storage.device.bad_ids import BadIds
from engramctl.storage.device.gathering import Gathering
from engramctl.storage.device.torch_codecs import widen
from engramctl.storage.record.codecs import decode
from engramctl.storage.record.record import RecordSpec
from tests.benchmarks.harness import Row, row

SPECS = (RecordSpec("f8_e4m3", 256), RecordSpec("nvfp4", 160))  # DeepSeek-V4.1, Qwen3.8
TABLE_ROWS, COUNT = 9 << 20, 1 << 20  # of f8_e4m3 2.5 GB, and 0.8 GB moved: many times the cache
ROUNDS, CALLS = 15, 5  # calls a sample: the host's work for one is behind the device's for another
OF_A_COPY, OVER_TORCH = 0.7, 1.3
CHECKED = 2000
POISON = -3.0e38
Arms = dict[str, Callable[[], object]]


def rows(device: torch.device) -> list[Row]:
    """Return two rows a geometry."""
    return [one for spec in SPECS for one in compared(spec, TABLE_ROWS, COUNT, device, ROUNDS)]


def compared(
    spec: RecordSpec, table_rows: int, count: int, device: torch.device, rounds: int
) -> list[Row]:
    """Time gathers of random rows into bfloat16.

    Raises:
        AssertionError: the kernel returns other rows than the plain decoder, or than torch.
    """
    generator = torch.Generator(device).manual_seed(1)
    shape = (table_rows, spec.record_bytes)  # bytes below 0x7F: no code or scale is NaN
    records = torch.randint(0, 127, shape, dtype=torch.uint8, device=device, generator=generator)
    ids = torch.randint(0, table_rows, (count,), device=device, generator=generator)
    out = torch.full((count, spec.row_dim), POISON, dtype=torch.bfloat16, device=device)
    other = torch.empty_like(out)
    gathering, bad = Gathering(spec, device, torch.bfloat16), BadIds(device)
    words = records.view(torch.int64 if spec.record_bytes % 8 == 0 else torch.int16)

    def by_torch() -> torch.Tensor:
        found = words.index_select(0, ids).view(torch.uint8)
        return other.copy_(widen(spec, found, 1.0))

    arms: Arms = {
        "ours": lambda: gathering.gather(records, ids, 1.0, out, bad=bad.tensor),
        "torch": by_torch,
        "copy": lambda: other.copy_(out),
    }
    arms["ours"]()
    check(spec, records, ids, out)
    other.fill_(POISON)
    arms["torch"]()
    assert torch.equal(out, other), "torch has other rows"
    assert bad.check() is None
    seconds = timed(arms, device, rounds)
    moved, copied = count * spec.record_bytes + out.nbytes, 2 * out.nbytes
    name = f"gather {count:,} rows of {spec.dtype}, {spec.row_dim} values, in device memory"
    by = f"by {gathering.kernel}: {gathering.why}"
    return [
        row(
            name, "a copy within the device", [one / moved for one in seconds["ours"]],
            [one / copied for one in seconds["copy"]], target=OF_A_COPY, work=1.0,
            unit="bytes/s", bound=f"records read and rows written; {by}",
        ),
        row(
            name, "torch: index_select, then dequantise", seconds["ours"], seconds["torch"],
            target=OVER_TORCH, work=count, unit="rows/s", bound=by,
        ),
    ]  # fmt: skip


def check(spec: RecordSpec, records: torch.Tensor, ids: torch.Tensor, out: torch.Tensor) -> None:
    """The rows of some ids, and of the first and the last, must be the plain decoder's."""
    some = np.random.default_rng(0).integers(0, len(ids), CHECKED)
    some[:2] = 0, len(ids) - 1
    places = torch.from_numpy(some).to(ids.device)
    expected = decode(spec, records[ids[places]].cpu().numpy(), 1.0)
    assert torch.equal(out[places].cpu(), torch.from_numpy(expected).to(out.dtype)), "other rows"
    assert not bool((out == POISON).any()), "rows left out"


def timed(arms: Arms, device: torch.device, rounds: int) -> dict[str, list[float]]:
    """Return seconds a call, interleaved: the device's own, or a CPU's."""
    seconds: dict[str, list[float]] = {name: [] for name in arms}
    for number in range(rounds):
        for name in list(arms)[:: 1 if number % 2 else -1]:
            seconds[name].append(seconds_of(arms[name], device) / CALLS)
    return seconds


def seconds_of(arm: Callable[[], object], device: torch.device) -> float:
    """Return what some calls in a row take."""
    if device.type != "cuda":
        began = time.perf_counter()
        for _ in range(CALLS):
            arm()
        return time.perf_counter() - began
    start, stop = (torch.cuda.Event(enable_timing=True) for _ in range(2))  # type: ignore[no-untyped-call]
    torch.cuda.synchronize(device)
    start.record()
    for _ in range(CALLS):
        arm()
    stop.record()
    torch.cuda.synchronize(device)
    return float(start.elapsed_time(stop)) / 1e3
