"""A result as tables: the one people read, and the one for programs."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from engramctl.output import Table
from engramctl.results.launch_bound import residual_lines
from engramctl.shown.figures import duration, percent
from engramctl.shown.kept_rows import MEMORY_LEGEND, from_cache, from_records, logged_a_token
from engramctl.shown.memory_text import memory_text
from engramctl.shown.places import is_sweep, place_columns
from engramctl.shown.rank_tables import rank_tables
from engramctl.shown.recipe_tables import recipe_tables
from engramctl.shown.rows import case_rows
from engramctl.shown.step_fit_tables import step_fit_tables
from engramctl.shown.step_tables import legend, step_tables

# What columns mean whose names do not say it all; each stands below a table that has the column.
LEGEND = {
    "of ceiling": "rows/s over what disk (cold) or memory (warm, one core) can give",
    "disk bytes": "what the disk delivered a sample, as the kernel counts it",
    "reads": "runs of pages asked of the disk a sample, those that touch joined",
    "amplified": "bytes of these runs over bytes of the distinct rows",
    **MEMORY_LEGEND,
    "resident": "share of its rows' pages in memory before a sample, the worst one",
    "waits": "median time a sample stood still for rows",
    "flag": "why this line cannot be compared with others",
    "resolution": "what two copies of one arm may differ by; less is not shown",
}


def result_tables(document: dict[str, Any]) -> list[Table]:
    """Return the tables people read: lookups, steps, the verdict, and why cases were skipped."""
    config = document["config"]
    rows, fit, recipe = case_rows(document), document["step_fit"], document["recipe"]
    return shown_tables(config["path"], rows, fit, memory_text(config), recipe)


def raw_tables(document: dict[str, Any]) -> list[Table]:
    """Return the cases as numbers, for programs: units in the column names, samples counted."""
    return program_tables(case_rows(document))


def program_tables(rows: Sequence[Mapping[str, Any]]) -> list[Table]:
    """Return the tables of `raw_tables`, of rows that `case_rows` made."""
    return [Table("cases", rows)]


def shown_tables(
    measured: str,
    rows: Sequence[Mapping[str, Any]],
    fit: Mapping[str, Any] | None,
    memory: str | None = None,
    recipe: Mapping[str, Any] | None = None,
) -> list[Table]:
    """Return the tables of `result_tables`, of rows that `case_rows` made.

    Args:
        measured: the folder that was measured.
        rows: one a case.
        fit: the verdict of `step_fit`, or None.
        memory: how rows enter the model, see `memory_text`.
        recipe: what a recipe found, or None.

    Raises:
        LookupError, TypeError, ValueError: rows that a stranger made.
    """
    shown = [row for row in rows if row["samples"]]
    lookups = [row for row in shown if row["name"] not in ("step", "ranks")]
    ranked = [row for row in shown if row["name"] == "ranks"]
    tables = []
    for title, some in [] if ranked else _groups(f"lookups in {measured}", lookups):
        lines = [_row(row, place) for row, place in zip(some, place_columns(some), strict=True)]
        tables.append(Table(title, lines))
    used = [line for table in tables for line in table.rows]
    if tables:
        tables[-1] = replace(tables[-1], caption=legend(LEGEND, used))
    for title, some in _groups(f"steps on ranks, {measured}", ranked) if ranked else ():
        tables += rank_tables(title, some)
    steps = [row for row in shown if row["name"] == "step"]
    for title, some in _groups("model steps", steps) if steps else ():
        tables += step_tables(title, some)
    notes = (
        [f"memory: {memory}"] if memory and any(one["name"] != "gather" for one in shown) else []
    )
    notes += [
        f"unproved: {one}" for one in dict.fromkeys(row["state_reason"] for row in rows) if one
    ]
    notes += residual_lines(rows)
    tables[-1] = replace(tables[-1], caption="\n".join([*tables[-1].caption.splitlines(), *notes]))
    tables += [*recipe_tables(recipe), *step_fit_tables(fit)]
    for status in ("skipped", "failed"):
        if whys := _reasons([row for row in rows if row["status"] == status]):
            tables.append(Table(status, whys))
    return tables


def _groups(
    title: str, rows: Sequence[Mapping[str, Any]]
) -> list[tuple[str, list[Mapping[str, Any]]]]:
    """Return titles and rows: of a sweep those of each case and phase apart, else all of them."""
    if not is_sweep(rows):
        return [(title, list(rows))]
    found: dict[str, list[Mapping[str, Any]]] = {}
    for row in rows:
        found.setdefault(f"{title}: {row['name']}, {row['phase']}", []).append(row)
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
        "p90": duration(row["p90_ns"]),
        "p99": duration(row["p99_ns"]),
        "rows/s": row["rows_per_s"],
        "of ceiling": _of_ceiling(row),
        "bytes/lookup": row["useful_bytes"] or None,
        "disk bytes": None if disk_bytes is None else round(disk_bytes),
        "reads": None if row["device_reads"] is None else round(row["device_reads"]),
        "amplified": _amplified(row),
        "from cache": from_cache(row),
        "from records": from_records(row),
        "logged/token": logged_a_token(row),
        "tokens before": row["tokens_before"],
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
