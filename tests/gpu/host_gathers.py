"""Rows from pinned host memory: a step read in place, a batch copied, and what is pinned for it."""

import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import torch

from engramctl.storage import open_store
from engramctl.storage.pinned.pinned import PinnedMemory
from engramctl.storage.tiers.pinned_host import PinnedHostStore
from tests.benchmarks.gather import packed_table
from tests.benchmarks.harness import Row, interleave, row
from tests.gpu.gathers import check, gathered, wait

SLOTS = 80_000  # a head: 507 MB of f8_e4m3, and 1 GB of the bfloat16 that its peer reads
STEP_ROWS, BATCH_ROWS = 48, 786_432  # a token of DeepSeek-V4.1; 208 MB, far more than the buffers
ROUNDS, CALLS = 21, 100  # calls of a graph: what is between two is counted with them
STEP_S, OVER_CPU, OF_A_COPY, OF_THE_TABLE = 12e-6, 5.0, 0.85, 1 / 1.01


def run() -> list[Row]:
    """Return the rows of a table like DeepSeek-V4.1's, pinned for the current device."""
    with tempfile.TemporaryDirectory() as folder:
        table = packed_table(Path(folder) / "table", "f8_e4m3", SLOTS)
        with open_store(table.path, "host", device="cuda") as store:
            assert isinstance(store, PinnedHostStore)
            return rows(store, BATCH_ROWS, ROUNDS)


def rows(store: PinnedHostStore, batch: int, rounds: int) -> list[Row]:
    """Measure a store on its device, which may be a CPU.

    Raises:
        AssertionError: rows differ from the plain reader's, or a peer's from ours.
    """
    return [
        in_place(store, rounds),
        wall_to_wall(store, rounds),
        copied(store, batch, rounds),
        pinned(store),
    ]


def in_place(store: PinnedHostStore, rounds: int) -> Row:
    """Time steps whose ids are on the device: of a graph of many, one's share."""
    layer, name = store.layers[0], f"gather {STEP_ROWS} rows in place from pinned host memory"
    random = np.random.default_rng(1)
    ids = random.integers(0, store.num_rows(layer), (CALLS, STEP_ROWS))
    there = torch.from_numpy(ids).to(store.device)
    out = torch.empty((CALLS, STEP_ROWS, store.row_dim), dtype=store.dtype, device=store.device)

    def steps() -> None:
        for number in range(CALLS):
            store.gather(layer, there[number], out[number])

    steps()  # compiles; what a capture may not do
    replay = graph_of(steps, store.device)
    check(replay, store, layer, ids.ravel(), out.view(-1, store.row_dim))
    seconds = [seconds_of(replay, store.device) / CALLS for _ in range(rounds)]
    store.check_ids()
    return row(
        name, f"{STEP_S * 1e6:.0f} us of the device's time", seconds, [STEP_S], target=1.0,
        bound=f"of CUDA events around one graph of {CALLS}; {store.engine_chosen_because}",
    )  # fmt: skip


def graph_of(call: Callable[[], None], device: torch.device) -> Callable[[], None]:
    """Return what replays a call from a CUDA graph; on a CPU, the call itself."""
    if device.type != "cuda":
        return call
    graph = torch.cuda.CUDAGraph()
    torch.cuda.synchronize(device)
    with torch.cuda.graph(graph):
        call()
    return graph.replay


def seconds_of(call: Callable[[], None], device: torch.device) -> float:
    """Return what a call takes: on a CUDA device by events, when nothing is queued before it."""
    wait(device)
    if device.type != "cuda":
        began = time.perf_counter()
        call()
        return time.perf_counter() - began
    start, stop = (torch.cuda.Event(enable_timing=True) for _ in range(2))  # type: ignore[no-untyped-call]
    start.record()
    call()
    stop.record()
    wait(device)
    return float(start.elapsed_time(stop)) / 1e3


def wall_to_wall(store: PinnedHostStore, rounds: int) -> Row:
    """Time a step from ids on the CPU to rows on the device, beside torch's way."""
    layer, random = store.layers[0], np.random.default_rng(2)
    width = store.row_dim
    table = torch.empty((store.num_rows(layer), width), dtype=store.dtype)
    for start in range(0, len(table), 1 << 16):
        some = np.arange(start, min(start + (1 << 16), len(table)))
        table[start : start + len(some)] = store.gather(layer, some).cpu()
    batches = random.integers(0, len(table), (CALLS, STEP_ROWS))
    out = torch.empty((STEP_ROWS, width), dtype=store.dtype, device=store.device)

    def ours() -> None:
        for ids in batches:
            gathered(store, layer, ids, out)

    def theirs() -> None:
        for ids in batches:
            found = torch.nn.functional.embedding(torch.from_numpy(ids), table)
            out.copy_(found.to(store.device))
            wait(store.device)

    for arm in (ours, theirs):
        check(arm, store, layer, batches[-1], out)
    seconds = interleave({"ours": ours, "theirs": theirs}, rounds)
    return row(
        f"gather {STEP_ROWS} rows from host memory to the device, wall to wall",
        "torch: embedding of bfloat16 on the CPU, then to the device",
        *([one / CALLS for one in seconds[name]] for name in ("ours", "theirs")),
        target=OVER_CPU, bound="calls from Python, one launch, reads over the bus",
    )  # fmt: skip


def copied(store: PinnedHostStore, batch: int, rounds: int) -> Row:
    """Time a large gather, beside one copy of as many records from pinned memory."""
    layer, width = store.layers[0], store.table.record.record_bytes
    ids = np.random.default_rng(3).integers(0, store.num_rows(layer), batch)
    out = torch.empty((batch, store.row_dim), dtype=store.dtype, device=store.device)
    on_gpu = store.device.type == "cuda"
    source = PinnedMemory(batch * width, device=store.device if on_gpu else None)
    try:
        there = torch.empty(batch * width, dtype=torch.uint8, device=store.device)
        records = source.tensor

        def copy() -> None:
            there.copy_(records, non_blocking=True)
            wait(store.device)

        ours = partial(gathered, store, layer, ids, out)
        check(ours, store, layer, ids, out)
        copy()
        seconds = interleave({"ours": ours, "copy": copy}, rounds)
    finally:
        wait(store.device)
        source.close()
    return row(
        f"gather {batch:,} rows from host memory to the device", "one copy of pinned records",
        seconds["ours"], seconds["copy"], target=OF_A_COPY, work=batch * width, unit="bytes/s",
        bound=f"the bus, or the CPU's gather; {store.crossover.why}",
    )  # fmt: skip


def pinned(store: PinnedHostStore) -> Row:
    """Hold the bytes pinned for the table against its own."""
    table = sum(map(store.num_rows, store.layers)) * store.table.record.record_bytes
    found = store.facts
    had = float(found["mapped_bytes"])
    return row(
        "bytes pinned for the table", "the table's own", [had], [float(table)],
        target=OF_THE_TABLE, unit="bytes",
        bound=f"{found['staging_bytes']:,} more for copies; {found['numa_why']}; in huge pages: "
        f"{found['huge_page_bytes']}",
    )  # fmt: skip
