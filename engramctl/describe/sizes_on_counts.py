"""How many slots are enough: one scheme in several sizes on the same mined counts."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from engramctl.describe.scheme_on_counts import diagnose_counts
from engramctl.hashing.diagnose.mean_head import mean_head
from engramctl.hashing.scheme.scheme import Scheme
from engramctl.storage.record.record import RecordSpec
from engramctl.terminal.quantities import size_words

_SAME = ("kind", "scheme", "counts", "tokens", "min_count")


def diagnose_sizes(
    schemes: Sequence[Scheme], counts: Path, progress: Callable[[int], None] | None = None
) -> dict[str, Any]:
    """Return the diagnosis of every size as one JSON document.

    Args:
        schemes: one a size; the same recipe with other slots or orders.
        counts: a folder that `engramctl mine` made.
        progress: called with 1 for each size, layer and order that is done.

    Returns:
        what is common to all; `orders`: every size, layer and order with its heads; `sizes`: an
        entry a size, with `by_order` (means over layers and heads); `answer`: a sentence.

    Raises:
        ConfigError, FormatError, CorpusError: as `diagnose_counts`.
    """
    found = [diagnose_counts(scheme, counts, progress) for scheme in schemes]
    sizes = [
        _size(scheme, document["orders"]) for scheme, document in zip(schemes, found, strict=True)
    ]
    orders = [
        {"slots": _asked(scheme, order), "scheme_orders": list(scheme.orders), **order}
        for scheme, document in zip(schemes, found, strict=True)
        for order in document["orders"]
    ]
    return {
        **{name: found[0][name] for name in _SAME},
        "orders_without_counts": sorted({n for one in found for n in one["orders_without_counts"]}),
        "warnings": list(dict.fromkeys(text for one in found for text in one["warnings"])),
        "answer": answer(sizes),
        "sizes": sizes,
        "orders": orders,
    }


def _size(scheme: Scheme, orders: Sequence[dict[str, Any]]) -> dict[str, Any]:
    rows = sum(scheme.num_rows(layer) for layer in scheme.layers)
    present = sorted({order["order"] for order in orders})
    by_order = [
        {"order": n, **_mean([order for order in orders if order["order"] == n], scheme)}
        for n in present
    ]
    return {
        "orders": list(scheme.orders),
        "num_rows": rows,
        "table_bytes": rows * RecordSpec(scheme.dtype, scheme.row_dim).record_bytes,
        "overshadowed_percent": _weighted(by_order),
        "by_order": by_order,
    }


def _mean(layers: Sequence[dict[str, Any]], scheme: Scheme) -> dict[str, Any]:
    """Return one order of one size: means over the heads of all layers."""
    heads = [head for layer in layers for head in layer["heads"]]
    one, distinct = mean_head(heads), layers[0]["distinct"]

    def percent(name: str, whole: float | None) -> float:
        return 100 * (one[name] or 0.0) / (whole or 1)

    return {
        "slots": _asked(scheme, layers[0]),
        "fewest_slots": min(head["num_slots"] for head in heads),
        "most_slots": max(head["num_slots"] for head in heads),
        "distinct": distinct,
        "accesses": layers[0]["accesses"],
        "load_factor": one["load_factor"],
        "unreached_percent": percent("unreached_slots", one["num_slots"]),
        "colliding_percent": percent("colliding_ngrams", distinct),
        "expected_colliding_percent": percent("expected_colliding_ngrams", distinct),
        "overshadowed_percent": one["overshadowed_percent"],
        "expected_overshadowed_percent": one["expected_overshadowed_percent"],
        "joint_collisions": max(layer["joint_collisions"] for layer in layers),
    }


def _asked(scheme: Scheme, order: dict[str, Any]) -> int:
    """Return the slots that a head of an order has at least; where each is named, the smallest."""
    if scheme.rule.generator == "explicit":
        return min(int(head["num_slots"]) for head in order["heads"])
    return scheme.slots[scheme.orders.index(order["order"])]


def _weighted(by_order: Sequence[dict[str, Any]]) -> float | None:
    """Return overshadowed accesses in per cent of those of all orders."""
    total = float(sum(one["accesses"] for one in by_order))
    if not total or any(one["overshadowed_percent"] is None for one in by_order):
        return None
    shares = (one["accesses"] / total * one["overshadowed_percent"] for one in by_order)
    return float(sum(shares))


def answer(sizes: Sequence[dict[str, Any]]) -> str:
    """Say in one sentence what every size costs: bytes, and accesses that are overshadowed.

    Of pruned counts, where those are not known: n-grams that share their slot, at least.
    """
    named = len({tuple(size["orders"]) for size in sizes}) > 1
    costs = [_cost(size, named, first=place == 0) for place, size in enumerate(sizes)]
    text = "; ".join(costs)
    return f"{text}." if len(sizes) > 1 else f"{text}; for other sizes repeat --slots."


def _cost(size: dict[str, Any], named: bool, *, first: bool) -> str:
    slots = sorted({one["slots"] for one in size["by_order"]})
    what = f"{slots[0]:,}" if len(slots) == 1 else f"{slots[0]:,} to {slots[-1]:,}"
    what += " slots a head" if first else ""
    if named:
        plural = "s" if len(size["orders"]) > 1 else ""
        what += f" in order{plural} {','.join(map(str, size['orders']))}"
    key = (
        "overshadowed_percent" if size["overshadowed_percent"] is not None else "colliding_percent"
    )
    worst = max(size["by_order"], key=lambda one: float(one[key]))
    text = f"{what} take {size_words(size['table_bytes'])}, and "
    if key == "colliding_percent":
        return f"{text}at least {worst[key]:.3g} % of n-grams of order {worst['order']} collide"
    text += f"{size[key]:.3g} % of accesses are overshadowed"
    if len(size["by_order"]) > 1:
        text += f" (order {worst['order']}: {worst[key]:.3g} %)"
    return text
