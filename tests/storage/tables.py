"""Small tables for tests: any layout, any number of rows, written by the real writer."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engramctl.storage.format.geometry import Layout
from engramctl.storage.format.manifest import Manifest, Provenance
from engramctl.storage.record.record import RecordSpec
from engramctl.storage.writing.plan import TablePlan
from engramctl.storage.writing.seeded_rows import seeded_rows
from engramctl.storage.writing.seeded_values import RowInit
from engramctl.storage.writing.writer import write_table

POISON = 0xA5


def make_plan(
    *,
    dtype: str = "f8_e4m3",
    row_dim: int = 32,
    form: str = "planar",
    rows: Mapping[int, int] | None = None,
    shard_rows: int = 1 << 30,
    extent_bytes: int = 4096,
    seed: int = 0,
) -> TablePlan:
    return TablePlan(
        kind="tables" if form == "planar" else "shards",
        tier={"planar": None, "packed": "host", "paged": "ssd"}[form],
        created_by="engramctl test",
        scheme={"name": "opaque"},
        provenance=Provenance(command=("engramctl", "build"), seed=seed),
        layout=Layout.of(form, RecordSpec(dtype, row_dim)),
        num_rows=rows or {1: 997},
        shard_rows=shard_rows,
        extent_bytes=extent_bytes,
    )


def write(plan: TablePlan, out: Path, *, init: RowInit | None = None, **run: Any) -> Manifest:
    """Write normal rows; every buffer is poisoned first, so a byte left out is seen."""
    init = init or RowInit(seed=plan.provenance.seed or 0)
    heads = {layer: ((0, rows),) for layer, rows in plan.num_rows.items()}
    rows = seeded_rows(init, plan.layout.record, plan.num_rows, heads)

    def fill(file: Any, row: int, num_rows: int, data: NDArray[np.uint8]) -> None:
        data[:] = POISON
        rows(plan.layout, file.layer, file.part, row, num_rows, data)

    return write_table(plan, out, fill, **run)


def contents(folder: Path) -> dict[str, bytes]:
    return {one.name: one.read_bytes() for one in sorted(folder.iterdir())}


class Stop(Exception):
    """Raised in the middle of a write."""


def stop_after(num_chunks: int) -> Callable[[int], None]:
    left = [num_chunks]

    def progress(amount: int) -> None:
        left[0] -= 1
        if left[0] < 0:
            raise Stop

    return progress
