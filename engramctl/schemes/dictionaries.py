"""From mined counts to a dictionary: the n-grams that SCONE would keep.

All lengths from 2 on are ranked together by count and the first ones are kept (SCONE, arXiv
2502.01637). Equal counts are ranked by order, then by canonical ids, so that the list depends on
the counts alone.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engramctl.counts.manifest import read_counts_manifest
from engramctl.counts.ngrams import mine_hint, order_file, read_ngrams
from engramctl.counts.pruned import pruned_note
from engramctl.errors import ConfigError, CorpusError, FormatError
from engramctl.hashing.dictionary.dictionary_scheme import DictionaryScheme
from engramctl.hashing.dictionary.ngrams import MAX_NGRAMS, NgramList
from engramctl.hashing.scheme.check import MAX_ORDER
from engramctl.hashing.walk.token_map import Canonical
from engramctl.vocabulary.fingerprints import counts_are_canonical

DEFAULT_ENTRIES = 1_000_000
DEFAULT_MIN_COUNT = 5  # SCONE's own (arXiv 2502.01637)

Ngrams = tuple[NDArray[np.int32], NDArray[np.uint64]]
"""Canonical ids (M, n), oldest first, and counts (M,)."""


@dataclass(frozen=True)
class Selection:
    """What is kept of the counts.

    Attributes:
        counts: a folder that `engramctl mine` made.
        entries: at most this many n-grams.
        min_count: n-grams that occur less often are left out.
        orders: lengths; None: those of the counts from 2 on.
        vocab_size: token ids lie in [0, vocab_size); None: a power of two above every mined id.
        layers: layers of the scheme.
    """

    counts: Path
    entries: int = DEFAULT_ENTRIES
    min_count: int = DEFAULT_MIN_COUNT
    orders: tuple[int, ...] | None = None
    vocab_size: int | None = None
    layers: tuple[int, ...] = (0,)


def dictionary_of_counts(
    selection: Selection, canonical: Canonical | None = None
) -> DictionaryScheme:
    """Read the counts and keep the most frequent n-grams.

    Memory: two times `entries`, and one batch; of token ids with a token map all n-grams of one
    order, because those with equal canonical ids are one and their counts add up.

    Args:
        selection: what to keep.
        canonical: how token ids become canonical ids; None: as the counts say, where they are of
            canonical ids, else the identity.

    Raises:
        ConfigError: a number out of range, or no n-gram that is frequent enough.
        FormatError: not a counts folder, or one without the orders.
        CorpusError: a broken file, token ids outside the vocabulary, or counts of another map.
    """
    if not 1 <= selection.entries <= MAX_NGRAMS or selection.min_count < 1:
        raise ConfigError(
            f"a dictionary of {selection.entries:,} n-grams that occur {selection.min_count:,} "
            "times cannot be made",
            facts={"expected": f"1 to {MAX_NGRAMS:,} n-grams, counts from 1"},
        )
    orders = _orders(selection)
    manifest = read_counts_manifest(selection.counts)
    if canonical is None:
        canonical = _own_step(selection, orders, manifest)
    mapped = counts_are_canonical(canonical, "the dictionary", selection.counts, manifest)
    token_map = None if mapped else canonical.token_map
    bound = canonical.num_canonical if mapped else canonical.num_ids
    best = Best(selection.entries, orders[-1])
    for order in orders:
        batches = read_ngrams(selection.counts, order, bound)
        for ids_MN, counts_M in _canonical(batches, order, token_map):
            often = counts_M >= selection.min_count
            best.add(ids_MN[often], counts_M[often])
    if not best.waiting:
        raise ConfigError(
            f"no n-gram of {selection.counts} occurs {selection.min_count:,} times",
            hint="keep rarer ones with --min-count 1, or mine more text",
        )
    return DictionaryScheme(best.ranked(), orders, canonical, layer_ids=selection.layers)


def lacking(counts: Path, min_count: int, scheme: DictionaryScheme) -> str | None:
    """Say what a dictionary of pruned counts may lack that it was asked to hold; None: nothing.

    Args:
        counts: what it was made from.
        min_count: how often its n-grams should occur.
        scheme: the dictionary.
    """
    manifest = read_counts_manifest(counts)
    least = manifest.get("min_count")
    joins = scheme.canonical.token_map is not None and manifest.get("token_map_xxh3_128") is None
    whole = manifest.get("top_k") is None and isinstance(least, int) and least <= min_count
    if whole and not joins:
        return None
    others = "others are not in the dictionary, and do not add to the counts of those that are"
    return pruned_note(counts, scheme.orders, others if joins else others.partition(",")[0])


def _own_step(selection: Selection, orders: Sequence[int], manifest: dict[str, Any]) -> Canonical:
    """Return the map of the scheme that the counts were mined with, or the identity."""
    if manifest.get("token_map_xxh3_128") is None:
        return Canonical.identity(selection.vocab_size or _vocabulary(selection, orders))
    if selection.vocab_size is not None:
        raise ConfigError(
            f"{selection.counts} is of canonical ids: their token map says how many ids there are",
            hint="leave out --vocab-size",
        )
    try:
        return Canonical.from_dict(manifest["scheme"]["canonical"])
    except (LookupError, TypeError, ValueError) as error:
        raise FormatError(
            f"{selection.counts} is of canonical ids and does not hold their token map",
            hint="name the tokenizer that it was mined with: --tokenizer",
        ) from error


def _orders(selection: Selection) -> tuple[int, ...]:
    """Return the orders to read; all are there."""
    listed = read_counts_manifest(selection.counts).get("orders")
    entries = listed if isinstance(listed, list) else []
    mined = [one.get("order") for one in entries if isinstance(one, dict)]
    present = sorted({n for n in mined if isinstance(n, int) and 1 < n <= MAX_ORDER})
    wanted = tuple(present if selection.orders is None else selection.orders)
    missing = [
        n for n in wanted if n not in present or not order_file(selection.counts, n).is_file()
    ]
    if missing or not wanted:
        raise FormatError(
            f"{selection.counts} lacks n-grams for a dictionary",
            facts={
                "expected": f"orders {_words(wanted) or 'from 2 on'}",
                "found": f"orders {_words(present) or 'none'}",
            },
            hint=mine_hint(wanted or (2, 3, 4)),
        )
    return wanted


def _words(numbers: Sequence[Any]) -> str:
    return ",".join(str(number) for number in numbers)


def _vocabulary(selection: Selection, orders: Sequence[int]) -> int:
    """Return a power of two above every id that was mined."""
    batches = (batch for order in orders for batch in read_ngrams(selection.counts, order))
    largest = max((int(ids.max(initial=0)) for ids, _ in batches), default=0)
    if largest >= 2**31:
        raise CorpusError(
            f"{selection.counts} has token ids beyond 31 bits",
            facts={"found": f"{largest:,}"},
            hint="mine token ids, not other numbers",
        )
    return 1 << max(1, largest.bit_length())


def _canonical(
    batches: Iterable[tuple[NDArray[np.uint32], NDArray[np.uint64]]],
    order: int,
    token_map: NDArray[np.int32] | None,
) -> Iterator[Ngrams]:
    """Give canonical n-grams, each once."""
    if token_map is None:
        yield from ((ids.astype(np.int32), counts) for ids, counts in batches)
        return
    mapped = [(token_map[ids], counts) for ids, counts in batches]
    ids_MN = np.concatenate([np.empty((0, order), np.int32), *(ids for ids, _ in mapped)])
    counts_M = np.concatenate([np.empty(0, np.uint64), *(counts for _, counts in mapped)])
    turn = np.lexsort(ids_MN.T)
    ids_MN, counts_M = ids_MN[turn], counts_M[turn]
    new = np.ones(len(ids_MN), bool)
    new[1:] = (ids_MN[1:] != ids_MN[:-1]).any(axis=1)
    if len(ids_MN):
        yield ids_MN[new], np.add.reduceat(counts_M, np.flatnonzero(new))


@dataclass
class Best:
    """The first `entries` n-grams of all that were added, by rank."""

    entries: int
    max_order: int
    parts: list[tuple[NDArray[np.int32], NDArray[np.uint64], NDArray[np.int64]]] = field(
        default_factory=list
    )
    waiting: int = 0
    least: int = 0

    def add(self, ids_MN: NDArray[np.int32], counts_M: NDArray[np.uint64]) -> None:
        """Take in n-grams of one order."""
        kept = counts_M >= self.least
        ids_MN, counts_M = ids_MN[kept], counts_M[kept]
        padded = np.full((len(ids_MN), self.max_order), -1, np.int32)
        padded[:, : ids_MN.shape[1]] = ids_MN
        self.parts.append((padded, counts_M, np.full(len(ids_MN), ids_MN.shape[1], np.int64)))
        self.waiting += len(ids_MN)
        if self.waiting > 2 * self.entries:
            self._prune()

    def ranked(self) -> NgramList:
        """Return the list in rank order."""
        self._prune()
        ids_RN, counts_R, lengths_R = self.parts[0]
        turn = _rank(ids_RN, counts_R, lengths_R)
        return NgramList.padded(ids_RN[turn], lengths_R[turn])

    def _prune(self) -> None:
        """Keep the best; only those that tie with the last one are sorted."""
        ids, counts, lengths = (np.concatenate(column) for column in zip(*self.parts, strict=True))
        if len(counts) > self.entries:
            self.least = int(np.partition(counts, len(counts) - self.entries)[-self.entries])
            above, ties = np.flatnonzero(counts > self.least), np.flatnonzero(counts == self.least)
            turn = _rank(ids[ties], counts[ties], lengths[ties])
            kept = np.concatenate([above, ties[turn[: self.entries - len(above)]]])
            ids, counts, lengths = ids[kept], counts[kept], lengths[kept]
        self.parts, self.waiting = [(ids, counts, lengths)], len(counts)


def _rank(
    ids_RN: NDArray[np.int32], counts_R: NDArray[np.uint64], lengths_R: NDArray[np.int64]
) -> NDArray[np.intp]:
    """Return the order of n-grams: count descending, then length, then ids."""
    return np.lexsort((*ids_RN.T[::-1], lengths_R, ~counts_R))
