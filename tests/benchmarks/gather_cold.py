"""Rows off the disk: our ssd tier, both modes and every engine, against other ways and the disk.

Every sample is cold, and seen to be: its pages are dropped, and no others; `mincore` finds none of
them; and before all a dropped page must take several times a cached one's time. Arms that read past
the page cache stand beside the others on the same rows, one after the other in an order that turns.
The disk swings: what it can do is measured before and after, and stands in every row.

ENGRAMCTL_STORAGE_DIR names the folder for the table (default: the system's for temporary files).
"""

import os
import tempfile
from pathlib import Path

from engramctl.machine.disk_probe import best_rate, probe_disk
from engramctl.machine.residency import not_slower_when_dropped
from engramctl.storage.io.pages import PAGE
from tests.benchmarks.cold import prefill, reads, step, table, warm
from tests.benchmarks.harness import Row

GIB = 1 << 30
SMALL_CHUNK = 256  # scales that lie apart share few pages then, as in a table of full size


def run(quick: bool) -> list[Row]:
    """Steps, chunks, layouts, a document, and what is warm."""
    rows_a_layer = (1 if quick else 4) * GIB // 2 // PAGE * table.A_PAGE
    count = 8_192 if quick else 49_152
    pairs, samples = (100, 5) if quick else (600, 15)
    with tempfile.TemporaryDirectory(dir=os.environ.get("ENGRAMCTL_STORAGE_DIR")) as name:
        folder = Path(name)
        paged = table.make(folder / "paged", "paged", rows_a_layer)
        file = paged.regions(table.LAYERS[0])[0].path
        with table.mapped(paged):
            pass  # what writing left in memory is dropped
        doubt = not_slower_when_dropped(file)
        device = device_of(file, doubt)
        found = step.steps(paged, folder, pairs, device)
        found += prefill.chunks(paged, count, samples, device)
        found += prefill.against_peers(paged, folder, count, rows_a_layer // 8, samples, device)
        found += reads.document(paged, device)
        one = (table.LAYERS[0],)
        small = rows_a_layer // 2
        tables = {
            form: table.make(folder / f"one-{form}", form, small, one)
            for form in ("planar", "packed", "paged")
        }
        found += reads.layouts(tables, SMALL_CHUNK, 10 * samples, device)
        found += warm.steps(tables["packed"], samples)
        found += warm.engramdb(folder, rows_a_layer // 4, samples, device)
        after = device_of(file, None)
    return [
        one_row | {"bound": f"{one_row['bound']}; afterwards {after}"}
        if one_row["bound"] and device in one_row["bound"]
        else one_row
        for one_row in found
    ]


def device_of(file: Path, doubt: str | None) -> str:
    """Say what the disk can do, and why it may not be cold."""
    document = probe_disk(file, 0.2)
    best = best_rate(document)
    steps = ", ".join(
        f"{name} {us:,.0f}" for name, us in document["step_us"].items() if us is not None
    )
    cold = "" if doubt is None else f"; not proved cold: {doubt}"
    return f"disk {best:,.0f} reads/s, 48 pages in us: {steps}{cold}"
