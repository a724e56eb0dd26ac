"""Tables that show what a scheme does to mined counts: a line an order and size."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from engramctl.access.view import HEADS, chance_columns
from engramctl.output import Table
from engramctl.terminal.quantities import size_words

_LEGEND = (
    "slots: what each head has at least; up to: what the largest head got; load: distinct n-grams "
    "a slot; colliding: n-grams that share their row with another one; overshadowed: accesses by "
    "an n-gram that is not the top one of its row; table: bytes of all layers, orders and heads of "
    "that size. Means over layers and heads; each head: --each-head; collisions in every head at "
    "once, and what chance would give: --format md, csv or json"
)
_NGRAMS = "distinct: different n-grams; accesses: one for every time they occur"


def sizes_tables(
    document: Mapping[str, Any], *, each_head: bool = False, whole: bool = False
) -> list[Table]:
    """Return the tables that show a document of `diagnose_sizes`.

    Args:
        document: the document.
        each_head: every head as well.
        whole: for md and csv: one table with every column, sizes in bytes.
    """
    sizes = document["sizes"]
    title = f"{document['scheme']} on {document['counts']}"
    lines = [
        _whole_row(size, one) if whole else _row(size, one)
        for size in sizes
        for one in size["by_order"]
    ]
    tables = [Table(title, lines, f"{_LEGEND}\n\n{document['answer']}")]
    if not whole:
        tables.insert(0, Table("n-grams", list(_ngrams(sizes)), _NGRAMS))
    if each_head:
        rows = _head_rows(document)
        tables.append(
            Table("heads, each beside pure chance", rows, f"{HEADS}; never reached: no n-gram")
        )
    if not whole:
        tables.append(Table("warnings", [{"warning": text} for text in document["warnings"]]))
    return tables


def _ngrams(sizes: Sequence[Mapping[str, Any]]) -> Iterator[dict[str, object]]:
    orders = {one["order"]: one for size in sizes for one in size["by_order"]}
    for order, one in sorted(orders.items()):
        yield {"order": order, "distinct": one["distinct"], "accesses": one["accesses"]}


def _row(size: Mapping[str, Any], one: Mapping[str, Any]) -> dict[str, object]:
    return {
        "orders": ",".join(map(str, size["orders"])),
        "slots": one["slots"],
        "order": one["order"],
        "up to": one["most_slots"],
        "load": one["load_factor"],
        "colliding %": one["colliding_percent"],
        "overshadowed %": one["overshadowed_percent"],
        "table": size_words(size["table_bytes"]),
    }


def _whole_row(size: Mapping[str, Any], one: Mapping[str, Any]) -> dict[str, object]:
    return {
        "orders": ",".join(map(str, size["orders"])),
        "slots": one["slots"],
        "order": one["order"],
        "fewest slots": one["fewest_slots"],
        "most slots": one["most_slots"],
        "distinct n-grams": one["distinct"],
        "accesses": one["accesses"],
        "load": one["load_factor"],
        "never reached %": one["unreached_percent"],
        "colliding %": one["colliding_percent"],
        "colliding by chance %": one["expected_colliding_percent"],
        "overshadowed %": one["overshadowed_percent"],
        "overshadowed by chance %": one["expected_overshadowed_percent"],
        "joint collisions": one["joint_collisions"],
        "rows": size["num_rows"],
        "table bytes": size["table_bytes"],
    }


def _head_rows(document: Mapping[str, Any]) -> list[dict[str, object]]:
    return [
        {
            "orders": ",".join(map(str, order["scheme_orders"])),
            "slots at least": order["slots"],
            "layer": order["layer"],
            "order": order["order"],
            "head": head["head"],
            "slots": head["num_slots"],
            "load": head["load_factor"],
            "never reached %": 100 * head["unreached_slots"] / head["num_slots"],
            "never reached by chance %": 100
            - 100 * head["expected_reached_slots"] / head["num_slots"],
            **chance_columns(head, order["distinct"]),
        }
        for order in document["orders"]
        for head in order["heads"]
    ]
