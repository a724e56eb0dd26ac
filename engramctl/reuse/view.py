"""Table rows that show a document of `measure`, for `mine` and `inspect`."""

from collections.abc import Iterable, Mapping
from typing import Any

from engramctl.output import Table

SHOWN_EVERY = 2  # cache sizes, which double
GIB = 1 << 30


def reuse_tables(document: Mapping[str, Any]) -> list[Table]:
    """Return the three tables: caches, distinct n-grams, dictionaries."""
    return [
        Table(
            "cache hit rate, all orders, rows of one head an order",
            cache_rows(document),
            "GiB: rows of all heads and layers; a number after a policy: documents read in turn; "
            "static: rows ranked on the mined text; oracle: the best fixed set for the text itself",
        ),
        Table(
            "distinct of all n-grams in a chunk",
            unique_rows(document),
            "streams: documents read in turn",
        ),
        Table(
            "n-gram dictionary, one list over all orders",
            dictionary_rows(document),
            "reads of rows a token and layer, then for all layers with one read a known n-gram; "
            "dedup: each n-gram read once in 2,048 tokens; hit: of the n-grams left by it",
        ),
    ]


def cache_rows(document: Mapping[str, Any]) -> list[dict[str, object]]:
    """Return hit rates of all orders together: a row a text and cache size, a column a curve."""
    rows: dict[tuple[str, int], dict[str, object]] = {}
    for curve in document["curves"]:
        if curve["order"] != 0:
            continue
        text, policy = _name(curve), curve["policy"]
        varies = policy in ("lru", "s3fifo")
        if varies or curve["interleave"] == 1:
            column = f"{policy} {curve['interleave']}" if varies else policy
            points = list(zip(curve["cache_rows"], curve["hit_rate"], strict=True))
            for size, rate in points[::SHOWN_EVERY]:
                gib = size * document["bytes_per_cache_row"] / GIB
                row = rows.setdefault(
                    (text, size), {"text": text, "cache rows": size, "GiB": round(gib, 3)}
                )
                row[column] = round(rate, 3)
    return list(rows.values())


def unique_rows(document: Mapping[str, Any]) -> list[dict[str, object]]:
    """Return shares of distinct n-grams: a row a text and number of streams and order."""
    return _pivot(
        (
            {"text": _name(row), "streams": row["interleave"], "order": row["order"]},
            f"{row['chunk_tokens']:,} tokens",
            round(row["share"], 3),
        )
        for row in document["unique"]
    )


def dictionary_rows(document: Mapping[str, Any]) -> list[dict[str, object]]:
    """Return what dictionaries serve: a row a text, number of streams and size."""
    orders = document["orders"]
    rows = []
    for one in document["dictionary"]["served"]:
        hits = zip(orders, one["hit_rate_after_dedup"], strict=True)
        rows.append(
            {
                "text": _name(one),
                "streams": one["interleave"],
                "entries": one["entries"],
                **{f"hit {order}": round(hit, 3) for order, hit in hits},
                "reads": round(one["reads_per_token"], 2),
                "after dedup": round(one["reads_per_token_after_dedup"], 2),
                "all layers": round(one["reads_per_token_all_layers_after_dedup"], 2),
            }
        )
    return rows


def _name(row: Mapping[str, Any]) -> str:
    return "mined" if row["held_out"] is None else str(row["held_out"])


def _pivot(
    cells: Iterable[tuple[dict[str, object], str, float]],
) -> list[dict[str, object]]:
    """Return one row for each set of leading cells, with the named cells behind them."""
    rows: dict[tuple[object, ...], dict[str, object]] = {}
    for lead, name, value in cells:
        rows.setdefault(tuple(lead.values()), dict(lead))[name] = value
    return list(rows.values())
