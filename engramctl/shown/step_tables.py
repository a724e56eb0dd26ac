"""The steps of a result as tables: what they cost, and where they wait for rows."""

from collections.abc import Mapping, Sequence
from typing import Any

from engramctl.output import Table
from engramctl.shown.figures import BELOW, duration, overhead, percent
from engramctl.shown.kept_rows import MEMORY_LEGEND, from_cache, from_records, logged_a_token
from engramctl.shown.places import place_columns

LEGEND = {
    **MEMORY_LEGEND,
    "asked": "when: before a step, at its start, or in the layer that needs the rows",
    "over none": "longer than the same model without memory (tier none)",
    "over memory": "longer than with all rows in the compute device's memory",
    "over ready": "longer than with its rows in place: the fusion's arithmetic alone",
    "of floor": "the least time this machine could take, over p50",
    "resolution": "what two copies of one arm may differ by; less is not shown",
    "flag": "why this line cannot be compared with others",
    "fetch": "what its rows take without a model",
    "hidden": "share of the fetch (of the step, if shorter) that the other covers",
    "layer": "of the model, from 0",
    "bytes/token": "of rows, by where they are read; cache is the page cache",
    "waits": "median time a step stands still there for rows",
    "exposed": "what is over the wait with all rows in the device's memory",
}
NOTHING = "not comparable"
ISSUES = {"before": "before the step", "start": "at the start", "layer": "in the layer"}


def step_tables(title: str, steps: Sequence[Mapping[str, Any]]) -> list[Table]:
    """Return the tables of steps: what they cost, and where they wait.

    Args:
        title: of the first.
        steps: rows with samples, that `case_rows` made.

    Raises:
        LookupError, TypeError, ValueError: rows that a stranger made.
    """
    issues = {row["issue"] for row in steps if row["issue"]}
    several = len(issues) > 1
    if len(issues) == 1:
        title = f"{title}, rows asked for {ISSUES[issues.pop()]}"
    places = [
        _place(row, where, issues=several)
        for row, where in zip(steps, place_columns(steps), strict=True)
    ]
    costs = [place | _cost(row) for place, row in zip(places, steps, strict=True)]
    waits = [place | line for place, row in zip(places, steps, strict=True) for line in _waits(row)]
    return [
        Table(title, costs, legend(LEGEND, costs)),
        Table("where steps wait for rows", waits, legend(LEGEND, waits)),
    ]


def legend(meanings: Mapping[str, str], rows: Sequence[Mapping[str, object]]) -> str:
    """Return a line for each column that has a value and whose name does not say it all."""
    return "\n".join(
        f"{name}: {meaning}"
        for name, meaning in meanings.items()
        if any(row.get(name) is not None for row in rows)
    )


def _place(row: Mapping[str, Any], where: Mapping[str, Any], *, issues: bool) -> dict[str, object]:
    return {
        "phase": row["phase"],
        "tier": row["tier"],
        **where,
        "cache": "unproved" if row["state"] == "unproved" else row["cache"],
        **({"asked": row["issue"]} if issues else {}),
    }


def _cost(row: Mapping[str, Any]) -> dict[str, object]:
    floor, p50 = row["floor_ns"], row["p50_ns"]
    return {
        "p50": duration(p50),
        "p90": duration(row["p90_ns"]),
        "p99": duration(row["p99_ns"]),
        "from cache": from_cache(row),
        "from records": from_records(row),
        "logged/token": logged_a_token(row),
        "tokens before": row["tokens_before"],
        "tokens/s": None if row["tokens_per_s"] is None else round(row["tokens_per_s"]),
        "over none": _over(row, "none"),
        "over memory": _over(row, "resident"),
        "over ready": _over(row, "ready"),
        "of floor": percent(100 * floor / p50) if floor and p50 else None,
        "resolution": percent(row["resolution_percent"]),
        "flag": row["flags"],
    }


def _over(row: Mapping[str, Any], baseline: str) -> str | None:
    """Show a difference that the row holds, or that it was left out of it, and why."""
    below, more = row[f"against_{baseline}_below_resolution"], row[f"against_{baseline}_percent"]
    if row["flags"] and (below or more is not None):
        return NOTHING
    return BELOW if below else overhead(more, row["resolution_percent"])


def _waits(row: Mapping[str, Any]) -> list[dict[str, object]]:
    """Return one line a layer of the table; what is of the whole step stands in the first."""
    if not row["layers"]:
        return []
    lines: list[dict[str, object]] = []
    columns = [row[name].split() for name in ("layers_at", "layers_wait_p50_ns",
                                              "layers_exposed_ns")]  # fmt: skip
    for at, waited, exposed in zip(*columns, strict=True):
        first = not lines
        lines.append(
            {
                "layer": None if at == "-" else int(at) if at.isdecimal() else at,
                "waits": None if waited == "-" else duration(int(waited)),
                "exposed": _exposed(exposed),
                "fetch": duration(row["fetch_p50_ns"]) if first else None,
                "hidden": _hidden(row) if first else None,
                "asked before": duration(row["lead_ns"]) if first else None,
                "bytes/token": _bytes(row) if first else None,
            }
        )
    return lines


def _exposed(word: str) -> str | None:
    if word == "-":
        return None
    return BELOW if word.startswith("<") else duration(int(word))


def _hidden(row: Mapping[str, Any]) -> str | None:
    if row["hidden_percent"] is None:
        return None if row["hidden_resolution_percent"] is None else BELOW
    off = row["hidden_resolution_percent"]
    return f"{row['hidden_percent']:.0f} %" + ("" if off is None else f" ± {off:.0f}")


def _bytes(row: Mapping[str, Any]) -> str | None:
    """Show where a token's rows come from, as far as it is known."""
    places = {"gpu": "gpu", "host": "host", "page_cache": "cache",
              "row_cache": "row cache", "disk": "disk"}  # fmt: skip
    found = {shown: row[f"bytes_per_token_{name}"] for name, shown in places.items()}
    known = [f"{shown} {size:,.0f}" for shown, size in found.items() if size is not None]
    return ", ".join(known) or None
