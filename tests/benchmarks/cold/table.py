"""A V4.1-shaped table on the disk, its rows made cold, and seen to be."""

import contextlib
import mmap
import os
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engramctl.machine.disk_probe import best_rate, probe_disk
from engramctl.storage.format.geometry import Layout
from engramctl.storage.format.manifest import Provenance
from engramctl.storage.io.pages import PAGE, resident_pages
from engramctl.storage.reading.table import TableFiles, open_table
from engramctl.storage.record.record import RecordSpec
from engramctl.storage.writing.plan import TablePlan
from engramctl.storage.writing.seeded_rows import seeded_rows
from engramctl.storage.writing.seeded_values import RowInit
from engramctl.storage.writing.writer import write_table
from engramctl.tables.layout import filler
from tests.benchmarks.harness import Row

LAYERS = (1, 14)
SPEC = RecordSpec("f8_e4m3", 256)
A_PAGE = PAGE // SPEC.record_bytes
Rows = Mapping[int, NDArray[np.int64]]


@dataclass(frozen=True)
class File:
    """One layer's row file, mapped as a peer would map it: MADV_RANDOM.

    Attributes:
        path: of the file.
        first: offset of its first page of rows.
        descriptor: opened, through the page cache.
        mapping: the whole file.
        records: uint8 (pages, rows a page, record bytes), a view of the mapping.
    """

    path: Path
    first: int
    descriptor: int
    mapping: mmap.mmap
    records: NDArray[np.uint8]

    def pages(self, ids: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the pages of rows, each once, counted from the start of the file."""
        return np.unique(ids // A_PAGE) + self.first // PAGE

    def make_cold(self, ids: NDArray[np.int64]) -> None:
        """Drop the pages of rows and no others; AssertionError when one stays."""
        self.mapping.madvise(mmap.MADV_DONTNEED)
        wanted = self.pages(ids)
        for _ in range(3):
            for page in wanted.tolist():
                os.posix_fadvise(self.descriptor, page * PAGE, PAGE, os.POSIX_FADV_DONTNEED)
            data = np.frombuffer(self.mapping, np.uint8)
            if not resident_pages(data.ctypes.data, len(data))[wanted].any():
                return
        raise AssertionError("pages could not be made cold: another process maps them?")

    def take(self, ids: NDArray[np.int64]) -> NDArray[np.uint8]:
        """Return records through the mapping, one fault a page, uint8 (n, record bytes)."""
        found: NDArray[np.uint8] = self.records[ids // A_PAGE, ids % A_PAGE]
        return found


def planned(
    form: str, num_rows: Mapping[int, int], record: RecordSpec = SPEC,
    scheme: Mapping[str, Any] | None = None,
) -> TablePlan:  # fmt: skip
    """Plan a table of seeded rows, a file a layer and column; the scheme is nobody's by default."""
    most = max(num_rows.values())
    return TablePlan(
        kind="tables" if form == "planar" else "shards",
        tier=None if form == "planar" else "ssd",
        created_by="benchmark",
        scheme=scheme or {"name": "opaque"},
        provenance=Provenance(command=("engramctl", "build")),
        layout=Layout.of(form, record),
        num_rows=num_rows,
        shard_rows=most + -most % A_PAGE,
        table_scales=dict.fromkeys(num_rows, RowInit().table_scale(record)),
    )


def make(
    folder: Path, form: str, num_rows: int, layers: tuple[int, ...] = LAYERS,
    record: RecordSpec = SPEC,
) -> TableFiles:  # fmt: skip
    """Write a table of seeded rows, a file a layer and column."""
    plan = planned(form, dict.fromkeys(layers, num_rows), record)
    heads = {layer: ((0, num_rows),) for layer in layers}
    write_table(plan, folder, filler(seeded_rows(RowInit(), record, list(layers), heads), plan))
    return open_table(folder)


@contextlib.contextmanager
def mapped(table: TableFiles) -> Iterator[dict[int, File]]:
    """Map the files of a paged table, by layer."""
    files = {}
    for layer in table.layers:
        region = table.regions(layer)[0]
        descriptor = os.open(region.path, os.O_RDONLY | os.O_CLOEXEC)
        os.fsync(descriptor)
        # What writing left in memory stands in folios of many pages, none of which goes alone.
        os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
        os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_RANDOM)
        mapping = mmap.mmap(descriptor, 0, mmap.MAP_SHARED, mmap.PROT_READ)
        mapping.madvise(mmap.MADV_RANDOM)
        data = np.frombuffer(mapping, np.uint8)[region.offset : region.offset + region.num_bytes]
        records = np.lib.stride_tricks.as_strided(
            data, (len(data) // PAGE, A_PAGE, SPEC.record_bytes), (PAGE, SPEC.record_bytes, 1)
        )
        files[layer] = File(region.path, region.offset, descriptor, mapping, records)
    try:
        yield files
    finally:
        for one in files.values():
            os.close(one.descriptor)


def paired(
    arms: Mapping[str, Callable[[Rows], None]],
    samples: int,
    draw: Callable[[], Rows],
    before: Callable[[str, Rows], None],
    after: Callable[[str, Rows], None],
) -> dict[str, list[float]]:
    """Run every arm once on each sample's rows, in an order that turns; returns seconds by arm.

    Args:
        arms: what to time.
        samples: how many.
        draw: gives the rows of a sample.
        before: makes them cold and poisons the arm's output.
        after: compares the arm's output.
    """
    seconds: dict[str, list[float]] = {name: [] for name in arms}
    names = list(arms)
    for number in range(samples):
        rows = draw()
        turn = number % len(names)
        for name in names[turn:] + names[:turn]:
            before(name, rows)
            start = time.perf_counter()
            arms[name](rows)
            seconds[name].append(time.perf_counter() - start)
            after(name, rows)
    return seconds


def device_of(file: Path, doubt: str | None) -> str:
    """Say what the disk can do, and why it may not be cold."""
    document = probe_disk(file, 0.2)
    best = best_rate(document)
    steps = ", ".join(
        f"{name} {us:,.0f}" for name, us in document["step_us"].items() if us is not None
    )
    cold = "" if doubt is None else f"; not proved cold: {doubt}"
    return f"disk {best:,.0f} reads/s, 48 pages in us: {steps}{cold}"


def with_device_after(rows: list[Row], device: str, file: Path) -> list[Row]:
    """Return rows with what the disk can do now, beside what it could do before."""
    after = device_of(file, None)
    return [
        one | {"bound": f"{one['bound']}; afterwards {after}"}
        if one["bound"] and device in one["bound"]
        else one
        for one in rows
    ]
