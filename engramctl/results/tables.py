"""A result as tables: the one people read, and the one for programs."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from engramctl.output import Table
from engramctl.results.figures import BELOW, duration, overhead, percent
from engramctl.results.launch_bound import residual_lines
from engramctl.results.memory_text import memory_text
from engramctl.results.places import is_sweep, place_columns
from engramctl.results.rows import case_rows

# What columns mean whose names do not say it all; each stands below a table that has the column.
LEGEND = {
    "of ceiling": "rows/s over what disk (cold) or memory (warm, one core) can give",
    "disk bytes": "what the disk delivered a sample, as the kernel counts it",
    "reads": "runs of pages asked of the disk a sample, those that touch joined",
    "amplified": "bytes of these runs over bytes of the distinct rows",
    "resident": "share of its rows' pages in memory before a sample, the worst one",
    "waits": "median time a sample stood still for rows",
    "over none": "longer than the same model without memory (tier none)",
    "over memory": "longer than with all rows in the compute device's memory",
    "resolution": "what two copies of one arm may differ by; less is not shown",
}


def result_tables(document: dict[str, Any]) -> list[Table]:
    """Return the table people read: one row a case, and why cases were skipped."""
    config = document["config"]
    return shown_tables(config["path"], case_rows(document), memory_text(config))


def raw_tables(document: dict[str, Any]) -> list[Table]:
    """Return the cases as numbers, for programs: units in the column names, samples counted."""
    return program_tables(case_rows(document))


def program_tables(rows: Sequence[Mapping[str, Any]]) -> list[Table]:
    """Return the tables of `raw_tables`, of rows that `case_rows` made."""
    return [Table("cases", rows)]


def shown_tables(
    measured: str, rows: Sequence[Mapping[str, Any]], memory: str | None = None
) -> list[Table]:
    """Return the tables of `result_tables`, of rows that `case_rows` made.

    Args:
        measured: the folder that was measured.
        rows: one a case.
        memory: how rows enter the model, see `memory_text`.

    Raises:
        LookupError, TypeError, ValueError: rows that a stranger made.
    """
    tables = [
        Table(
            title, [_row(row, place) for row, place in zip(some, place_columns(some), strict=True)]
        )
        for title, some in _groups(measured, [row for row in rows if row["samples"]])
    ]
    used = {name for table in tables for row in table.rows for name in row if row[name]}
    lines = [f"{name}: {meaning}" for name, meaning in LEGEND.items() if name in used]
    if memory is not None and any(row["case"] != "gather" for row in rows if row["samples"]):
        lines.insert(0, f"memory: {memory}")
    doubts = dict.fromkeys(row["state_reason"] for row in rows if row["state_reason"])
    lines += [f"unproved: {one}" for one in doubts]
    lines += residual_lines(rows)
    tables[-1] = replace(tables[-1], caption="\n".join(lines))
    for status in ("skipped", "failed"):
        if whys := _reasons([row for row in rows if row["status"] == status]):
            tables.append(Table(status, whys))
    return tables


def _groups(
    measured: str, rows: Sequence[Mapping[str, Any]]
) -> list[tuple[str, list[Mapping[str, Any]]]]:
    """Return titles and rows: of a sweep those of each case and phase apart, else all of them."""
    if not is_sweep(rows):
        return [(f"lookups in {measured}", list(rows))]
    found: dict[str, list[Mapping[str, Any]]] = {}
    for row in rows:
        found.setdefault(f"{row['name']}, {row['phase']}, in {measured}", []).append(row)
    return list(found.items())


def _reasons(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, object]]:
    """Return why cases have no result: each reason of a tier once, with how many cases it holds."""
    found: dict[str, list[str]] = {}
    for row in rows:
        found.setdefault(f"{row['tier']}: {row['reason']}", []).append(row.get("id") or "")
    return [
        {"tier": text, "cases": len(ids), "the first": ids[0] or None}
        for text, ids in found.items()
    ]


def _row(row: Mapping[str, Any], place: Mapping[str, Any]) -> dict[str, object]:
    before, disk_bytes = row["resident_percent_before"], row["device_bytes"]
    return {
        "case": row["name"],
        "phase": row["phase"],
        "tier": row["tier"],
        **place,
        "cache": "unproved" if row["state"] == "unproved" else row["cache"],
        "p50": duration(row["p50_ns"]),
        "p99": duration(row["p99_ns"]),
        "rows/s": row["rows_per_s"],
        "of ceiling": _of_ceiling(row),
        "bytes/lookup": row["useful_bytes"] or None,
        "disk bytes": None if disk_bytes is None else round(disk_bytes),
        "reads": None if row["device_reads"] is None else round(row["device_reads"]),
        "amplified": _amplified(row),
        "resident": None if before is None else f"{before:.0f} %",
        "waits": duration(row["stall_ns"]),
        "over none": _over(row, "none"),
        "over memory": _over(row, "resident"),
        "resolution": percent(row["resolution_percent"]),
    }


def _amplified(row: Mapping[str, Any]) -> str | None:
    """Show bytes asked of the disk over bytes of the distinct rows' records."""
    asked, unique, rows = row["asked_bytes"], row["unique_rows"], row["rows"]
    if not asked or not unique or not rows:
        return None
    return f"{asked / (row['useful_bytes'] * unique / rows):.1f}x"


def _of_ceiling(row: Mapping[str, Any]) -> str | None:
    rows, ceiling = row["rows_per_s"], row["ceiling_rows_per_s"]
    gathers = row["name"] == "gather"  # the others do more than fetch rows
    return percent(100 * rows / ceiling) if rows and ceiling and gathers else None


def _over(row: Mapping[str, Any], baseline: str) -> str | None:
    """Show a difference that the row holds, or that it was left out of it, and why."""
    if row[f"against_{baseline}_below_resolution"]:
        return BELOW
    return overhead(row[f"against_{baseline}_percent"], row["resolution_percent"])
