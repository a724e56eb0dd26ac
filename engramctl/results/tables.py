"""A result as tables: the one people read, and the one for programs."""

from collections.abc import Mapping, Sequence
from typing import Any

from engramctl.output import Table
from engramctl.results.figures import BELOW, duration, overhead, percent
from engramctl.results.launch_bound import residual_lines
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
    return shown_tables(document["config"]["path"], case_rows(document))


def raw_tables(document: dict[str, Any]) -> list[Table]:
    """Return the cases as numbers, for programs: units in the column names, samples counted."""
    return program_tables(case_rows(document))


def program_tables(rows: Sequence[Mapping[str, Any]]) -> list[Table]:
    """Return the tables of `raw_tables`, of rows that `case_rows` made."""
    return [Table("cases", rows)]


def shown_tables(measured: str, rows: Sequence[Mapping[str, Any]]) -> list[Table]:
    """Return the tables of `result_tables`, of rows that `case_rows` made.

    Args:
        measured: the folder that was measured.
        rows: one a case.

    Raises:
        LookupError, TypeError, ValueError: rows that a stranger made.
    """
    shown = [_row(row) for row in rows if row["samples"]]
    lines = [
        f"{name}: {meaning}" for name, meaning in LEGEND.items() if any(row[name] for row in shown)
    ]
    doubts = dict.fromkeys(row["state_reason"] for row in rows if row["state_reason"])
    lines += [f"unproved: {one}" for one in doubts]
    lines += residual_lines(rows)
    skipped = {
        f"{row['tier']}: {row['reason']}": None for row in rows if row["status"] == "skipped"
    }
    tables = [Table(f"lookups in {measured}", shown, "\n".join(lines))]
    if skipped:
        tables.append(Table("skipped", [{"tier": text} for text in skipped]))
    return tables


def _row(row: Mapping[str, Any]) -> dict[str, object]:
    before, disk_bytes = row["resident_percent_before"], row["device_bytes"]
    return {
        "case": row["name"],
        "phase": row["phase"],
        "tier": row["tier"],
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
