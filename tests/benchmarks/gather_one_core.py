"""What a gather costs on one core: batches of every dtype, copies, and calls from Python."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import numpy as np
import torch

from engramctl.storage import Store, open_store
from engramctl.storage.io.gather import gather
from engramctl.storage.reading.table import open_table
from engramctl.storage.record.dtypes import DTYPES
from engramctl.storage.record.record import RecordSpec
from tests.benchmarks.harness import Row, interleave, row
from tests.helpers.row_maps import map_of

BATCH_ROWS = 49_152
ROW_DIM = {"f8_e4m3": 256, "bf16": 256, "f32": 256}  # of the others 160, as in Qwen's
TABLE_BYTES = 1 << 30
STEP_ROWS, PREFETCHED_ROWS, CALLS = 24, 48, 200
PREFETCH_S = 15e-6


@contextmanager
def one_core() -> Iterator[None]:
    """This process on one processor, torch on one thread."""
    allowed, threads = os.sched_getaffinity(0), torch.get_num_threads()
    os.sched_setaffinity(0, {max(allowed)})
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
        os.sched_setaffinity(0, allowed)


def batches(rounds: int) -> list[Row]:
    """A batch of each dtype by the kernel: records a second against f8_e4m3's, in bytes."""
    random = np.random.default_rng(0)
    data = random.integers(0, 256, TABLE_BYTES, dtype=np.uint8)
    arms: dict[str, Callable[[], object]] = {}
    sizes = {}
    for dtype in DTYPES:
        record = RecordSpec(dtype, ROW_DIM.get(dtype, 160))
        count = len(data) // record.record_bytes
        rows = data[: count * record.record_bytes].reshape(count, -1)
        ids = random.integers(0, count, BATCH_ROWS)
        plain = torch.float32 if dtype == "f32" else torch.bfloat16
        out = torch.empty(BATCH_ROWS, record.row_dim, dtype=plain)
        arms[dtype] = partial(gather, ids, map_of(record, rows), out)
        sizes[dtype] = record.record_bytes
        if dtype in ("bf16", "f32"):
            word = torch.int16 if dtype == "bf16" else torch.int32
            theirs = torch.from_numpy(rows).view(word)
            copy = torch.empty(out.shape, dtype=word)
            arms[f"{dtype} torch"] = partial(
                torch.index_select, theirs, 0, torch.from_numpy(ids), out=copy
            )
            arms[f"{dtype} numpy"] = partial(
                np.take, theirs.numpy(), ids, axis=0, out=copy.numpy(), mode="clip"
            )
            arms[dtype]()
            for peer in ("torch", "numpy"):
                copy.fill_(-1)
                arms[f"{dtype} {peer}"]()
                assert torch.equal(out.view(word), copy), f"{peer} returns other rows"
    seconds = interleave(arms, rounds)
    f8 = seconds["f8_e4m3"]
    results = []
    for dtype, size in sizes.items():
        name, bound = f"kernel, {dtype} batch of {BATCH_ROWS:,} rows", "random reads of memory"
        if dtype in ("bf16", "f32"):
            results += [
                row(name, f"{peer} into a reused output", seconds[dtype],
                    seconds[f"{dtype} {peer}"], target=1.0, bound=bound, work=BATCH_ROWS,
                    unit="rows/s")
                for peer in ("torch", "numpy")
            ]  # fmt: skip
        elif dtype != "f8_e4m3":
            as_bytes = [one * size / sizes["f8_e4m3"] for one in f8]
            results.append(
                row(name, "f8_e4m3's bytes", seconds[dtype], as_bytes, target=0.7, bound=bound,
                    work=BATCH_ROWS * size, unit="B/s")
            )  # fmt: skip
    return results


def calls(bf16: Path, f8: Path, rounds: int) -> list[Row]:
    """One step's calls from Python: a gather against numpy take, a prefetch against its limit."""
    random = np.random.default_rng(2)
    with open_store(bf16, "host") as host, open_store(f8, "ssd") as ssd:
        table = open_table(bf16)
        layer = table.layers[0]
        stored = np.fromfile(table.regions(layer)[0].path, np.uint16)[2048:]
        records = stored.reshape(table.num_rows(layer), -1)
        ids = random.integers(0, len(records), (CALLS, STEP_ROWS))
        out = torch.empty(STEP_ROWS, host.row_dim, dtype=torch.bfloat16)
        target = torch.empty_like(out).view(torch.uint16).numpy()
        wanted = random.integers(0, ssd.num_rows(layer), (CALLS, PREFETCHED_ROWS))
        for some in wanted:
            ssd.gather(layer, some)
        seconds = interleave(
            {
                "ours": partial(gathers, host, layer, ids, out),
                "numpy": partial(takes, records, ids, target),
                "prefetch": partial(prefetches, ssd, layer, wanted),
            },
            4 * rounds,
        )
    assert np.array_equal(out.view(torch.uint16).numpy(), target)
    bound = "calls from Python"
    return [
        row(f"step of {STEP_ROWS} bf16 rows, host tier", "numpy take into a reused output",
            seconds["ours"], seconds["numpy"], target=1 / 2.5, bound=bound,
            work=STEP_ROWS * CALLS, unit="rows/s"),
        row(f"prefetch of {PREFETCHED_ROWS} resident rows, ssd tier", "15 us",
            [one / CALLS for one in seconds["prefetch"]], [PREFETCH_S], target=1.0, bound=bound),
    ]  # fmt: skip


def gathers(store: Store, layer: int, ids: np.ndarray, out: torch.Tensor) -> None:
    """A gather for each row of ids."""
    for some in ids:
        store.gather(layer, some, out)


def takes(records: np.ndarray, ids: np.ndarray, out: np.ndarray) -> None:
    """The same by numpy."""
    for some in ids:
        np.take(records, some, axis=0, out=out, mode="clip")


def prefetches(store: Store, layer: int, ids: np.ndarray) -> None:
    """A ticket, dropped, for each row of ids."""
    for some in ids:
        store.prefetch({layer: some})
