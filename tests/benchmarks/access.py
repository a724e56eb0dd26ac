"""Slot histograms from distinct n-grams, each hashed once, against hashing every position.

The peer hashes all positions with the same walk (two threads) and counts every head with
`np.bincount`, all positions at once: its best case, which memory would not allow for a larger
corpus. Ours has the distinct n-grams of orders 2, 3 and 4 in a file, as a mining run hands them
over, finds the windows with fills, and counts beside accesses also n-grams and the top n-gram of
every slot, with one GiB of counters at a time. Counting the n-grams is not in its time: `mine` does
that in any case. Every row's accesses must be equal.

ENGRAMCTL_CORPUS names Parquet files of token ids below 129,280; default: the standard library's
own source.
"""

import os
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from engramctl.access.count import count_rows
from engramctl.access.document_starts import DocumentStarts
from engramctl.access.ngrams import RawNgrams
from engramctl.access.windows import Windows
from engramctl.corpus.corpus import Corpus
from engramctl.corpus.sample import write_sample_corpus
from engramctl.hashing import START, Scheme, make_scheme
from engramctl.mining.local import mine
from engramctl.mining.options import MineOptions
from tests.benchmarks.harness import Row, interleave, row

ORDERS = (2, 3, 4)
THREADS = 2
TARGET = 4.0
MEMORY_BYTES = 1 << 30


@dataclass(frozen=True)
class Text:
    """One corpus, as both sides take it.

    Attributes:
        folder: for files.
        tokens: of the corpus.
        stream: all documents in a row, START before each: one sequence for the peer.
        starts: beginnings of documents.
        ngrams: distinct n-grams of every order.
    """

    folder: Path
    tokens: int
    stream: NDArray[np.int64]
    starts: DocumentStarts
    ngrams: dict[int, RawNgrams]

    @classmethod
    def read(cls, corpus: Corpus, folder: Path) -> "Text":
        starts = DocumentStarts(folder / "starts.raw", max(ORDERS) - 1)
        ngrams = {order: RawNgrams(folder / f"ngrams{order}.raw", order) for order in ORDERS}
        summary = mine(
            corpus,
            folder / "counts",
            MineOptions(ORDERS),
            sink=lambda order, rows: ngrams[order].append(rows.ids, rows.counts),
        )
        pieces = []
        for batch in corpus.batches():
            starts.add(batch)
            pieces.append(np.insert(batch.ids.astype(np.int64), batch.offsets[:-1], START))
        return cls(folder, summary["tokens"], np.concatenate(pieces), starts, ngrams)


def run(quick: bool) -> list[Row]:
    """Measure; one row a table size."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        given = os.environ.get("ENGRAMCTL_CORPUS")
        source = Path(given) if given else write_sample_corpus(folder).parquet
        vocab_size = make_scheme("deepseek-v41", slots=97).vocab_size
        text = Text.read(Corpus.open([source], vocab_size=vocab_size), folder)
        sizes = {646_400: 3} if quick else {646_400: 7, 16_000_000: 3}
        return [_compare(text, slots, rounds) for slots, rounds in sizes.items()]


def _compare(text: Text, slots: int, rounds: int) -> Row:
    scheme = make_scheme("deepseek-v41", slots=slots, layers=(1,))
    arms: dict[str, Callable[[], object]] = {
        "ours": lambda: _ours(scheme, text),
        "theirs": lambda: _theirs(scheme, text),
    }
    found = np.zeros(scheme.num_rows(1), np.int64)
    _ours(scheme, text, found)
    if not np.array_equal(found, np.concatenate(_theirs(scheme, text))):
        raise AssertionError("the accesses of some rows differ")
    del found
    work = {name: _cpu_seconds(arm) for name, arm in arms.items()}
    seconds = interleave(arms, rounds)
    distinct = sum(ngrams.size // (4 * (order + 2)) for order, ngrams in text.ngrams.items())
    return row(
        f"row accesses, 24 heads of {slots:,} slots",
        "numpy bincount of every position's row ids",
        seconds["ours"],
        seconds["theirs"],
        target=TARGET,
        bound=f"a random access to memory a head and distinct n-gram: "
        f"{len(ORDERS) * text.tokens / distinct:.1f} times fewer than the peer's; "
        f"CPU time {work['theirs'] / work['ours']:.1f} times less",
        work=text.tokens,
        unit="tokens/s",
    )


def _cpu_seconds(arm: Callable[[], object]) -> float:
    begin = time.process_time()
    arm()
    return time.process_time() - begin


def _ours(scheme: Scheme, text: Text, found: NDArray[np.int64] | None = None) -> None:
    windows = {
        order: Windows(
            text.ngrams[order],
            text.starts,
            scheme.boundary,
            scheme.canonical.num_canonical,
            text.folder,
        )
        for order in ORDERS
    }
    for _, read in count_rows(
        scheme, windows, text.tokens, memory_bytes=MEMORY_BYTES, threads=THREADS
    ):
        if found is not None:
            found[read.ids] = read.counts
    for one in windows.values():
        one.remove()


def _theirs(scheme: Scheme, text: Text) -> list[NDArray[np.int64]]:
    rows_TH = scheme.row_ids(text.stream, 1)
    starts_TH = rows_TH[text.stream == START]
    return [
        np.bincount(rows_TH[:, column] - head.offset, minlength=head.modulus)
        - np.bincount(starts_TH[:, column] - head.offset, minlength=head.modulus)
        for column, head in enumerate(scheme.layer_hash(1).heads)
    ]
