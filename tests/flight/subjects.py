"""Tables and checkpoints to read, each with all its rows as a plain reader has them."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np

from engramctl.checkpoints import open_checkpoint
from engramctl.storage.format.geometry import Layout
from engramctl.storage.format.manifest import Provenance
from engramctl.storage.reading.source import RecordReader
from engramctl.storage.reading.table import open_table
from engramctl.storage.record.codecs import decode
from engramctl.storage.record.dtypes import DTYPES
from engramctl.storage.record.record import RecordSpec
from engramctl.storage.writing.plan import TablePlan
from engramctl.storage.writing.seeded_values import RowInit
from tests.checkpoints import make
from tests.storage.format.document import reader
from tests.storage.tables import write

ROW_DIM = 96
FORMS: list[tuple[str, int | None, int | None]] = [
    ("planar", None, None),
    ("packed", None, None),
    ("paged", None, None),
    ("planar", None, 3),
    ("paged", 8192, 3),
]


@dataclass(frozen=True)
class Subject:
    """Rows at a path.

    Attributes:
        layout: how they lie, in a word or two.
        dtype: how they are stored.
        path: where.
        values: layer -> float32 (num_rows, row_dim), read plainly.
    """

    layout: str
    dtype: str
    path: Path
    values: dict[int, np.ndarray]


def of_table(
    folder: Path, dtype: str, form: str, page: int | None, heads: int | None, rows: int
) -> Subject:
    """Write a table of two layers in several files; read it as docs/format.md says."""
    spec, sizes = RecordSpec(dtype, ROW_DIM), {3: rows, 4: rows // 2}
    scales = dict.fromkeys(sizes, RowInit().table_scale(spec))
    edges = {layer: np.linspace(0, size, 5).astype(int).tolist() for layer, size in sizes.items()}
    plan = TablePlan(
        kind="tables" if form == "planar" else "shards", tier=None if form == "planar" else "ssd",
        created_by="engramctl test", scheme={"name": "opaque"},
        provenance=Provenance(command=("engramctl", "build"), seed=1),
        layout=Layout.of(form, spec, page), num_rows=sizes, shard_rows=-(-rows // 3),
        table_scales=scales, head_shards=heads,
        head_rows={layer: tuple(pairwise(edge)) for layer, edge in edges.items()},
    )  # fmt: skip
    write(plan, folder)
    table, plain = open_table(folder), reader()
    values = {
        layer: decode(spec, plain(str(folder), layer, np.arange(size)), table.table_scale(layer))
        for layer, size in sizes.items()
    }
    return Subject(f"{form} dealt" if heads else form, dtype, folder, values)


def of_checkpoint(name: str, path: Path) -> Subject:
    """A model's own files, in place: record by record."""
    rows = open_checkpoint(path).rows
    values = {}
    with RecordReader(rows) as plain:
        for layer in rows.layers:
            records = np.full((rows.num_rows(layer), rows.record.record_bytes), 0xA5, np.uint8)
            plain.read(layer, 0, records)
            values[layer] = decode(rows.record, records, rows.table_scale(layer))
    return Subject(name, rows.record.dtype, path, values)


def subjects(folder: Path, rows: int) -> Iterator[Subject]:
    """Every layout of every dtype, then checkpoints."""
    for form, page, heads in FORMS:
        for dtype in DTYPES:
            name = f"{form}-{dtype}-{heads or 0}"
            yield of_table(folder / name, dtype, form, page, heads, rows)
    make.deepseek_v41(folder / "v41")
    yield of_checkpoint("safetensors", folder / "v41")
    for dtype in ("float8_e4m3fn", "nvfp4", "bfloat16"):
        make.qwen(folder / f"qwen-{dtype}", dtype)
        yield of_checkpoint("safetensors", folder / f"qwen-{dtype}")
    for kind in ("Q8_0", "Q4_0", "IQ4_NL", "F16"):
        make.gguf_file(folder / f"{kind}.gguf", kind, rows=rows)
        yield of_checkpoint("GGUF", folder / f"{kind}.gguf")
