"""Writing, packing, checking and opening tables, against the plainest way to move the same bytes.

The peer of `build` and `layout` writes as many bytes from one buffer with `os.pwrite`, 8 MiB at a
time, into as many files, and syncs them at the end: the disk's own sequential rate. The peer of
`verify` reads the same files with `preadv`, two threads. Packing is in memory: V4.1's 256 value and
8 scale bytes of each row into records. Opening compares a table of 1 M rows with one of 400 M (a
sparse file), and tells the memory that opening takes.
"""

import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from engramctl.opened import open_rows
from engramctl.relay import LayoutOptions, plan_layout, run_layout
from engramctl.storage.geometry import Layout
from engramctl.storage.integrity import verify
from engramctl.storage.manifest import Provenance
from engramctl.storage.pack import pack_records
from engramctl.storage.plan import TablePlan, default_shard_rows
from engramctl.storage.reader import open_table
from engramctl.storage.record import RecordSpec
from engramctl.storage.rows import RowFiller, RowInit
from engramctl.storage.writer import write_table
from tests.benchmarks.harness import Row, interleave, row

SPEC = RecordSpec("f8_e4m3", 256)
CHUNK = 8 << 20
MIB = 1 << 20


def run(quick: bool) -> list[Row]:
    """Measure; one row a comparison."""
    rows = 1_000_000 if quick else 8_000_000
    rounds = 2 if quick else 3
    with tempfile.TemporaryDirectory(dir=os.environ.get("ENGRAMCTL_STORAGE_DIR")) as name:
        folder = Path(name)
        return [
            *writing(folder, rows, rounds),
            *checking(folder, rounds + 1),
            opening(folder),
            *packing(5 if quick else 15),
        ]


def plan_of(form: str, rows: int) -> TablePlan:
    """Return the plan of one layer of V4.1's records."""
    layout = Layout.of(form, SPEC)
    return TablePlan(
        kind="tables" if form == "planar" else "shards",
        tier=None if form == "planar" else "ssd",
        created_by="benchmark",
        scheme={"name": "opaque"},
        provenance=Provenance(command=("engramctl", "build")),
        layout=layout,
        num_rows={1: rows},
        shard_rows=default_shard_rows(layout),
    )


def build(folder: Path, form: str, rows: int) -> None:
    """Build a table of seeded normal rows."""
    plan = plan_of(form, rows)
    filler = RowFiller(RowInit(), SPEC, 1)
    write_table(
        plan,
        folder,
        lambda file, row, count, out: filler.fill(plan.layout, file.part, row, count, out),
        force=True,
    )


def lay(source: Path, target: Path) -> None:
    """Lay a table out as pages; checking the source, which `layout` does first, is left out."""
    opened = open_rows(source)
    plan = plan_layout(opened, LayoutOptions())
    run_layout(opened, plan, target, force=True, check=False)


def plain_write(folder: Path, num_bytes: int) -> None:
    """Write and sync as many bytes as fast as the disk takes them."""
    buffer = np.random.default_rng(0).integers(0, 256, CHUNK, dtype=np.uint8).data
    path = folder / "plain"
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    for offset in range(0, num_bytes, CHUNK):
        os.pwrite(descriptor, buffer[: num_bytes - offset], offset)
    os.fsync(descriptor)
    os.close(descriptor)
    path.unlink()


def writing(folder: Path, rows: int, rounds: int) -> list[Row]:
    """Build planar and paged, and lay out planar as paged, against plain writes."""
    build(folder / "warm", "planar", 1000)  # compiles
    made = []
    jobs: dict[str, tuple[str, Callable[[], None]]] = {
        "build, planar": ("planar", lambda: build(folder / "planar", "planar", rows)),
        "build, paged": ("paged", lambda: build(folder / "paged", "paged", rows)),
        "layout, planar to paged": ("paged", lambda: lay(folder / "planar", folder / "laid")),
    }
    for name, (form, job) in jobs.items():
        size = plan_of(form, rows).row_file_bytes
        seconds = interleave({"ours": job, "plain": partial(plain_write, folder, size)}, rounds)
        peak = peak_mib(name, folder, rows)
        made.append(
            row(
                name,
                "plain pwrite and sync",
                seconds["ours"],
                seconds["plain"],
                target=0.9,
                bound=f"{size / MIB:,.0f} MiB; peak of a process {peak} MiB",
                work=size / MIB,
                unit="MiB/s",
            )
        )
    return made


def peak_mib(name: str, folder: Path, rows: int) -> int:
    """Return the peak memory of one job in a process of its own."""
    words = [sys.executable, "-m", "tests.benchmarks.storage", name, str(folder), str(rows)]
    done = subprocess.run(words, check=True, capture_output=True, text=True)
    return int(json.loads(done.stdout))


def checking(folder: Path, rounds: int) -> list[Row]:
    """Verify against plain reads of the same files, from memory and from the disk."""
    files = [folder / "paged" / "manifest.json", *(folder / "paged").glob("*.safetensors")]
    size = sum(path.stat().st_size for path in files)

    def drop() -> None:
        for path in files:
            with path.open("rb") as file:
                os.fsync(file.fileno())
                os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)

    def read() -> None:
        with ThreadPoolExecutor(2) as pool:
            pieces = [
                (path, at) for path in files for at in range(0, path.stat().st_size, 64 * MIB)
            ]
            list(pool.map(lambda piece: plain_read(*piece), pieces))

    made = []
    states: dict[str, Callable[[], object]] = {"in memory": list, "on disk": drop}
    for state, before in states.items():
        seconds: dict[str, list[float]] = {"ours": [], "plain": []}
        for number in range(rounds):
            arms: dict[str, Callable[[], object]] = {
                "ours": lambda: verify(folder / "paged"),
                "plain": read,
            }
            for arm in list(arms)[:: 1 if number % 2 else -1]:
                before()
                start = time.perf_counter()
                arms[arm]()
                seconds[arm].append(time.perf_counter() - start)
        made.append(
            row(
                f"verify, {state}",
                "plain preadv, two threads",
                seconds["ours"],
                seconds["plain"],
                target=0.9,
                bound=f"{size / MIB:,.0f} MiB",
                work=size / MIB,
                unit="MiB/s",
            )
        )
    return made


def plain_read(path: Path, start: int) -> None:
    """Read 64 MiB of a file into one buffer."""
    buffer = bytearray(4 * MIB)
    with path.open("rb", buffering=0) as file:
        for offset in range(start, start + 64 * MIB, len(buffer)):
            os.preadv(file.fileno(), [buffer], offset)


def sparse(folder: Path, rows: int) -> Path:
    """Make a whole table whose files have no data: opening reads none."""
    plan = plan_of("paged", rows)
    folder.mkdir()
    digests = {
        file.name: ("0" * 32,) * -(-file.data_bytes // file.extent_bytes) for file in plan.files
    }
    for file in plan.files:
        with (folder / file.name).open("wb") as handle:
            handle.write(file.header)
            handle.truncate(file.file_bytes)
    (folder / "manifest.json").write_text(json.dumps(plan.manifest(digests).to_dict()))
    return folder


def opening(folder: Path) -> Row:
    """Open 1 M and 400 M rows."""
    small, large = sparse(folder / "small", 1_000_000), sparse(folder / "large", 400_000_000)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    seconds = interleave(
        {"large": lambda: open_table(large), "small": lambda: open_table(small)}, 21
    )
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    return row(
        "open 400 M rows",
        "open 1 M rows",
        seconds["large"],
        seconds["small"],
        target=1 / 1.2,
        bound=f"{grown:.0f} MiB of memory; the larger manifest has 1,640 checksums in 27 files",
    )


def packing(rounds: int) -> list[Row]:
    """Values and scales to records, in memory."""
    count = 1 << 15
    random = np.random.default_rng(0)
    weights = random.integers(0, 256, (count, 256), dtype=np.uint8)
    scales = random.integers(0, 256, (count, 8), dtype=np.uint8)
    out = np.empty((count, 264), np.uint8)
    both = torch.from_numpy(weights), torch.from_numpy(scales)
    target = torch.empty(count, 264, dtype=torch.uint8)
    arms: dict[str, Callable[[], object]] = {
        "ours": lambda: pack_records(weights, scales, out),
        "numpy loop": lambda: row_by_row(weights, scales, out),
        "torch.cat": lambda: torch.cat(both, dim=1),
        "torch.cat, out": lambda: torch.cat(both, dim=1, out=target),
    }
    for arm in arms.values():
        arm()
    pack_records(weights, scales, out)
    if not np.array_equal(out, torch.cat(both, dim=1).numpy()):
        raise AssertionError("packed records differ")
    seconds = interleave(arms, rounds, rest_s=0.05)
    targets = {"numpy loop": 5.0, "torch.cat": 1.5, "torch.cat, out": None}
    return [
        row(
            "pack 32,768 records of V4.1",
            peer,
            seconds["ours"],
            seconds[peer],
            target=goal,
            bound="one copy in memory, one thread",
            work=out.nbytes / MIB,
            unit="MiB/s",
        )
        for peer, goal in targets.items()
    ]


def row_by_row(
    weights: NDArray[np.uint8], scales: NDArray[np.uint8], out: NDArray[np.uint8]
) -> None:
    """Pack as a loop over rows does."""
    for number in range(len(out)):
        out[number, :256] = weights[number]
        out[number, 256:] = scales[number]


def child(name: str, folder: Path, rows: int) -> None:
    """Do one job and print this process's peak memory in MiB."""
    if name == "layout, planar to paged":
        lay(folder / "planar", folder / "again")
    else:
        build(folder / "again", name.split(", ")[1], rows)
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)


if __name__ == "__main__":
    child(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]))
