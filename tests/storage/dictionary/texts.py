"""Tables with a dictionary, n-grams that read them, and stores asked for these."""

from pathlib import Path

import numpy as np
import torch

from engramctl.storage import SelfFilled, open_store
from engramctl.storage.dictionary.read import DictionaryFiles
from engramctl.storage.format.dictionary_entry import RECORDS_FILE
from engramctl.storage.format.row_file import ALIGNMENT_BYTES
from engramctl.storage.reading.table import open_table
from engramctl.storage.tiers.ssd import SsdStore
from tests.storage.dictionaries import (
    ENTRIES,
    HEADS,
    ORDERS,
    absent,
    present,
    rows,
    write_with_dictionary,
)
from tests.storage.tables import make_plan

ROWS = {1: 4000, 4: 2500}
POISON = 777.0


class Text:
    """A table with a dictionary, and n-grams that read it: known ones and others.

    Attributes:
        path: of the folder.
        keys: order index -> keys, uint64 (n, 2).
        rows: (order index, layer) -> row ids of each n-gram, int64 (n, HEADS).
    """

    def __init__(
        self, path: Path, keys: dict[int, np.ndarray], rows: dict[tuple[int, int], np.ndarray]
    ) -> None:
        self.path, self.keys, self.rows = path, keys, rows

    def take(self, places: np.ndarray) -> tuple[dict[int, np.ndarray], np.ndarray]:
        """Row ids by layer, (P, H), and keys (P, orders, 2); places (P, orders) of the n-grams."""
        ids = {
            layer: np.concatenate(
                [self.rows[order, layer][places[:, order]] for order in range(len(ORDERS))], axis=1
            )
            for layer in ROWS
        }
        keys = [self.keys[order][places[:, order]] for order in range(len(ORDERS))]
        return ids, np.stack(keys, axis=1)

    def draw(self, rng: np.random.Generator, positions: int) -> np.ndarray:
        sizes = [len(self.keys[order]) for order in range(len(ORDERS))]
        return np.stack([rng.integers(0, size, positions) for size in sizes], axis=1)


def text_of(folder: Path, form: str, dtype: str, row_dim: int) -> Text:
    plan = make_plan(form=form, dtype=dtype, row_dim=row_dim, rows=ROWS, shard_rows=900)
    write_with_dictionary(plan, folder)
    known_orders, known = present()
    other_orders, other = absent()
    with DictionaryFiles.open(folder, open_table(folder).manifest) as file:
        numbers = np.empty(len(known), np.int64)
        for order in range(len(ORDERS)):
            numbers[known_orders == order] = file.find(order, known[known_orders == order])
    keys, of_rows = {}, {}
    rng = np.random.default_rng(3)
    for order in range(len(ORDERS)):
        ours, theirs = known_orders == order, other_orders == order
        keys[order] = np.concatenate([known[ours], other[theirs]])
        for layer, num_rows in ROWS.items():
            recorded = rows(num_rows, layer)[numbers[ours]]
            others = rng.integers(0, num_rows, (int(theirs.sum()), HEADS))
            of_rows[order, layer] = np.concatenate([recorded, others])
    return Text(folder, keys, of_rows)


def opened(
    text: Text, cache_bytes: int = 0, budget: int = 64 << 20, engine: str = "auto",
    fill: SelfFilled | None = None,
) -> SsdStore:  # fmt: skip
    store = open_store(
        text.path, "ssd", budget + cache_bytes, torch.float32,
        cache_bytes=cache_bytes, engine=engine, fill=fill,
    )  # fmt: skip
    assert isinstance(store, SsdStore)
    assert store.uses_keys
    return store


def wrong(store: SsdStore, text: Text, places: np.ndarray, plain: dict[int, np.ndarray]) -> int:
    """Ask for n-grams with their keys; returns how many rows differ from the plain reader's."""
    ids, keys = text.take(places)
    ticket = store.prefetch(ids, keys=keys)
    bad = 0
    for layer, some in ids.items():
        out = torch.full((*some.shape, store.row_dim), POISON)
        ticket.wait(layer, out)
        bad += int((out.numpy() != plain[layer][some]).any(axis=-1).sum())
    return bad


def plainly(text: Text) -> dict[int, np.ndarray]:
    table = open_table(text.path)
    return {layer: table.read_values(layer, np.arange(size)) for layer, size in ROWS.items()}


def poisoned(text: Text, first: int = 0) -> None:
    """Change bytes of every record but the first ones, as the manifest does not say."""
    path = text.path / RECORDS_FILE
    data = bytearray(path.read_bytes())
    size = (len(data) - ALIGNMENT_BYTES) // ENTRIES
    for record in range(first, ENTRIES):
        for at in range(ALIGNMENT_BYTES + record * size, ALIGNMENT_BYTES + (record + 1) * size, 64):
            data[at] ^= 1
    path.write_bytes(data)
