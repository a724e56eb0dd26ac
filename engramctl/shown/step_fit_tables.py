"""The verdict for somebody else's step, as a table."""

from collections.abc import Mapping
from typing import Any

from engramctl.output import Table
from engramctl.shown.figures import duration, percent


def step_fit_tables(fit: Mapping[str, Any] | None) -> list[Table]:
    """Return the verdict as the table people read; none where none was asked for.

    Raises:
        LookupError, TypeError, ValueError: a verdict that a stranger made.
    """
    if fit is None:
        return []
    several = len({row["batch"] for row in fit["layers"]}) > 1
    rows = [
        {
            "tier": row["tier"],
            "cache": row["cache"],
            **({"batch": row["batch"]} if several else {}),
            "layer": row["layer"],
            "needed after": duration(row["needed_ns"]),
            "there p50": duration(row["p50_ns"]),
            "there p99": duration(row["p99_ns"]),
            "in time": percent(row["in_time_percent"]),
            "late p50": duration(row["late_p50_ns"] or None),
            "late p99": duration(row["late_p99_ns"] or None),
        }
        for row in fit["layers"]
    ]
    title = f"a step of {fit['step_ms']:g} ms with {fit['num_layers']} layers"
    caption = (
        "layer: of the engine, from 0, which needs its rows when those before it are done\n"
        "there: when a fetch alone, asked for at the step's beginning, has its rows\n"
        "late: after they are needed; where nothing stands they are in time"
    )
    return [Table(title, rows, caption)]
