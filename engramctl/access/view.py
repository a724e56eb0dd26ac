"""Table rows that show what a mining run found, for `mine` and `inspect`."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from engramctl.hashing.diagnose.mean_head import mean_head
from engramctl.output import Table

NgramText = Callable[[Sequence[int]], str]

ZIPF = (
    "zipf: exponent of count over rank, ls by least squares in the middle ranks, mle by maximum "
    "likelihood of the counts from x_min on, of all counts the one whose tail is nearest to a "
    "power law (Kolmogorov-Smirnov)"
)
HEADS = (
    "load: distinct n-grams a slot; colliding: n-grams that share their slot; overshadowed: "
    "accesses by an n-gram that is not the top one of its slot; chance: what n-grams thrown at "
    "random would give"
)


def order_table(orders: Sequence[Mapping[str, Any]], text: NgramText | None = None) -> Table:
    """Return what is known of the n-grams of every order.

    Args:
        orders: of the summary.
        text: what an n-gram says, where a tokenizer tells.
    """
    return Table(
        "n-grams",
        [_order_row(order, text) for order in orders],
        "kept: distinct n-grams that are written; coverage: their share of the tokens; entropy: of "
        f"one n-gram of the text, beside that of equally frequent ones; {ZIPF}; times: the top "
        "n-gram is there, of equally frequent ones the first in the file, as with --top-k",
    )


def _order_row(order: Mapping[str, Any], text: NgramText | None) -> dict[str, object]:
    top = order.get("top") or {"token_ids": [], "count": None}
    coverage = order.get("coverage")
    fits, entropy = order.get("zipf") or {}, order.get("entropy") or {}
    line, tail = fits.get("least_squares") or {}, fits.get("likelihood") or {}
    even = entropy.get("normalised")
    return {
        "order": order.get("order"),
        "tokens": order.get("occurrences"),
        "distinct": order.get("distinct"),
        "kept": order.get("kept"),
        "coverage %": None if coverage is None else 100 * coverage,
        "entropy bits": entropy.get("bits"),
        "of even %": None if even is None else 100 * even,
        "zipf ls": line.get("s"),
        "zipf mle": tail.get("s"),
        "x_min": tail.get("x_min"),
        "top n-gram": text(top["token_ids"]) if text else " ".join(map(str, top["token_ids"])),
        "times": top["count"],
    }


def access_tables(access: Mapping[str, Any], *, each_head: bool = False) -> list[Table]:
    """Return what is known of the rows that a scheme reads: orders, their heads and coverage.

    Args:
        access: of the summary.
        each_head: a line a head; else one a layer and order, the mean of its heads.
    """
    title = f"rows that {access['scheme']} reads"
    rows = [
        _head_row(layer, order, head)
        for layer in access["layers"]
        for order in layer["orders"]
        for head in (order["heads"] if each_head else [mean_head(order["heads"])])
    ]
    return [
        Table(
            title,
            [row for layer in access["layers"] for row in _order_rows(layer)],
            "windows: distinct n-grams as the scheme reads them; accesses: one a token and head; "
            "zipf: of accesses over rows, as above",
        ),
        Table(
            "heads, each beside pure chance" if each_head else "heads, beside pure chance",
            rows,
            HEADS if each_head else f"{HEADS}; means over heads, each: --each-head",
        ),
        Table(
            "% of accesses that the hottest rows serve",
            [row for layer in access["layers"] for row in _coverage_rows(layer)],
            "top 1 %: the hundredth of all rows of the table that is read most",
        ),
    ]


def _order_rows(layer: Mapping[str, Any]) -> list[dict[str, object]]:
    rows = []
    for part in (*layer["orders"], layer):
        line, tail = part["zipf"]["least_squares"] or {}, part["zipf"]["likelihood"] or {}
        rows.append(
            {
                "layer": layer["layer"],
                "order": str(part.get("order", "all")),
                "windows": part.get("windows"),
                "rows": part["num_rows"],
                "read": part["rows_read"],
                "read %": 100 * part["rows_read"] / part["num_rows"],
                "accesses": part["accesses"],
                "zipf ls": line.get("s"),
                "zipf mle": tail.get("s"),
                "x_min": tail.get("x_min"),
            }
        )
    return rows


def _head_row(
    layer: Mapping[str, Any], order: Mapping[str, Any], head: Mapping[str, Any]
) -> dict[str, object]:
    slots = head["num_slots"]
    return {
        "layer": layer["layer"],
        "order": order["order"],
        "head": head.get("head"),
        "slots": round(slots),
        "load": head["load_factor"],
        "read %": 100 * head["reached_slots"] / slots,
        "read by chance %": 100 * head["expected_reached_slots"] / slots,
        **chance_columns(head, order["windows"]),
    }


def chance_columns(head: Mapping[str, Any], ngrams: int) -> dict[str, object]:
    """Return what collides in a head and what is overshadowed, in per cent, beside chance.

    Args:
        head: a `HeadLoad` as a dictionary.
        ngrams: distinct n-grams of its order.
    """
    whole = max(1, ngrams)
    return {
        "colliding %": 100 * head["colliding_ngrams"] / whole,
        "colliding by chance %": 100 * head["expected_colliding_ngrams"] / whole,
        "overshadowed %": head["overshadowed_percent"],
        "overshadowed by chance %": head["expected_overshadowed_percent"],
    }


def _coverage_rows(layer: Mapping[str, Any]) -> list[dict[str, object]]:
    return [
        {
            "layer": layer["layer"],
            "order": str(part.get("order", "all")),
            **{
                f"top {point['percent']:g} %": None
                if point["share"] is None
                else 100 * point["share"]
                for point in part["coverage"]
                if point["percent"] is not None
            },
        }
        for part in (*layer["orders"], layer)
    ]
