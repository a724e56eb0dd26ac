"""Tables of mined counts, for `mine` when they are made and for `inspect` afterwards."""

from collections.abc import Mapping, Sequence
from typing import Any

from engramctl.access.view import NgramText, access_tables, order_table
from engramctl.output import Table
from engramctl.reuse.view import reuse_tables


def summary_tables(summary: Mapping[str, Any], *, each_head: bool = False) -> list[Table]:
    """Return the tables of a `summary.json`: the corpus, and what was found in it."""
    names = ("tokens", "documents", "column", "min_count", "top_k")
    corpus = Table("corpus", [{name: summary[name] for name in names}])
    return [corpus, *found_tables(summary, left_out=summary["skipped_files"], each_head=each_head)]


def found_tables(
    document: Mapping[str, Any],
    text: NgramText | None = None,
    *,
    left_out: Sequence[Mapping[str, Any]] = (),
    each_head: bool = False,
) -> list[Table]:
    """Return what a run found of n-grams, and where it was asked for of rows and caches.

    Args:
        document: with `orders`, and maybe `access` and `reuse`, as a `summary.json` has them.
        text: what an n-gram says, where a tokenizer tells.
        left_out: files that could not be used.
        each_head: show every head of a scheme, not the mean of an order's.
    """
    tables = [order_table(document["orders"], text)]
    if document.get("access"):
        tables += access_tables(document["access"], each_head=each_head)
    if left_out:
        tables.append(Table("files left out", left_out))
    if document.get("reuse"):
        tables += reuse_tables(document["reuse"])
    return tables
