"""What caches of every size serve, order by order and policy by policy."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from engramctl.output import Table
from engramctl.report.figures.figure import Figure, Line, Lines
from engramctl.reuse.view import EARLIER_NAMES, MIB, not_mined, one_by_one, text_name

POLICIES = ("lru", "s3fifo", "static", "best_fixed")
_HOW = (
    "lru and s3fifo replace rows, static holds those that the mined text reads most; best_fixed "
    "is chosen on the text itself; by chance: hits of n-grams that were never mined. Documents "
    "are read one after the other; the axis of sizes is logarithmic."
)


def hit_rate_figures(
    counts: Mapping[str, Mapping[str, Any]], keys: Mapping[str, str]
) -> Iterator[Figure]:
    """Return a figure for each text and order.

    Args:
        counts: documents of `describe`, by name.
        keys: what a name is called in keys of figures.
    """
    for name, document in counts.items():
        reuse = document.get("reuse")
        groups: dict[tuple[str, int], list[Mapping[str, Any]]] = {}
        for curve in not_mined(one_by_one(reuse["curves"])) if reuse else ():
            groups.setdefault((text_name(curve), curve["order"]), []).append(curve)
        texts = list(dict.fromkeys(text for text, _ in groups))
        for (text, order), curves in groups.items():
            which = "all orders in one cache" if order == 0 else f"order {order}"
            title = f"Hit rates of caches: {which}, text {text}, of {name}"
            key = f"hit-rate-{keys[name]}-{texts.index(text) + 1}-order-{order or 'all'}"
            bytes_each = document["reuse"]["bytes_per_cache_row"]
            yield _figure(key, title, curves, bytes_each)


def _figure(key: str, title: str, curves: Sequence[Mapping[str, Any]], bytes_each: int) -> Figure:
    named = {EARLIER_NAMES.get(curve["policy"], curve["policy"]): curve for curve in curves}
    lines = tuple(
        Line(
            policy,
            POLICIES.index(policy) if policy in POLICIES else len(POLICIES),
            tuple(curve["cache_rows"]),
            tuple(100 * rate for rate in curve["hit_rate"]),
            dashed=policy == "best_fixed",
        )
        for policy, curve in named.items()
    )
    sizes = sorted({size for line in lines for size in line.x})
    rates = {line.name: dict(zip(line.x, line.y, strict=True)) for line in lines}
    chances = {
        f"{policy} by chance %": dict(zip(curve["cache_rows"], curve["by_chance"], strict=True))
        for policy, curve in named.items()
        if "by_chance" in curve
    }
    rows = [
        {
            "cache rows": size,
            "MiB": size * bytes_each / MIB,
            **{f"{policy} %": _rounded(found.get(size)) for policy, found in rates.items()},
            **{column: _rounded(_percent(found.get(size))) for column, found in chances.items()},
        }
        for size in sizes
    ]
    plot = Lines(lines, "rows the cache holds", "% of reads that it serves", x_log=True)
    return Figure(key, title, f"{_conclusion(rates, bytes_each)} {_HOW}", plot, Table(title, rows))


def _percent(share: float | None) -> float | None:
    return None if share is None else 100 * share


def _rounded(rate: float | None) -> float | None:
    return None if rate is None else round(rate, 1)


def _conclusion(rates: Mapping[str, Mapping[float, float]], bytes_each: int) -> str:
    """Say what the smallest and the largest cache serve, each by the policy that serves most."""
    sizes = sorted({size for found in rates.values() for size in found})
    told = []
    for size in dict.fromkeys((sizes[0], sizes[-1])) if sizes else ():
        most, policy = max(
            (found[size], policy)
            for policy, found in rates.items()
            if size in found and (policy != "best_fixed" or len(rates) == 1)
        )
        mib = size * bytes_each / MIB
        told.append(f"{size:,.0f} rows ({mib:.3g} MiB) serve {most:.1f} % at best, by {policy}")
    return "; ".join(told) + "." if told else "No cache was simulated."
