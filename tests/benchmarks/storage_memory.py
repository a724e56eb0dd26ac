"""Opening, packing, converting and reading single rows: what the disk has no part in.

Opening compares a table of 1 M rows with one of 400 M (sparse files), with an empty scheme and with
V4.1's own, token map included. Packing puts V4.1's 256 value and 8 scale bytes of each row into
records: one chunk alone, where torch.cat has both its threads, and two chunks at once with a thread
each, which is how `layout` works. Converting makes f8_e4m3 records of float32 values; its peer does
the same in torch operations.
"""

import json
import resource
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from engramctl.hashing import make_scheme
from engramctl.storage.io.stored_records import StoredRecords
from engramctl.storage.reading.table import open_table
from engramctl.storage.record.copy_rows import copy_rows
from engramctl.storage.record.fast_codecs import encode
from engramctl.storage.record.record import RecordSpec
from engramctl.storage.writing.plan import TablePlan
from tests.benchmarks.harness import Row, interleave, row

MIB = 1 << 20
SPEC = RecordSpec("f8_e4m3", 256)
PlanOf = Callable[[str, int], TablePlan]


def run(folder: Path, plan_of: PlanOf, rounds: int) -> list[Row]:
    """Measure; `folder` holds a table of pages called `paged`."""
    scheme = make_scheme("deepseek-v41", token_map=np.arange(129_280) * 99_092 // 129_280)
    return [
        opening(folder / "bare", plan_of, "open 400 M rows", {"name": "opaque"}),
        opening(folder / "v41", plan_of, "open 400 M rows, V4.1's scheme", scheme.to_dict()),
        *packing(rounds),
        converting(rounds),
        single_rows(folder / "paged", rounds),
    ]


def sparse(folder: Path, plan: TablePlan) -> Path:
    """Make a whole table whose files have no data: opening reads none."""
    folder.mkdir(parents=True)
    digests = {file.name: ("0" * 32,) * file.num_extents for file in plan.files}
    for file in plan.files:
        with (folder / file.name).open("wb") as handle:
            handle.write(file.header)
            handle.truncate(file.file_bytes)
    (folder / "manifest.json").write_text(json.dumps(plan.manifest(digests).to_dict()))
    return folder


def opening(folder: Path, plan_of: PlanOf, name: str, scheme: dict[str, Any]) -> Row:
    """Open 1 M and 400 M rows."""
    plans = {rows: replace(plan_of("paged", rows), scheme=scheme) for rows in (10**6, 4 * 10**8)}
    small, large = (sparse(folder / str(rows), plan) for rows, plan in plans.items())
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    seconds = interleave(
        {"large": lambda: open_table(large), "small": lambda: open_table(small)}, 101
    )
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    files = plans[4 * 10**8].files
    checksums = sum(file.num_extents for file in files)
    return row(
        name,
        "open 1 M rows",
        seconds["large"],
        seconds["small"],
        target=1 / 1.2,
        bound=f"{grown:.0f} MiB of memory; {len(files)} file with {checksums} checksums",
    )


def packing(rounds: int) -> list[Row]:
    """Values and scales to records, in memory."""
    count = 1 << 15
    random = np.random.default_rng(0)
    weights = random.integers(0, 256, (count, 256), dtype=np.uint8)
    scales = random.integers(0, 256, (count, 8), dtype=np.uint8)
    out, copy = np.empty((2, count, 264), np.uint8), np.empty((count, 264), np.uint8)
    both = torch.from_numpy(weights), torch.from_numpy(scales)
    targets = torch.empty(2, count, 264, dtype=torch.uint8)
    pool = ThreadPoolExecutor(2, initializer=torch.set_num_threads, initargs=(1,))
    arms: dict[str, Callable[[], object]] = {
        "ours": lambda: pack(weights, scales, out[0]),
        "numpy loop": lambda: row_by_row(weights, scales, out[0]),
        "torch.cat": lambda: torch.cat(both, dim=1),
        "torch.cat, out": lambda: torch.cat(both, dim=1, out=targets[0]),
        "copy": lambda: np.copyto(copy, out[0]),
        "ours, two": lambda: list(pool.map(pack, (weights,) * 2, (scales,) * 2, (out[0], out[1]))),
        "torch, two": lambda: list(pool.map(lambda one: torch.cat(both, 1, out=one), targets)),
    }
    for arm in arms.values():
        arm()
    if not (out == torch.cat(both, dim=1).numpy()).all():
        raise AssertionError("packed records differ")
    seconds = interleave(arms, rounds, rest_s=0.05)
    bound = f"a plain copy: {copy.nbytes / MIB / median(seconds['copy']):,.0f} MiB/s"
    work = copy.nbytes / MIB
    one, two = "pack 32,768 records of V4.1", "pack two such chunks, a thread each"
    return [
        row(name, peer, seconds[ours], seconds[theirs], target=target, bound=bound, work=amount,
            unit="MiB/s")
        for name, ours, peer, theirs, target, amount in [
            (one, "ours", "numpy loop", "numpy loop", 5.0, work),
            (one, "ours", "torch.cat, two threads", "torch.cat", 1.5, work),
            (one, "ours", "torch.cat, out=", "torch.cat, out", None, work),
            (two, "ours, two", "torch.cat, out=", "torch, two", 1.5, 2 * work),
        ]
    ]  # fmt: skip


def pack(weights: NDArray[np.uint8], scales: NDArray[np.uint8], out: NDArray[np.uint8]) -> None:
    """Pack as `RegionFiles` does what it has read of planar files."""
    copy_rows(weights, out[:, :256])
    copy_rows(scales, out[:, 256:])


def row_by_row(
    weights: NDArray[np.uint8], scales: NDArray[np.uint8], out: NDArray[np.uint8]
) -> None:
    """Pack as a loop over rows does."""
    for number in range(len(out)):
        out[number, :256] = weights[number]
        out[number, 256:] = scales[number]


def converting(rounds: int) -> Row:
    """Float32 values to f8_e4m3 records, one thread each."""
    values = np.random.default_rng(0).normal(size=(1 << 13, 256)).astype(np.float32)
    out = np.empty((len(values), SPEC.record_bytes), np.uint8)
    theirs = np.empty_like(out)

    def torch_way() -> None:
        blocks = torch.from_numpy(values).view(len(values), 8, 32)
        mantissa, exponent = torch.frexp(blocks.abs().amax(dim=2).double() / 448)
        power = exponent - (mantissa == 0.5).int()
        shrunk = torch.ldexp(blocks, -power[:, :, None]).to(torch.float8_e4m3fn)
        theirs[:, :256] = shrunk.view(torch.uint8).reshape(len(values), 256).numpy()
        theirs[:, 256:] = (power + 127).to(torch.uint8).numpy()

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        arms = {"ours": lambda: encode(SPEC, values, None, out), "torch": torch_way}
        for arm in arms.values():
            arm()
        if not np.array_equal(out, theirs):
            raise AssertionError("records differ")
        seconds = interleave(arms, rounds)
    finally:
        torch.set_num_threads(threads)
    return row(
        "convert 2 M values to f8_e4m3", "torch operations, one thread each", seconds["ours"],
        seconds["torch"], work=values.size / 1e6, unit="M values/s",
    )  # fmt: skip


def single_rows(folder: Path, rounds: int) -> Row:
    """Stored rows in memory by random ids, as a dictionary's records are made."""
    table = open_table(folder)
    ids = np.random.default_rng(0).integers(0, table.num_rows(1), 1 << 15)
    found: dict[str, NDArray[np.uint8]] = {}
    with StoredRecords(table, workers=2) as records:
        arms: dict[str, Callable[[], object]] = {
            "ours": lambda: found.update(ours=records.read(1, ids)),
            "plain": lambda: found.update(plain=np.concatenate(table.read_rows(1, ids), axis=1)),
        }
        for arm in arms.values():
            arm()
        seconds = interleave(arms, rounds)
    if not np.array_equal(found["ours"], found["plain"]):
        raise AssertionError("rows differ")
    return row(
        "read 32,768 rows as stored", "one pread a row", seconds["ours"], seconds["plain"],
        work=len(ids) / 1e6, unit="M rows/s",
    )  # fmt: skip
