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

from engramctl.machine.residency import not_slower_when_dropped
from engramctl.storage.io.pages import PAGE
from tests.benchmarks.cold import prefill, reads, step, table, warm
from tests.benchmarks.harness import Row

GIB = 1 << 30


def run(quick: bool) -> list[Row]:
    """Steps, chunks, a document, and what is warm."""
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
        device = table.device_of(file, doubt)
        found = step.steps(paged, folder, pairs, device)
        found += prefill.chunks(paged, count, samples, device)
        found += prefill.against_peers(paged, folder, count, rows_a_layer // 8, samples, device)
        found += reads.document(paged, device)
        packed = table.make(folder / "packed", "packed", rows_a_layer // 2, (table.LAYERS[0],))
        found += warm.steps(packed, samples)
        found += warm.engramdb(folder, rows_a_layer // 4, samples, device)
        return table.with_device_after(found, device, file)
