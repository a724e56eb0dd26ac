"""A dictionary mined as `engramctl mine` and `layout --dictionary` do it, and what it would save.

Every tenth document of the text that is mined is held out, and is all that is served of it. Texts
of other domains are served whole; none of their documents is mined.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from engramctl.corpus.batch import TokenBatch
from engramctl.corpus.corpus import Corpus
from engramctl.corpus.parquet import LocalWriter
from engramctl.hashing import Scheme
from engramctl.mining.local import mine
from engramctl.mining.options import MineOptions
from engramctl.reuse.documents import HELD_OUT_EVERY, joined
from engramctl.storage.format.dictionary_entry import Dictionary
from engramctl.storage.io.pages import PAGE
from engramctl.tables.ngram_dictionary import NgramPlan, plan_ngrams
from tests.benchmarks.caching.texts import Domain, Texts
from tests.benchmarks.caching.traces import CHUNK_TOKENS, all_columns, row_ids
from tests.benchmarks.cold.table import A_PAGE, SPEC

ENTRIES = 1 << 20


@dataclass(frozen=True)
class Mined:
    """A dictionary, and what it is held against.

    Attributes:
        plan: its n-grams, in record order.
        counts: the counts folder that they were chosen from.
        tokens: that were mined.
        held_out: one text a domain, the one that was mined first.
    """

    plan: NgramPlan
    counts: Path
    tokens: int
    held_out: tuple[Domain, ...]


def mined(served: Texts, folder: Path, entries: int = ENTRIES) -> Mined:
    """Mine the first domain's documents but every tenth, and choose n-grams.

    Args:
        served: the texts.
        folder: for the documents and their counts.
        entries: n-grams of the dictionary, at most.
    """
    first, *others = served.domains
    numbers = np.arange(len(first.offsets) - 1)
    is_held = numbers % HELD_OUT_EVERY == HELD_OUT_EVERY - 1
    train = first.part(~is_held)
    write(train, folder / "train.parquet")
    corpus = Corpus.open([folder / "train.parquet"], vocab_size=served.scheme.vocab_size)
    mine(corpus, folder / "counts", MineOptions(orders=served.scheme.orders))
    plan = chosen(served.scheme, folder / "counts", entries)
    return Mined(plan, folder / "counts", len(train.ids), (first.part(is_held), *others))


def chosen(scheme: Scheme, counts: Path, entries: int) -> NgramPlan:
    """Choose so many n-grams of a counts folder, or all it has."""
    planned = Dictionary.planned(
        entries, orders=scheme.orders, layers=sorted(scheme.layers),
        heads_per_order=scheme.heads_per_order, row_record_bytes=SPEC.record_bytes,
        key_bits=scheme.key_bits, counts_xxh3_128=None,
    )  # fmt: skip
    return plan_ngrams(scheme, counts, sum(planned.sizes.values()), SPEC.record_bytes)


def write(text: Domain, file: Path) -> None:
    """Write a text as a Parquet file of token ids, a document a row."""
    schema = pa.schema([("input_ids", pa.list_(pa.int32()))])
    lists = pa.ListArray.from_arrays(text.offsets.astype(np.int32), text.ids.astype(np.int32))
    with LocalWriter(file, schema, compression="zstd") as writer:
        writer.write_batch(pa.record_batch([lists], schema=schema))


@dataclass(frozen=True)
class Reads:
    """What chunks read, each thing once a chunk.

    Attributes:
        pages: of rows.
        records: of the dictionary.
    """

    pages: int
    records: int

    @property
    def requests(self) -> int:
        """Reads: a page or a record."""
        return self.pages + self.records

    @property
    def num_bytes(self) -> int:
        """Bytes of whole pages; a record lies in two."""
        return PAGE * (self.pages + 2 * self.records)


def planned_reads(scheme: Scheme, text: Domain, plan: NgramPlan | None) -> Reads:
    """Count what whole chunks of a text must read, every head of every layer, in plain numpy.

    Args:
        scheme: the model's.
        text: what is served.
        plan: the dictionary; None: there is none.
    """
    ids, is_token = joined(TokenBatch(text.ids, text.offsets))
    keys = scheme.ngram_keys(ids)[is_token]
    rows = row_ids(scheme, text, all_columns(scheme))
    shape = (CHUNK_TOKENS, len(scheme.layers), len(scheme.orders), scheme.heads_per_order)
    pages = records = 0
    for begin in range(0, len(rows) // CHUNK_TOKENS * CHUNK_TOKENS, CHUNK_TOKENS):
        chunk = slice(begin, begin + CHUNK_TOKENS)
        found = found_records(plan, keys[chunk])
        unknown = rows[chunk].reshape(shape).transpose(0, 2, 1, 3)[found < 0]
        pages += len(np.unique(unknown // A_PAGE))
        records += len(np.unique(found[found >= 0]))
    return Reads(pages, records)


def found_records(plan: NgramPlan | None, keys: NDArray[np.uint64]) -> NDArray[np.int64]:
    """Return the record of every n-gram or -1, int64 (T, orders)."""
    found = np.full(keys.shape[:2], -1, np.int64)
    if plan is not None:
        for order in range(keys.shape[1]):
            found[:, order] = plan.index.find(order, np.ascontiguousarray(keys[:, order]))
    return found
