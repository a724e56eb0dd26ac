"""Tables with a dictionary: of V4.1's size with no data, or small and written in full.

Of a table without data reads can be counted, and nothing else: 203 GB of rows and 4.4 GB of records
take no room on the disk, and its holes cost no device. Time is measured on a small table. There,
each of V4.1's rows has a place drawn by hash: rows lie scattered, as in the large one, and no two
that are asked for together lie together.
"""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from engramctl.hashing import Scheme
from engramctl.storage.dictionary.write import write_dictionary
from engramctl.storage.format.dictionary_entry import INDEX_FILE, RECORDS_FILE
from engramctl.storage.format.manifest import Manifest
from engramctl.storage.reading.table import TableFiles, open_table
from engramctl.storage.writing.seeded_rows import seeded_rows
from engramctl.storage.writing.seeded_values import RowInit
from engramctl.storage.writing.writer import write_table
from engramctl.tables.layout import filler
from engramctl.tables.ngram_dictionary import NgramPlan
from tests.benchmarks.cold.table import SPEC, planned
from tests.benchmarks.storage_memory import sparse

_ODD = np.uint64(0x9E3779B97F4A7C15)


def without_data(folder: Path, scheme: Scheme, ngrams: NgramPlan | None) -> TableFiles:
    """Make a table of the scheme's size, paged, whose files are holes; the index is whole.

    Args:
        folder: to make.
        scheme: whose rows.
        ngrams: the dictionary; None: there is none.
    """
    rows = {layer: scheme.num_rows(layer) for layer in scheme.layers}
    sparse(folder, planned("paged", rows, scheme=scheme.to_dict()))
    if ngrams is None:
        return open_table(folder)
    manifest = open_table(folder).manifest
    entry = ngrams.dictionary
    for facts in entry.files:
        with (folder / facts.file).open("wb") as file:
            file.write(entry.header(facts.file))
            if facts.file == INDEX_FILE:
                file.write(ngrams.index.remainders.astype("<u8").tobytes())
                file.write(ngrams.index.offsets.astype("<u4").tobytes())
            file.truncate(facts.file_bytes)
    assert {one.file for one in entry.files} == {RECORDS_FILE, INDEX_FILE}
    digests = {one.file: one.xxh3_128 for one in entry.files}
    whole = replace(manifest, dictionary=entry.written(digests, manifest.table_xxh3_128))
    (folder / "manifest.json").write_text(json.dumps(whole.to_dict()))
    return open_table(folder)


def with_data(folder: Path, scheme: Scheme, num_rows: int, ngrams: NgramPlan) -> TableFiles:
    """Write a table of so many rows a layer, and the dictionary's records of them.

    Args:
        folder: to make.
        scheme: whose n-grams and heads.
        num_rows: of each layer; V4.1's rows are scattered over them.
        ngrams: the dictionary.
    """
    layers = list(scheme.layers)
    plan = planned("paged", dict.fromkeys(layers, num_rows), scheme=scheme.to_dict())
    plan = replace(plan, dictionary=ngrams.dictionary)
    heads = {layer: ((0, num_rows),) for layer in layers}
    fill = filler(seeded_rows(RowInit(), SPEC, layers, heads), plan)
    write_table(plan, folder, fill, finish=finisher(ngrams, num_rows))
    return open_table(folder)


def finisher(ngrams: NgramPlan, num_rows: int) -> Callable[[Path, Manifest], Manifest]:
    """Return what writes the dictionary of scattered rows beside the row files."""

    def rows_of(layer: int, start: int, stop: int) -> NDArray[np.int64]:
        return scattered(ngrams.rows(layer, start, stop), layer, num_rows)

    def finish(folder: Path, manifest: Manifest) -> Manifest:
        written = write_dictionary(folder, manifest, ngrams.dictionary, ngrams.index, rows_of)
        return replace(manifest, dictionary=written)

    return finish


def scattered(rows: NDArray[np.integer], layer: int, num_rows: int) -> NDArray[np.int64]:
    """Return the place of each of V4.1's rows in a small table, drawn by hash.

    Example:
        >>> scattered(np.array([1, 2, 3]), 1, 100).tolist() == [1, 2, 3]
        False
    """
    mixed = (rows.astype(np.uint64) + (np.uint64(layer) << np.uint64(40))) * _ODD
    mixed = (mixed ^ (mixed >> np.uint64(32))) * _ODD
    return ((mixed >> np.uint64(16)) % np.uint64(num_rows)).astype(np.int64)
