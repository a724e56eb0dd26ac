"""Writing and checking tables, against the plainest way to move the same bytes.

The peer of `build` and `layout` writes as many bytes from one buffer with `os.pwrite`, 8 MiB at a
time, into one file, and syncs it at the end: the disk's own sequential rate. The peer of `verify`
reads the same files with `preadv`, two threads. What needs no disk is in `storage_memory`.
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

from engramctl.storage.format.geometry import Layout
from engramctl.storage.format.manifest import Provenance
from engramctl.storage.record.record import RecordSpec
from engramctl.storage.verifying.integrity import verify
from engramctl.storage.writing.plan import TablePlan, default_shard_rows
from engramctl.storage.writing.seeded_rows import seeded_rows
from engramctl.storage.writing.seeded_values import RowInit
from engramctl.storage.writing.writer import write_table
from engramctl.tables.layout import LayoutOptions, filler, plan_layout, run_layout
from engramctl.tables.opened_rows import open_rows
from tests.benchmarks import storage_memory
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
            *storage_memory.run(folder, plan_of, 5 if quick else 15),
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
    seeded = seeded_rows(RowInit(), SPEC, [1], {1: ((0, rows),)})
    write_table(plan, folder, filler(seeded, plan), force=True)


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


def child(name: str, folder: Path, rows: int) -> None:
    """Do one job and print this process's peak memory in MiB."""
    if name == "layout, planar to paged":
        lay(folder / "planar", folder / "again")
    else:
        build(folder / "again", name.split(", ")[1], rows)
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)


if __name__ == "__main__":
    child(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]))
