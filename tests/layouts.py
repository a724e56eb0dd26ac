"""Random rows of every layout, ours against the reader of docs/format.md.

`python -m tests.layouts [--rows N] [--table-rows N] [--folder DIR]` makes a V4.1-shaped table in
each layout (and a dictionary), reads N random rows of each with `StoredRecords`, the batched
reader, and with the document's, which knows nothing of our code, and compares every byte; a part is
gathered through the ssd tier too and compared with the plain decoder's values. First and last rows,
rows asked for twice and partial last pages are among them. The exit code is 1 if a row differs.
"""

import argparse
import sys
import tempfile
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch

from engramctl.storage import open_store
from engramctl.storage.dictionary.read import DictionaryFiles
from engramctl.storage.format.geometry import Layout
from engramctl.storage.format.manifest import Provenance
from engramctl.storage.io.stored_records import StoredRecords
from engramctl.storage.reading.table import open_table
from engramctl.storage.record.codecs import decode
from engramctl.storage.record.record import RecordSpec
from engramctl.storage.writing.plan import TablePlan
from tests.storage import dictionaries
from tests.storage.format.document import reader

SPEC = RecordSpec("f8_e4m3", 256)
LAYOUTS: list[tuple[str, int | None, int | None]] = [
    ("planar", None, None),
    ("packed", None, None),
    ("paged", None, None),
    ("paged", 8192, 3),
    ("planar", None, 3),
]
BATCH = 500_000
LAYER = 1


def make(folder: Path, form: str, page: int | None, head_shards: int | None, rows: int) -> Path:
    """Build a table of four files, or of dealt heads, with a dictionary."""
    edges = np.linspace(0, rows, 9).astype(int).tolist()
    plan = TablePlan(
        kind="shards", tier="ssd", created_by="engramctl test", scheme={"name": "opaque"},
        provenance=Provenance(command=("engramctl", "layout")), layout=Layout.of(form, SPEC, page),
        num_rows={LAYER: rows}, shard_rows=-(-rows // 4),
        head_rows={LAYER: tuple(pairwise(edges))}, head_shards=head_shards,
    )  # fmt: skip
    dictionaries.write_with_dictionary(plan, folder)
    return folder


def batches(rows: int, table_rows: int) -> Iterator[np.ndarray]:
    """Row ids: the ends, then any, some of them twice."""
    random = np.random.default_rng(rows)
    left = rows
    while left > 0:
        ids = random.integers(0, table_rows, min(left, BATCH))
        ids[:4] = [0, table_rows - 1, table_rows - 1, 1][: len(ids[:4])]
        left -= len(ids)
        yield ids


def mismatches(folder: Path, rows: int, gathered: int) -> tuple[int, int]:
    """Return rows that differ, of those read and of those gathered."""
    table, independent = open_table(folder), reader()
    table_rows = table.num_rows(LAYER)
    wrong = 0
    with StoredRecords(table, workers=2) as ours:
        for ids in batches(rows, table_rows):
            found = ours.read(LAYER, ids)
            wrong += int((found != independent(str(folder), LAYER, ids)).any(axis=1).sum())
    wrong_values = 0
    with open_store(folder, tier="ssd", dtype=torch.float32) as store:
        for ids in batches(gathered, table_rows):
            out = torch.full((len(ids), 1, SPEC.row_dim), float("nan"))
            store.gather(LAYER, torch.from_numpy(ids)[:, None], out=out)
            wanted = decode(SPEC, independent(str(folder), LAYER, ids))
            wrong_values += int((out[:, 0].numpy() != wanted).any(axis=1).sum())
    return wrong, wrong_values


def wrong_records(folder: Path) -> int:
    """Return dictionary records that differ from the document's reader."""
    _, keys = dictionaries.present()
    wrong = 0
    with DictionaryFiles.open(folder, open_table(folder).manifest) as ours:
        for order_index in range(len(dictionaries.ORDERS)):
            found, records = reader("read_dictionary")(str(folder), order_index, keys)
            mine = ours.find(order_index, keys)
            wrong += int((mine != found).sum())
            wrong += int((ours.read(mine[mine >= 0]) != records).any(axis=1).sum())
    return wrong


def main() -> None:
    """Compare every layout."""
    parser = argparse.ArgumentParser(prog="python -m tests.layouts", description=__doc__)
    parser.add_argument("--rows", type=int, default=10_000_000)
    parser.add_argument("--table-rows", type=int, default=1_000_003)
    parser.add_argument("--folder", type=Path)
    asked = parser.parse_args()
    total = 0
    for form, page, head_shards in LAYOUTS:
        with tempfile.TemporaryDirectory(dir=asked.folder) as name:
            folder = make(Path(name) / "table", form, page, head_shards, asked.table_rows)
            gathered = min(asked.rows, 200_000)
            wrong, wrong_values = mismatches(folder, asked.rows, gathered)
            records = wrong_records(folder)
        heads = "" if head_shards is None else f", heads dealt to {head_shards} files"
        print(
            f"{form}, {page or 'default'} page{heads}: {asked.rows:,} rows read, {wrong} differ; "
            f"{gathered:,} gathered, {wrong_values} differ; dictionary records, {records} differ"
        )
        total += wrong + wrong_values + records
    sys.exit(1 if total else 0)


if __name__ == "__main__":
    main()
