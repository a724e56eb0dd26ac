"""Counts from which n-grams were left out: which, and what that means for who reads them."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from engramctl.counts.manifest import read_counts_manifest


@dataclass(frozen=True)
class Pruned:
    """One order of which n-grams were left out.

    Attributes:
        distinct: n-grams of the text.
        kept: those in the counts.
    """

    distinct: int
    kept: int


def pruned_orders(manifest: Mapping[str, Any]) -> dict[int, Pruned]:
    """Return the orders of a counts folder of which n-grams were left out.

    Example:
        >>> pruned_orders({"orders": [{"order": 2, "distinct": 9, "kept": 4},
        ...                           {"order": 3, "distinct": 2, "kept": 2}]})
        {2: Pruned(distinct=9, kept=4)}
    """
    listed = manifest.get("orders")
    found: dict[int, Pruned] = {}
    for entry in listed if isinstance(listed, list) else ():
        match entry:
            case {"order": int(order), "distinct": int(distinct), "kept": int(kept)}:
                if 0 <= kept < distinct < 2**63:
                    found[order] = Pruned(distinct, kept)
    return found


def pruning(manifest: Mapping[str, Any]) -> str:
    """Return the options that left n-grams out, as words of a command line."""
    words = []
    if isinstance(least := manifest.get("min_count"), int) and least > 1:
        words.append(f"--min-count {least}")
    if manifest.get("top_k") is not None:
        words.append(f"--top-k {manifest['top_k']}")
    return " ".join(words)


def pruned_note(counts: Path, orders: Collection[int] | None, consequence: str) -> str | None:
    """Say that counts lack n-grams of these orders, and what follows; None when they are whole.

    Args:
        counts: a counts folder.
        orders: that are read; None: from 2 on.
        consequence: what follows for the reader, as the end of a sentence.

    Raises:
        FormatError: not a counts folder.
    """
    manifest = read_counts_manifest(counts)
    pruned = pruned_orders(manifest)
    read = [order for order in pruned if (order > 1 if orders is None else order in orders)]
    if not read:
        return None
    kept = ", ".join(
        f"{pruned[order].kept:,} of {pruned[order].distinct:,} of order {order}" for order in read
    )
    return f"{counts} was mined with {pruning(manifest)} and holds {kept}: {consequence}"
