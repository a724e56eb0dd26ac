"""The longest match of every position in a dictionary of 2^20 n-grams, against Python and numpy."""

import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
from numpy.typing import NDArray

from engramctl.corpus.sample import write_sample_corpus
from engramctl.hashing.dictionary.dictionary_scheme import DictionaryScheme
from engramctl.hashing.dictionary.ngrams import NgramList
from engramctl.hashing.walk.token_map import Canonical
from tests.benchmarks.harness import Row, interleave, row

ENTRIES = 1 << 20
ID_BITS = 12  # five ids fit one word, which is what the numpy peer needs
ORDERS = (2, 3, 4, 5)


def run(quick: bool) -> list[Row]:
    """Real text, the most frequent n-grams of its other half; every arm reads the same ids."""
    rounds = 3 if quick else 7
    text = sample_ids(4_000_000 if quick else 8_000_000)
    ids, rest = np.split(text, [min(1_000_000, len(text) // 2)])
    scheme = dictionary_of(rest)
    words = word_lists(scheme)
    row_of = {scheme.ngrams[rank]: rank for rank in range(len(scheme.ngrams))}
    ours = np.empty((len(ids), 1), np.int32)
    found: dict[str, NDArray[np.int64]] = {}
    slots = np.random.default_rng(0).integers(0, len(scheme.walk.constants[-1]), len(ids))
    taken = np.empty(len(ids), np.uint64)
    keys = scheme.walk.constants[-2]
    arms: dict[str, Callable[[], object]] = {
        "ours": lambda: scheme.row_ids(ids, 0, out=ours),
        "dict": lambda: found.update(dict=by_dict(row_of, ids.tolist())),
        "numpy": lambda: found.update(numpy=by_search(words, ids)),
        "probe": lambda: np.take(keys, slots, out=taken),
    }
    for arm in arms.values():
        arm()
    seconds = interleave(arms, rounds)
    for peer, rows in found.items():
        assert np.array_equal(rows, ours[:, 0]), f"{peer} finds other rows"
    reads = float(np.median(seconds["probe"]) / np.median(seconds["ours"]))
    matched = 100 * float((ours >= 0).mean())
    bound = (
        f"one random read of the table a position: {100 * reads:.0f} % of that rate; "
        f"{len(row_of):,} n-grams, {matched:.0f} % of {len(ids):,} positions match"
    )
    return [
        row("longest match", name, seconds["ours"], seconds[peer], bound=bound, work=len(ids),
            unit="positions/s")
        for peer, name in (
            ("dict", "Python dict of tuples, longest first"),
            ("numpy", "np.searchsorted an order, keys packed in 64 bits"),
        )
    ]  # fmt: skip


def sample_ids(max_bytes: int) -> NDArray[np.int64]:
    """The standard library's source as one sequence of ids."""
    with tempfile.TemporaryDirectory() as folder:
        corpus = write_sample_corpus(Path(folder), max_bytes=max_bytes, vocab_size=1 << ID_BITS)
        column = pq.read_table(corpus.parquet)["input_ids"].combine_chunks()
        ids: NDArray[np.int64] = column.flatten().to_numpy().astype(np.int64)
        return ids


def packed(ids: NDArray[np.int64], order: int) -> NDArray[np.uint64]:
    """The n-gram that ends at every position from `order - 1` on, in one word."""
    key = np.zeros(len(ids) - order + 1, np.uint64)
    for d in range(order):
        older = ids[order - 1 - d : len(ids) - d].astype(np.uint64)
        key |= older << np.uint64(ID_BITS * d)
    return key


def dictionary_of(text: NDArray[np.int64]) -> DictionaryScheme:
    """The most frequent n-grams of all orders."""
    parts = []
    for order in ORDERS:
        keys, counts = np.unique(packed(text, order), return_counts=True)
        shifts = np.uint64(ID_BITS) * np.arange(order, dtype=np.uint64)[::-1]
        ids = keys[:, None] >> shifts & np.uint64((1 << ID_BITS) - 1)
        padded = np.zeros((len(keys), ORDERS[-1]), np.int32)
        padded[:, :order] = ids
        parts.append((padded, counts, np.full(len(keys), order)))
    ids_RN, counts_R, lengths_R = (np.concatenate(column) for column in zip(*parts, strict=True))
    kept = np.argsort(-counts_R, kind="stable")[:ENTRIES]
    listed = NgramList.padded(ids_RN[kept], lengths_R[kept])
    return DictionaryScheme(listed, ORDERS, Canonical.identity(1 << ID_BITS))


def word_lists(
    scheme: DictionaryScheme,
) -> dict[int, tuple[NDArray[np.uint64], NDArray[np.intp]]]:
    """Sorted keys of each order and their rows: what the numpy peer searches."""
    made = {}
    for order in ORDERS:
        ranks, ids = scheme.ngrams.of_order(order)
        shifts = np.uint64(ID_BITS) * np.arange(order, dtype=np.uint64)[::-1]
        keys = np.bitwise_or.reduce(ids.astype(np.uint64) << shifts, axis=1)
        turn = np.argsort(keys)
        made[order] = (keys[turn], ranks[turn])
    return made


def by_dict(row_of: dict[tuple[int, ...], int], ids: list[int]) -> NDArray[np.int64]:
    """Ask a dict for the longest tuple first."""
    longest_first = ORDERS[::-1]
    rows = []
    for end in range(1, len(ids) + 1):
        for order in longest_first:
            if end >= order and (row := row_of.get(tuple(ids[end - order : end]))) is not None:
                rows.append(row)
                break
        else:
            rows.append(-1)
    return np.array(rows)


def by_search(
    words: dict[int, tuple[NDArray[np.uint64], NDArray[np.intp]]], ids: NDArray[np.int64]
) -> NDArray[np.int64]:
    """Search each order's sorted keys; longer ones overwrite shorter ones."""
    rows = np.full(len(ids), -1, np.int64)
    for order, (keys, ranks) in words.items():
        wanted = packed(ids, order)
        place = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
        hits = np.flatnonzero(keys[place] == wanted)
        rows[hits + order - 1] = ranks[place[hits]]
    return rows
