"""Longest match of n-grams: ours against a dict of tuples, and against sorted keys in numpy."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from engramctl.hashing import DictionaryScheme
from engramctl.hashing.ngrams import NgramList
from engramctl.hashing.token_map import Canonical
from tests.benchmarks.harness import Row, interleave, row

VOCAB = 1 << 15
BITS = 15
ORDERS = (2, 3, 4)


def run(quick: bool) -> list[Row]:
    """Tokens of a Zipf law, the most frequent n-grams of other tokens of it; same rows out."""
    entries, positions = (1 << 16, 100_000) if quick else (1 << 20, 1_000_000)
    rng = np.random.default_rng(0)
    train = zipf(rng, 3 * entries)
    keys, lengths = frequent(train, entries)
    scheme = DictionaryScheme(ngram_list(keys, lengths), ORDERS, Canonical.identity(VOCAB))
    ids_T = zipf(rng, positions)
    ours_T1 = np.full((positions, 1), -7, np.int32)
    by_order = [(n, *sorted_keys(keys, lengths, n)) for n in ORDERS]
    rank_of = {
        (int(length), int(key)): rank
        for rank, (key, length) in enumerate(zip(keys, lengths, strict=True))
    }
    tokens = ids_T.tolist()
    found: dict[str, NDArray[np.int64]] = {}
    arms: dict[str, Callable[[], object]] = {
        "ours": lambda: scheme.row_ids(ids_T, 0, out=ours_T1),
        "numpy": lambda: found.__setitem__("numpy", by_searching(ids_T, by_order)),
        "dict": lambda: found.__setitem__("dict", by_dict(tokens, rank_of)),
    }
    for arm in arms.values():
        arm()
    for name, rows in found.items():
        assert np.array_equal(ours_T1[:, 0], rows), f"{name} finds other rows"
    seconds = interleave(arms, 3 if quick else 7)
    hits = 100 * float((ours_T1 >= 0).mean())
    bound = f"memory latency: {entries:,} n-grams, {hits:.0f} % of positions match"
    return [
        row("longest match", peer, seconds["ours"], seconds[arm], bound=bound, work=positions,
            unit="positions/s")
        for arm, peer in (("numpy", "np.searchsorted per order"), ("dict", "Python dict"))
    ]  # fmt: skip


def zipf(rng: np.random.Generator, tokens: int) -> NDArray[np.int64]:
    return (np.minimum(rng.zipf(1.2, tokens), VOCAB) - 1).astype(np.int64)


def windows(ids_T: NDArray[np.int64], order: int) -> NDArray[np.uint64]:
    """The packed n-gram that ends at each position from `order` - 1 on."""
    key = np.zeros(len(ids_T) - order + 1, np.uint64)
    for place in range(order):
        key = (key << np.uint64(BITS)) | ids_T[place : place + len(key)].astype(np.uint64)
    return key


def frequent(
    ids_T: NDArray[np.int64], entries: int
) -> tuple[NDArray[np.uint64], NDArray[np.int64]]:
    """The most frequent n-grams of all orders, packed, and their lengths."""
    keys, counts, lengths = [], [], []
    for order in ORDERS:
        unique, times = np.unique(windows(ids_T, order), return_counts=True)
        keys.append(unique)
        counts.append(times)
        lengths.append(np.full(len(unique), order))
    best = np.argsort(-np.concatenate(counts), kind="stable")[:entries]
    return np.concatenate(keys)[best], np.concatenate(lengths)[best]


def ngram_list(keys: NDArray[np.uint64], lengths: NDArray[np.int64]) -> NgramList:
    padded = np.full((len(keys), ORDERS[-1]), -1, np.int32)
    for order in ORDERS:
        rows = np.flatnonzero(lengths == order)
        for place in range(order):
            shift = np.uint64(BITS * (order - 1 - place))
            padded[rows, place] = (keys[rows] >> shift) & np.uint64(VOCAB - 1)
    return NgramList.padded(padded, lengths)


def sorted_keys(
    keys: NDArray[np.uint64], lengths: NDArray[np.int64], order: int
) -> tuple[NDArray[np.uint64], NDArray[np.intp]]:
    ranks = np.flatnonzero(lengths == order)
    turn = np.argsort(keys[ranks])
    return keys[ranks][turn], ranks[turn]


def by_searching(
    ids_T: NDArray[np.int64],
    by_order: list[tuple[int, NDArray[np.uint64], NDArray[np.intp]]],
) -> NDArray[np.int64]:
    rows = np.full(len(ids_T), -1, np.int64)
    for order, keys, ranks in by_order:
        wanted = windows(ids_T, order)
        at = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
        hit = keys[at] == wanted
        rows[order - 1 :][hit] = ranks[at[hit]]
    return rows


def by_dict(tokens: list[int], rank_of: dict[tuple[int, int], int]) -> NDArray[np.int64]:
    rows = []
    for t in range(len(tokens)):
        found = -1
        for order in reversed(ORDERS):
            if t >= order - 1:
                key = 0
                for token in tokens[t - order + 1 : t + 1]:
                    key = key << BITS | token
                found = rank_of.get((order, key), -1)
                if found >= 0:
                    break
        rows.append(found)
    return np.array(rows)
