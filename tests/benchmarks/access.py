"""Slot histograms from distinct n-grams, each hashed once, against hashing every position.

The peer hashes all positions with the same walk and counts every head with `np.bincount`, all
positions at once: its best case, which memory would not allow for a larger corpus. Ours reads the
counts of orders 2, 3 and 4 from Parquet, finds the windows with fills, and counts beside accesses
also n-grams and the top n-gram of every slot, with one GiB of counters at a time. Counting the
n-grams is not in its time: `mine` does that in any case. Every row's accesses must be equal.

ENGRAMCTL_CORPUS names Parquet files of token ids below 129,280; default: the standard library's
own source.
"""

import os
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from engramctl.access.count import count_rows
from engramctl.access.ngrams import CountedNgrams
from engramctl.access.starts import DocumentStarts
from engramctl.access.windows import Windows
from engramctl.corpus import Corpus
from engramctl.hashing import START, Scheme, make_scheme
from engramctl.mining.local import mine
from engramctl.mining.options import MineOptions
from engramctl.sample import write_sample_corpus
from tests.benchmarks.harness import Row, interleave, row

ORDERS = (2, 3, 4)
THREADS = 2
TARGET = 4.0
MEMORY_BYTES = 1 << 30


def run(quick: bool) -> list[Row]:
    """Measure; one row a table size."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        given = os.environ.get("ENGRAMCTL_CORPUS")
        source = Path(given) if given else write_sample_corpus(folder).parquet
        scheme = make_scheme("deepseek-v41", layers=(1,))
        corpus = Corpus.open([source], vocab_size=scheme.vocab_size)
        tokens = mine(corpus, folder / "counts", MineOptions(ORDERS))["tokens"]
        starts = DocumentStarts(folder / "starts.raw", max(ORDERS) - 1)
        for batch in corpus.batches():
            starts.add(batch)
        stream = _stream(corpus)
        sizes = {646_400: 3} if quick else {646_400: 7, 16_000_000: 3}
        return [_compare(folder, *size, stream, starts, tokens) for size in sizes.items()]


def _stream(corpus: Corpus) -> NDArray[np.int64]:
    """Return all documents in a row, START before each: one sequence for the peer."""
    pieces = []
    for batch in corpus.batches():
        ids = np.insert(batch.ids.astype(np.int64), batch.offsets[:-1], START)
        pieces.append(ids)
    return np.concatenate(pieces)


def _compare(
    folder: Path,
    slots: int,
    rounds: int,
    stream: NDArray[np.int64],
    starts: DocumentStarts,
    tokens: int,
) -> Row:
    scheme = make_scheme("deepseek-v41", slots=slots, layers=(1,))
    _check(folder, scheme, stream, starts, tokens)
    arms: dict[str, Callable[[], object]] = {
        "ours": lambda: _ours(folder, scheme, starts, tokens),
        "theirs": lambda: _theirs(scheme, stream),
    }
    seconds = interleave(arms, rounds)
    return row(
        f"row accesses, 24 heads of {slots:,} slots",
        "numpy bincount of every position's row ids",
        seconds["ours"],
        seconds["theirs"],
        target=TARGET,
        bound="one random access to memory a head and distinct n-gram",
        work=tokens,
        unit="tokens/s",
    )


def _ours(
    folder: Path,
    scheme: Scheme,
    starts: DocumentStarts,
    tokens: int,
    found: NDArray[np.int64] | None = None,
) -> None:
    windows = {
        order: Windows(
            CountedNgrams(folder / "counts", order),
            starts,
            scheme.boundary,
            scheme.canonical.num_canonical,
            folder,
        )
        for order in ORDERS
    }
    for _, read in count_rows(scheme, windows, tokens, memory_bytes=MEMORY_BYTES, threads=THREADS):
        if found is not None:
            found[read.ids] = read.counts
    for one in windows.values():
        one.remove()


def _theirs(scheme: Scheme, stream: NDArray[np.int64]) -> list[NDArray[np.int64]]:
    rows_TH = scheme.row_ids(stream, 1)
    starts_TH = rows_TH[stream == START]
    return [
        np.bincount(rows_TH[:, column] - head.offset, minlength=head.modulus)
        - np.bincount(starts_TH[:, column] - head.offset, minlength=head.modulus)
        for column, head in enumerate(scheme.layer_hash(1).heads)
    ]


def _check(
    folder: Path,
    scheme: Scheme,
    stream: NDArray[np.int64],
    starts: DocumentStarts,
    tokens: int,
) -> None:
    found = np.zeros(scheme.num_rows(1), np.int64)
    _ours(folder, scheme, starts, tokens, found)
    if not np.array_equal(found, np.concatenate(_theirs(scheme, stream))):
        raise AssertionError("the accesses of some rows differ")
