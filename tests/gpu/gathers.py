"""Rows within the device and to it: the kernel, and the gpu tier beside the host tier."""

import tempfile
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import numpy as np
import torch

from engramctl.storage import Store, open_store
from engramctl.storage.reading.source import read_values
from tests.benchmarks.gather import packed_table
from tests.benchmarks.harness import Row, interleave, row
from tests.gpu import hbm

DTYPES = ("f8_e4m3", "bf16", "nvfp4")
SLOTS = 40_000  # a head: 250 MB of f8_e4m3, five times the second-level cache of an H100
STEP_ROWS, PROMPT_ROWS, BATCH_ROWS = 24, 12_288, 393_216  # a token, 512 and 16,384 tokens
ROUNDS = 21
POISON = -3.0e38


def run() -> Iterator[Row]:
    """Yield the kernel's rows, then one a dtype and size of request beside the host tier."""
    yield from hbm.rows(torch.device("cuda", torch.cuda.current_device()))
    with tempfile.TemporaryDirectory() as folder:
        for dtype in DTYPES:
            table = packed_table(Path(folder) / dtype, dtype, SLOTS)
            with (
                open_store(table.path, "gpu", device="cuda") as gpu,
                open_store(table.path, "host", device="cuda") as host,
            ):
                for count in (STEP_ROWS, PROMPT_ROWS, BATCH_ROWS):
                    yield compared(gpu, host, count, ROUNDS)


def compared(gpu: Store, host: Store, count: int, rounds: int) -> Row:
    """Time gathers of random rows by both, each until its rows are on the device.

    Raises:
        AssertionError: a tier returns other rows than the plain reader.
    """
    layer, random = gpu.layers[0], np.random.default_rng(count)
    ids = random.integers(0, gpu.num_rows(layer), count)
    shape = (count, gpu.row_dim)
    out, copy = (torch.empty(shape, dtype=gpu.dtype, device=gpu.device) for _ in range(2))
    arms = {
        "gpu": partial(gathered, gpu, layer, ids, out),
        "host": partial(gathered, host, layer, ids, out),
        "copy": partial(copied, out, copy),
    }
    for tier in ("gpu", "host"):
        check(arms[tier], gpu, layer, ids, out)
    arms["copy"]()
    seconds = interleave(arms, rounds)
    record = gpu.table.record
    moved = record.record_bytes + gpu.row_dim * gpu.dtype.itemsize
    rate = 2 * out.nbytes / min(seconds["copy"]) / 1e9
    reached = count * moved / min(seconds["gpu"]) / 1e9
    return row(
        f"gather {count:,} rows of {record.dtype} on the gpu tier, {gpu.engine}",
        "host tier",
        seconds["gpu"], seconds["host"], work=count, unit="rows/s",
        bound=f"reading records and writing rows, {reached:.3g} GB/s; a copy of as many rows "
        f"within the device moves {rate:.3g} GB/s; host: {host.engine_chosen_because}",
    )  # fmt: skip


def gathered(store: Store, layer: int, ids: np.ndarray, out: torch.Tensor) -> None:
    """Gather, and wait until the rows are there."""
    store.gather(layer, ids, out)
    wait(out.device)


def copied(source: torch.Tensor, target: torch.Tensor) -> None:
    """Copy within the device, and wait."""
    target.copy_(source)
    wait(target.device)


def wait(device: torch.device) -> None:
    """Wait for a CUDA device; a CPU has done its work when it returns."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def check(
    arm: Callable[[], None], store: Store, layer: int, ids: np.ndarray, out: torch.Tensor
) -> None:
    """The poisoned output must hold the plain reader's rows."""
    some = np.random.default_rng(0).choice(len(ids), min(len(ids), 2000), replace=False)
    out.fill_(POISON)
    arm()
    expected = torch.from_numpy(read_values(store.table, layer, ids[some])).to(out.dtype)
    assert torch.equal(out.cpu()[torch.from_numpy(some)], expected), "other rows"
    assert not bool((out == POISON).any()), "rows left out"
