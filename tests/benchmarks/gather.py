"""Rows out of a table: our tiers against the same rows through torch and numpy."""

import mmap
import tempfile
import warnings
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import torch

from engramctl.schemes.options import SchemeOptions
from engramctl.storage import Store, open_store
from engramctl.storage.reading.table import TableFiles, open_table
from engramctl.storage.record.codecs import decode
from engramctl.storage.record.record import BLOCK_VALUES, e8m0_values
from engramctl.storage.tiers.ssd import SsdStore
from engramctl.tables.build import plan_build, run_build
from tests.benchmarks.gather_one_core import batches, calls, one_core
from tests.benchmarks.harness import Row, interleave, row

BATCH_ROWS = 49_152
STEP_ROWS = 24


def run(quick: bool) -> list[Row]:
    """Warm batches with and without dequantisation, one decode step, a cold batch."""
    rounds = 5 if quick else 15
    slots = 20_000 if quick else 160_000
    rows: list[Row] = []
    with tempfile.TemporaryDirectory(dir=".") as folder:
        for dtype in ("f8_e4m3", "bf16"):
            table = packed_table(Path(folder) / dtype, dtype, slots)
            rows += warm(table, rounds)
            with one_core():
                rows += warm(table, rounds, ", one core", {"f8_e4m3": 12.0, "bf16": 1.0}[dtype])
            if dtype == "f8_e4m3":
                rows += cold(table, max(3, rounds // 2))
        with one_core():
            rows += calls(Path(folder) / "bf16", Path(folder) / "f8_e4m3", rounds)
    with one_core():
        rows += batches(rounds)
    return rows


def packed_table(path: Path, dtype: str, slots: int) -> TableFiles:
    """A V4.1-shaped table of one layer, packed records."""
    options = SchemeOptions(scheme="deepseek-v41", slots=slots, layers=(1,), dtype=dtype)
    run_build(plan_build(options, tier="host"), path)
    return open_table(path)


def warm(table: TableFiles, rounds: int, where: str = "", target: float = 1.05) -> list[Row]:
    """The host tier against torch and numpy over the same records in memory."""
    layer = table.layers[0]
    records = np.fromfile(table.regions(layer)[0].path, np.uint8)[4096:]
    records = records.reshape(table.num_rows(layer), table.record.record_bytes)
    random = np.random.default_rng(0)
    results = []
    with open_store(table.path, "host") as store:
        for what, count, calls in (
            (f"warm {table.record.dtype} batch of {BATCH_ROWS:,} rows{where}", BATCH_ROWS, 1),
            (f"warm {table.record.dtype} step of {STEP_ROWS} rows{where}", STEP_ROWS, 50),
        ):
            ids = random.integers(0, table.num_rows(layer), (calls, count))
            out = torch.empty(count, table.record.row_dim, dtype=torch.bfloat16)
            arms = {
                "ours": repeat(partial(gather_into, store, layer, out), ids),
                "torch": repeat(torch_rows(records, table, out), ids),
                "numpy": repeat(numpy_rows(records, table, out), ids),
            }
            check(arms, out, store, layer, ids[-1])
            seconds = interleave(arms, rounds)
            bound = "random reads of memory" if calls == 1 else "calls from Python"
            results += [
                row(what, peer, seconds["ours"], seconds[peer_arm], target=target if count > 99
                    else None, bound=bound, work=count * calls, unit="rows/s")
                for peer_arm, peer in (
                    ("torch", "torch index_select, then widen"),
                    ("numpy", "numpy take, then widen"),
                )
            ]  # fmt: skip
    return results


def gather_into(store: Store, layer: int, out: torch.Tensor, ids: np.ndarray) -> None:
    """Our arm: one gather."""
    store.gather(layer, ids, out)


def repeat(one: Callable[[np.ndarray], object], ids: np.ndarray) -> Callable[[], None]:
    """Call `one` for every row of ids."""

    def all_of_them() -> None:
        for some in ids:
            one(some)

    return all_of_them


def check(
    arms: dict[str, Callable[[], None]], out: torch.Tensor, store: Store, layer: int,
    last: np.ndarray,
) -> None:  # fmt: skip
    """Every arm must leave the last ids' rows in the poisoned output."""
    expected = store.gather(layer, last)
    for name, arm in arms.items():
        out.fill_(-3.0e38)
        arm()
        assert torch.equal(out, expected), f"{name} returns other rows"


def torch_rows(
    records: np.ndarray, table: TableFiles, out: torch.Tensor
) -> Callable[[np.ndarray], object]:
    """index_select on the records, then the values times their scales, in torch."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a mapping cannot be written; nobody does
        source = torch.from_numpy(records)
    scales = torch.from_numpy(e8m0_values())
    record = table.record
    words = source.view(torch.int64) if record.record_bytes % 8 == 0 else source
    if record.dtype == "bf16":
        plain = source.view(torch.bfloat16)
        return lambda ids: torch.index_select(plain, 0, torch.from_numpy(ids), out=out)

    def rows(ids: np.ndarray) -> None:
        found = words.index_select(0, torch.from_numpy(ids)).view(torch.uint8)
        values = found[:, : record.weight_bytes].view(torch.float8_e4m3fn).to(torch.float32)
        factors = scales[found[:, record.weight_bytes :].long()]
        blocks = values.view(len(ids), -1, BLOCK_VALUES) * factors[..., None]
        out.copy_(blocks.view(len(ids), -1))

    return rows


def numpy_rows(
    records: np.ndarray, table: TableFiles, out: torch.Tensor
) -> Callable[[np.ndarray], object]:
    """Take on the records, then the plain decoder; torch only rounds to bfloat16."""
    record = table.record
    if record.dtype == "bf16":
        halves, target = records.view(np.uint16), out.view(torch.uint16).numpy()
        return lambda ids: np.take(halves, ids, axis=0, out=target, mode="clip")

    def rows(ids: np.ndarray) -> None:
        found = records.take(ids, axis=0)
        values = decode(record, found)
        out.copy_(torch.from_numpy(values))

    return rows


def cold(table: TableFiles, rounds: int) -> list[Row]:
    """The ssd tier against torch over a mapping of the same file, pages dropped before each."""
    layer = table.layers[0]
    shard = table.regions(layer)[0]
    random = np.random.default_rng(1)
    count = 2048
    with open_store(table.path, "ssd") as store, shard.path.open("rb") as file:
        assert isinstance(store, SsdStore)
        view = mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ)
        view.madvise(mmap.MADV_RANDOM)
        whole = np.frombuffer(view, np.uint8)
        data = whole[4096:].reshape(-1, table.record.record_bytes)
        out = torch.empty(count, table.record.row_dim, dtype=torch.bfloat16)
        theirs = torch_rows(data, table, out)
        seconds: dict[str, list[float]] = {"ours": [], "torch": []}
        for _ in range(rounds):
            ids = random.integers(0, table.num_rows(layer), count)
            expected = store.gather(layer, ids)
            arms: dict[str, Callable[[], object]] = {
                "ours": partial(store.gather, layer, ids, out),
                "torch": partial(theirs, ids),
            }
            for name, arm in arms.items():
                view.madvise(mmap.MADV_DONTNEED)
                store.drop()
                resident, pages = store.resident(layer, ids) or (1, 0)
                assert resident <= pages // 100, "the pages could not be made cold"
                out.fill_(-3.0e38)
                seconds[name] += interleave({name: arm}, 1)[name]
                assert torch.equal(out, expected), f"{name} returns other rows"
    return [
        row(
            f"cold f8_e4m3 batch of {count:,} rows", "torch index_select over a RANDOM mapping",
            seconds["ours"], seconds["torch"], target=4.5, bound="the disk's queue", work=count,
            unit="rows/s",
        )
    ]  # fmt: skip
