"""Which n-grams a table's dictionary holds, and which rows each has: counts and scheme meet.

The value of an n-gram is the number of chunks further text would have it in. Counts hold
occurrences, so it is the count times the share that spec/hotset.md section 3 measured for such a
count and order, interpolated in the logarithm of the count.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engramctl.errors import ConfigError
from engramctl.hashing import Scheme
from engramctl.hashing.keys import pack_windows
from engramctl.ngram_counts import order_file, read_ngrams
from engramctl.storage.format import ALIGNMENT_BYTES
from engramctl.storage.ngram_file import write_ngrams
from engramctl.storage.ngram_index import NgramIndex, index_bytes
from engramctl.storage.source import Source
from engramctl.tables import counts_digest, read_counts_manifest
from engramctl.token_maps import map_fingerprint

_COUNTS = np.log([1.0, 2.0, 8.0, 64.0])
_SHARES = {2: [0.54, 0.65, 0.84, 1.0], 3: [0.33, 0.47, 0.75, 1.0], 4: [0.21, 0.355, 0.69, 1.0]}


@dataclass(frozen=True, eq=False)
class NgramPlan:
    """The n-grams of a dictionary in record order; about 40 bytes an entry.

    Attributes:
        scheme: whose rows they have.
        index: finds them.
        order_index: which order of the scheme, int64 (n,).
        token_ids: token ids that give the n-gram, oldest first, the last at the end, int64
            (n, max_order); columns before the n-gram are 0.
        counts_xxh3_128: digest of the counts' manifest.
    """

    scheme: Scheme
    index: NgramIndex
    order_index: NDArray[np.int64]
    token_ids: NDArray[np.int64]
    counts_xxh3_128: str

    def rows(self, layer: int, start: int, stop: int) -> NDArray[np.int64]:
        """Return the row ids of records [start, stop), int64 (n, heads_per_order)."""
        heads = self.scheme.heads_per_order
        rows = self.scheme.row_ids(self.token_ids[start:stop], layer)[:, -1]
        columns = self.order_index[start:stop, None] * heads + np.arange(heads)
        return np.take_along_axis(rows, columns, axis=1).astype(np.int64)


def record_bytes(scheme: Scheme, source: Source) -> int:
    """Return the bytes of an n-gram's record."""
    return len(source.layers) * scheme.heads_per_order * source.record.record_bytes


def key_bits(scheme: Scheme) -> int:
    """Return the bits of the longest n-gram key."""
    return max(1, (scheme.canonical.num_canonical - 1).bit_length()) * scheme.max_order


def entries_within(scheme: Scheme, budget_bytes: int, record: int) -> int:
    """Return how many entries' files fit in a budget, headers included."""
    low, high = 0, max(0, min((1 << 32) - 1, budget_bytes // record))
    while low < high:
        middle = (low + high + 1) // 2
        index = index_bytes(middle, len(scheme.orders), key_bits(scheme))
        if middle * record + index + 2 * ALIGNMENT_BYTES <= budget_bytes:
            low = middle
        else:
            high = middle - 1
    return low


def plan_ngrams(scheme: Scheme, counts: Path, budget_bytes: int, record: int) -> NgramPlan:
    """Choose the n-grams worth most whose records fit in a budget.

    Memory: all n-grams of one order, and two times the entries.

    Raises:
        ConfigError: too small a budget, no n-gram of the scheme's orders, keys too long, or counts
            of another token map.
        FormatError: not a counts folder.
        CorpusError: broken counts, or ids outside the vocabulary.
    """
    manifest, entries = read_counts_manifest(counts), entries_within(scheme, budget_bytes, record)
    if not entries:
        raise ConfigError(
            "the budget holds no n-gram record", facts={"found": f"{budget_bytes:,} bytes"}
        )
    canonical = _is_canonical(scheme, manifest)
    best: list[NDArray[Any]] = []
    for number, order in enumerate(scheme.orders):
        if not order_file(counts, order).exists():
            continue
        tokens, keys, totals = _of_order(scheme, counts, order, canonical)
        shares = np.interp(np.log(totals), _COUNTS, _SHARES[max(2, min(order, 4))])
        padded = np.zeros((len(tokens), scheme.max_order), np.int64)
        padded[:, scheme.max_order - order :] = tokens
        found: list[NDArray[Any]] = [
            totals * shares,
            np.full(len(tokens), number, np.int64),
            keys,
            padded,
        ]
        if best:
            found = [np.concatenate(pair) for pair in zip(best, found, strict=True)]
        value, place, high_low = found[:3]
        turn = np.lexsort((high_low[:, 0], high_low[:, 1], place, -value))[:entries]
        best = [column[turn] for column in found]
    if not best or not len(best[0]):
        raise ConfigError(
            f"{counts} holds no n-gram that the scheme can look up",
            hint="mine the scheme's orders: engramctl mine ... --orders 2,3,4",
        )
    _, places, all_keys, all_tokens = best
    index, turn = NgramIndex.build(
        places, all_keys, num_orders=len(scheme.orders), key_bits=key_bits(scheme)
    )
    return NgramPlan(scheme, index, places[turn], all_tokens[turn], counts_digest(counts))


def _is_canonical(scheme: Scheme, manifest: dict[str, Any]) -> bool:
    """Say whether counts are of canonical ids."""
    digest = manifest.get("token_map_xxh3_128")
    if digest is None:
        return False
    found = map_fingerprint(scheme.canonical)
    if digest != found:
        raise ConfigError(
            "the counts were mined with another token map than the scheme's",
            facts={"expected": found, "found": digest},
            hint="mine again with: engramctl mine ... --scheme",
        )
    return scheme.canonical.token_map is not None


def _of_order(
    scheme: Scheme, counts: Path, order: int, canonical: bool
) -> tuple[NDArray[np.int64], NDArray[np.uint64], NDArray[np.float64]]:
    """Return token ids, keys and counts of the n-grams that look-back can see, each key once."""
    token_map, bound = scheme.canonical.token_map, scheme.canonical.num_canonical
    first = np.arange(bound)
    if token_map is not None:
        first = np.full(bound, -1)
        seen, where = np.unique(token_map, return_index=True)
        first[seen] = where
    number = scheme.orders.index(order)
    parts = []
    for ids, totals in read_ngrams(counts, order, bound if canonical else scheme.vocab_size):
        tokens = first[ids] if canonical else ids.astype(np.int64)
        there = (tokens >= 0).all(axis=1)
        tokens, totals = tokens[there], totals[there]
        mapped = tokens if token_map is None else token_map[tokens].astype(np.int64)
        walk = [mapped[:, order - 1 - d, None] for d in range(order)]
        whole = pack_windows(walk, (order,), bound)[:, 0, 0]
        keys = scheme.ngram_keys(tokens)[:, -1, number]
        seen_whole = (keys == whole).all(axis=1)
        parts.append((tokens[seen_whole], keys[seen_whole], totals[seen_whole].astype(np.float64)))
    if not parts:
        return np.empty((0, order), np.int64), np.empty((0, 2), np.uint64), np.empty(0)
    tokens, keys, sums = (np.concatenate(column) for column in zip(*parts, strict=True))
    turn = np.lexsort((keys[:, 0], keys[:, 1]))
    tokens, keys, sums = tokens[turn], keys[turn], sums[turn]
    new = np.ones(len(keys), bool)
    new[1:] = (keys[1:] != keys[:-1]).any(axis=1)
    if len(keys):
        sums = np.add.reduceat(sums, np.flatnonzero(new))
    return tokens[new], keys[new], sums


def write_ngram_file(
    work: Path,
    plan: NgramPlan,
    source: Source,
    table_xxh3_128: str,
    *,
    workers: int | None = None,
    progress: Callable[[int], None] = lambda amount: None,
) -> dict[str, Any]:
    """Write a plan's files into a folder in the making; returns the `dictionary` object."""
    return write_ngrams(
        work, plan.index, plan.rows, source, orders=plan.scheme.orders,
        heads_per_order=plan.scheme.heads_per_order, table_xxh3_128=table_xxh3_128,
        counts_xxh3_128=plan.counts_xxh3_128, workers=workers, progress=progress,
    )  # fmt: skip
