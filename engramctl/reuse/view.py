"""Table rows that show a document of `measure`, for `mine` and `inspect`.

They are the few numbers that a person asks for: of documents read one after the other, and of
caches on text that was held out, where there is some. All others are in the document.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from engramctl.output import Table

SIZES_SHOWN = 4  # of the caches of an order, and of chunks
MIB = 1 << 20

EARLIER_NAMES = {"oracle": "best_fixed"}  # of policies, in documents of earlier versions

_POLICIES = (
    "text: tenth is every tenth document, of which nothing was learnt; the n-grams and rows above "
    "are counted in all documents\n"
    "lru: keeps the rows read last\n"
    "s3fifo: new rows wait in a small queue, a tenth of the cache; two hits there move a row to "
    "main, the rest (hits count to 3); ids of rows that left small are remembered, as many as main "
    "holds rows\n"
    "static: holds the rows that the mined text reads most, the lowest row ids among equals\n"
    "by chance: what of static is hits of n-grams that were never mined, on a row held for another "
    "n-gram (collisions)\n"
    "best fixed: a fixed set chosen on the text itself: the rows that this text reads most\n"
    "cache rows: of one head, MiB: of all heads and layers; order all: one cache for all orders; "
    "more sizes, and documents read in turn: in --json and curves.parquet"
)


def reuse_tables(document: Mapping[str, Any]) -> list[Table]:
    """Return the three tables: caches, distinct n-grams, dictionaries."""
    return [
        Table("hit-rate curves: % of reads that a cache serves", cache_rows(document), _POLICIES),
        Table(
            "% of distinct n-grams in a chunk of so many tokens",
            unique_rows(document),
            "of all n-grams of the chunk: what is left to be read when each is read once",
        ),
        Table(
            "n-gram dictionary: one list of the most useful n-grams of all orders",
            dictionary_rows(document),
            "hit: n-grams of the order that the list holds, of those left by dedup; dedup: each "
            "n-gram read once in 2,048 tokens; reads: of rows, a token and layer; all layers: "
            "with dedup, and one read for a known n-gram",
        ),
    ]


def cache_rows(document: Mapping[str, Any]) -> list[dict[str, object]]:
    """Return hit rates: a row a text, order and cache size, a column a policy."""
    curves = one_by_one(document["curves"])
    rows: dict[tuple[object, ...], dict[str, object]] = {}
    for curve in not_mined(curves):
        order = "all" if curve["order"] == 0 else str(curve["order"])
        rates = dict(zip(curve["cache_rows"], curve["hit_rate"], strict=True))
        for size in _spread(curve["cache_rows"]):
            row = {
                "text": text_name(curve),
                "order": order,
                "cache rows": size,
                "MiB": size * document["bytes_per_cache_row"] / MIB,
            }
            shown = rows.setdefault(tuple(row.values()), row)
            shown[EARLIER_NAMES.get(curve["policy"], curve["policy"])] = _percent(rates[size])
            if "by_chance" in curve:
                chances = dict(zip(curve["cache_rows"], curve["by_chance"], strict=True))
                shown["by chance"] = _percent(chances[size])
    return list(rows.values())


def unique_rows(document: Mapping[str, Any]) -> list[dict[str, object]]:
    """Return shares of distinct n-grams: a row a text and order, a column a chunk's tokens."""
    found = not_mined(one_by_one(document["unique"]))
    sizes = _spread(sorted({row["chunk_tokens"] for row in found}))
    return _pivot(
        (
            {"text": text_name(row), "order": row["order"]},
            f"{row['chunk_tokens']:,}",
            _percent(row["share"]),
        )
        for row in found
        if row["chunk_tokens"] in sizes
    )


def dictionary_rows(document: Mapping[str, Any]) -> list[dict[str, object]]:
    """Return what dictionaries serve: a row a text and size, up to one that holds all n-grams."""
    orders = document["orders"]
    rows = []
    shown: set[tuple[str, int]] = set()
    for one in one_by_one(document["dictionary"]["served"]):
        held = (text_name(one), one["entries_held"])
        if held in shown:
            continue
        shown.add(held)
        hits = zip(orders, one["hit_rate_after_dedup"], strict=True)
        rows.append(
            {
                "text": text_name(one),
                "entries": one["entries"],
                **{f"order {order} hit %": _percent(hit) for order, hit in hits},
                "reads": round(one["reads_per_token"], 2),
                "with dedup": round(one["reads_per_token_after_dedup"], 2),
                "all layers": round(one["reads_per_token_all_layers_after_dedup"], 2),
            }
        )
    return rows


def one_by_one(found: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Return what was found of the fewest documents read in turn."""
    fewest = min((one["interleave"] for one in found), default=1)
    return [one for one in found if one["interleave"] == fewest]


def not_mined(found: Sequence[Mapping[str, Any]]) -> Sequence[Mapping[str, Any]]:
    """Return what was found of text that was held out, or of the mined text where none was."""
    return [one for one in found if one["held_out"] is not None] or found


def _spread(sizes: Sequence[int]) -> list[int]:
    """Return a few of the sizes, the first and the last among them."""
    last, steps = len(sizes) - 1, SIZES_SHOWN - 1
    places = sorted({last * step // steps for step in range(steps + 1)})
    return [sizes[place] for place in places] if sizes else []


def _percent(share: float) -> float:
    return round(100 * share, 1)


def text_name(row: Mapping[str, Any]) -> str:
    """Return which text was read: the name of what was held out, or `mined`."""
    return "mined" if row["held_out"] is None else str(row["held_out"])


def _pivot(
    cells: Iterable[tuple[dict[str, object], str, float]],
) -> list[dict[str, object]]:
    """Return one row for each set of leading cells, with the named cells behind them."""
    rows: dict[tuple[object, ...], dict[str, object]] = {}
    for lead, name, value in cells:
        rows.setdefault(tuple(lead.values()), dict(lead))[name] = value
    return list(rows.values())
