"""A result as tables: the one people read, and the one for programs."""

from collections.abc import Mapping, Sequence
from typing import Any

from engramctl.output import Table
from engramctl.results.figures import duration, percent
from engramctl.results.rows import case_rows
from engramctl.results.step_fit import step_fit_tables
from engramctl.results.step_tables import legend, step_tables

# What columns mean whose names do not say it all; each stands below a table that has the column.
LEGEND = {
    "of ceiling": "rows/s over what disk (cold) or memory (warm, one core) can give",
    "disk bytes": "what the disk delivered a sample, as the kernel counts it",
    "reads": "runs of pages asked of the disk a sample, those that touch joined",
    "amplified": "bytes of these runs over bytes of the distinct rows",
    "resident": "share of its rows' pages in memory before a sample, the worst one",
    "waits": "median time a sample stood still for rows",
    "flag": "why this line cannot be compared with others",
    "resolution": "what two copies of one arm may differ by; less is not shown",
}


def result_tables(document: dict[str, Any]) -> list[Table]:
    """Return the tables people read: lookups, steps, the verdict, and why cases were skipped."""
    return shown_tables(document["config"]["path"], case_rows(document), document["step_fit"])


def raw_tables(document: dict[str, Any]) -> list[Table]:
    """Return the cases as numbers, for programs: units in the column names, samples counted."""
    return program_tables(case_rows(document))


def program_tables(rows: Sequence[Mapping[str, Any]]) -> list[Table]:
    """Return the tables of `raw_tables`, of rows that `case_rows` made."""
    return [Table("cases", rows)]


def shown_tables(
    measured: str, rows: Sequence[Mapping[str, Any]], fit: Mapping[str, Any] | None
) -> list[Table]:
    """Return the tables of `result_tables`, of rows that `case_rows` made.

    Args:
        measured: the folder that was measured.
        rows: one a case.
        fit: the verdict of `step_fit`, or None.

    Raises:
        LookupError, TypeError, ValueError: rows that a stranger made.
    """
    lookups = [row for row in rows if row["name"] != "step"]
    shown = [_row(row) for row in lookups if row["samples"]]
    lines = legend(LEGEND, shown).splitlines()
    doubts = dict.fromkeys(row["state_reason"] for row in rows if row["state_reason"])
    lines += [f"unproved: {one}" for one in doubts]
    skipped = {
        f"{row['tier']}: {row['reason']}": None for row in rows if row["status"] == "skipped"
    }
    tables = [Table(f"lookups in {measured}", shown, "\n".join(lines)), *step_tables(rows)]
    tables += step_fit_tables(fit)
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
        "p90": duration(row["p90_ns"]),
        "p99": duration(row["p99_ns"]),
        "rows/s": row["rows_per_s"],
        "of ceiling": _of_ceiling(row),
        "bytes/lookup": row["useful_bytes"] or None,
        "disk bytes": None if disk_bytes is None else round(disk_bytes),
        "reads": None if row["device_reads"] is None else round(row["device_reads"]),
        "amplified": _amplified(row),
        "resident": None if before is None else f"{before:.0f} %",
        "waits": duration(row["stall_ns"]),
        "resolution": percent(row["resolution_percent"]),
        "flag": row["flags"],
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
