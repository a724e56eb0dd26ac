"""Small tables with an n-gram dictionary: keys of both words, rows at random."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engramctl.storage.dictionary.write import write_dictionary
from engramctl.storage.format.dictionary_entry import Dictionary
from engramctl.storage.format.dictionary_index import NgramIndex
from engramctl.storage.format.manifest import Manifest
from engramctl.storage.writing.plan import TablePlan
from tests.storage.tables import write

ENTRIES = 300
ORDERS = (2, 4)
KEY_BITS = 68
HEADS = 2


def present() -> tuple[NDArray[np.int64], NDArray[np.uint64]]:
    """The n-grams of every dictionary: order index (n,) and keys (n, 2), not in record order."""
    return tuple(part[:ENTRIES] for part in _ngrams())  # type: ignore[return-value]


def absent() -> tuple[NDArray[np.int64], NDArray[np.uint64]]:
    """N-grams of the same words and orders that no dictionary holds, in the same way."""
    return tuple(part[ENTRIES:] for part in _ngrams())  # type: ignore[return-value]


def _ngrams() -> tuple[NDArray[np.int64], NDArray[np.uint64]]:
    """Every order with every high word and 30 low words, shuffled."""
    random = np.random.default_rng(0)
    lows = random.integers(0, 1 << 64, 30, np.uint64, endpoint=False)
    code = random.permutation(len(ORDERS) * 16 * len(lows))
    order_index, rest = np.divmod(code, 16 * len(lows))
    keys = np.stack([lows[rest // 16], (rest % 16).astype(np.uint64)], axis=1)
    return order_index, keys


def rows(num_rows: int, layer: int) -> NDArray[np.int64]:
    """The rows of every record in one layer, (ENTRIES, HEADS)."""
    return np.random.default_rng(layer).integers(0, num_rows, (ENTRIES, HEADS))


def write_with_dictionary(plan: TablePlan, folder: Path, **run: Any) -> Manifest:
    """Write a planned table and its dictionary; `run` are the options of `write_table`."""
    planned = Dictionary.planned(
        ENTRIES,
        orders=ORDERS,
        layers=tuple(plan.num_rows),
        heads_per_order=HEADS,
        row_record_bytes=plan.layout.record_bytes,
        key_bits=KEY_BITS,
        extent_bytes=1 << 15,
    )
    order_index, keys = present()
    index, _ = NgramIndex.build(order_index, keys, num_orders=len(ORDERS), key_bits=KEY_BITS)

    def rows_of(layer: int, start: int, stop: int) -> NDArray[np.int64]:
        return rows(plan.num_rows[layer], layer)[start:stop]

    def finish(work: Path, manifest: Manifest) -> Manifest:
        written = write_dictionary(work, manifest, planned, index, rows_of)
        return replace(manifest, dictionary=written)

    return write(replace(plan, dictionary=planned), folder, finish=finish, **run)
