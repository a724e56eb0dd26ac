"""The same rows from each layout, off the disk: packed and paged records against planar files.

Past the page cache, pair by pair; the disk swings, so what it can do before and after stands in
every row. ENGRAMCTL_STORAGE_DIR names the folder for the tables.
"""

import os
import tempfile
from pathlib import Path

from engramctl.machine.residency import not_slower_when_dropped
from engramctl.storage.io.pages import PAGE
from tests.benchmarks.cold import reads, table
from tests.benchmarks.harness import Row

GIB = 1 << 30
CHUNK = 256  # scales that lie apart share few pages then, as in a table of full size


def run(quick: bool) -> list[Row]:
    """Chunks of rows from three layouts of one layer."""
    num_rows = (1 if quick else 4) * GIB // 4 // PAGE * table.A_PAGE
    samples = 50 if quick else 400
    with tempfile.TemporaryDirectory(dir=os.environ.get("ENGRAMCTL_STORAGE_DIR")) as name:
        tables = {
            form: table.make(Path(name) / form, form, num_rows, (table.LAYERS[0],))
            for form in ("planar", "packed", "paged")
        }
        file = tables["paged"].regions(table.LAYERS[0])[0].path
        with table.mapped(tables["paged"]):
            pass  # what writing left in memory is dropped
        device = table.device_of(file, not_slower_when_dropped(file))
        return table.with_device_after(reads.layouts(tables, CHUNK, samples, device), device, file)
