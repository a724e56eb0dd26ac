"""A table's n-gram dictionary, decided: which n-grams it holds, and which rows each has."""

from bisect import bisect_right
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engramctl.counts.candidates import Best, Candidates
from engramctl.counts.manifest import counts_digest
from engramctl.counts.ngrams import mine_hint
from engramctl.errors import ConfigError
from engramctl.hashing import Scheme, lookup_from_dict
from engramctl.memory import give_back
from engramctl.storage.dictionary.write import write_dictionary
from engramctl.storage.format.dictionary_entry import Dictionary
from engramctl.storage.format.dictionary_index import NgramIndex
from engramctl.storage.format.manifest import Manifest
from engramctl.storage.writing.plan import TablePlan


@dataclass(frozen=True, eq=False)
class NgramPlan:
    """A dictionary to be written; its n-grams are in record order, about 30 bytes each.

    Attributes:
        scheme: whose rows they have.
        dictionary: what the manifest will say, all but the digests.
        index: finds them.
        order_index: which order of the scheme, uint8 (n,).
        token_ids: as in `Ngrams`, uint32 (n, max_order).
    """

    scheme: Scheme
    dictionary: Dictionary
    index: NgramIndex
    order_index: NDArray[np.uint8]
    token_ids: NDArray[np.uint32]

    def rows(self, layer: int, start: int, stop: int) -> NDArray[np.int64]:
        """Return the row ids of records [start, stop), int64 (n, heads_per_order)."""
        heads = self.scheme.heads_per_order
        rows = self.scheme.row_ids(self.token_ids[start:stop].astype(np.int64), layer)[:, -1]
        columns = self.order_index[start:stop, None].astype(np.int64) * heads + np.arange(heads)
        return np.take_along_axis(rows, columns, axis=1).astype(np.int64)

    def by_order(self) -> dict[int, int]:
        """Return how many n-grams of each order there are."""
        counts = np.bincount(self.order_index, minlength=len(self.scheme.orders))
        return dict(zip(self.scheme.orders, counts.tolist(), strict=True))

    def write(self, folder: Path, manifest: Manifest, **run: Any) -> Manifest:
        """Write the files beside the row files; `run` as `write_dictionary`'s."""
        written = write_dictionary(folder, manifest, self.dictionary, self.index, self.rows, **run)
        return replace(manifest, dictionary=written)


def plan_dictionary(
    plan: TablePlan,
    counts: Path,
    budget_bytes: int,
    progress: Callable[[int], None] = lambda amount: None,
) -> tuple[TablePlan, NgramPlan]:
    """Add a dictionary to a planned table.

    Args:
        plan: of the table.
        counts: see `plan_ngrams`, as the rest.
        budget_bytes: of both files.
        progress: told of n-grams as they are looked at.

    Raises:
        ConfigError: as `plan_ngrams`, or the table's scheme has no heads.
    """
    scheme = lookup_from_dict(dict(plan.scheme))
    if not isinstance(scheme, Scheme):
        raise ConfigError(
            "a look-up by exact n-gram needs no n-gram dictionary", hint="leave out --dictionary"
        )
    ngrams = plan_ngrams(scheme, counts, budget_bytes, plan.layout.record_bytes, progress)
    return replace(plan, dictionary=ngrams.dictionary), ngrams


def plan_ngrams(
    scheme: Scheme,
    counts: Path,
    budget_bytes: int,
    row_record_bytes: int,
    progress: Callable[[int], None] = lambda amount: None,
) -> NgramPlan:
    """Choose the n-grams worth most whose records fit in a budget.

    Memory: about 200 MiB, and 150 bytes an entry.

    Args:
        scheme: of the table.
        counts: a counts folder of its orders.
        budget_bytes: of both files, headers included.
        row_record_bytes: bytes of one row of the table.
        progress: told of n-grams as they are looked at.

    Raises:
        ConfigError: too small a budget, no n-gram of the scheme's orders, keys too long, or counts
            of token ids for a scheme that takes canonical ids.
        FormatError: not a counts folder.
        CorpusError: broken counts, ids outside the vocabulary, or counts of another tokenizer.
    """
    candidates, digest = Candidates(scheme, counts), counts_digest(counts)

    def planned(entries: int) -> Dictionary:
        return Dictionary.planned(
            entries,
            orders=scheme.orders,
            layers=sorted(scheme.layers),
            heads_per_order=scheme.heads_per_order,
            row_record_bytes=row_record_bytes,
            key_bits=scheme.key_bits,
            counts_xxh3_128=digest,
        )

    best = Best(_most_entries(planned, budget_bytes))
    for ngrams in candidates.read(progress):
        best.add(ngrams)
    found = best.all()
    if not found:
        raise ConfigError(
            f"{counts} holds no n-gram that the scheme can look up",
            hint=mine_hint(scheme.orders),
        )
    index, turn = NgramIndex.build(
        found.order_index,
        found.keys,
        num_orders=len(scheme.orders),
        key_bits=scheme.key_bits,
    )
    chosen = found.take(turn)
    del best, found
    give_back()
    return NgramPlan(scheme, planned(len(chosen)), index, chosen.order_index, chosen.token_ids)


def _most_entries(planned: Callable[[int], Dictionary], budget_bytes: int) -> int:
    """Return how many entries' files fit in a budget, headers included."""

    def size(entries: int) -> int:
        return sum(planned(entries).sizes.values())

    if size(1) > budget_bytes:
        raise ConfigError(
            "the budget holds no n-gram record",
            facts={"expected": f"{size(1):,} bytes", "found": f"{budget_bytes:,} bytes"},
            hint="give more with --dictionary-budget",
        )
    most = min((1 << 32) - 1, budget_bytes // planned(1).record_bytes)
    return bisect_right(range(most + 1), budget_bytes, 1, key=size) - 1
