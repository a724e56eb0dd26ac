"""The steps of a run on several ranks as tables: both schedules side by side, and what is sent."""

from collections.abc import Mapping, Sequence
from typing import Any

from engramctl.output import Table
from engramctl.shown.figures import duration, overhead
from engramctl.shown.places import place_columns
from engramctl.shown.rank_columns import MARKS
from engramctl.shown.step_tables import legend

LEGEND = {
    "p50": "of the slowest rank in every step",
    "over plain": "longer than with one micro-batch",
    "rows": "median time the rank that waits longest stands still for rows",
    "branches": "the same for the branches of the rank before it",
    "way alone": "what its rows take without a model: hashed, gathered, exchanged",
}
_SENT = {
    "rows/token": "bytes of rows that a rank sends to others, for a token of its own",
    "branches/token": "bytes of branches: the residual's width",
}


def rank_tables(title: str, rows: Sequence[Mapping[str, Any]]) -> list[Table]:
    """Return the tables of steps on ranks.

    Args:
        title: of the first.
        rows: with samples, that `case_rows` made.

    Raises:
        LookupError, TypeError, ValueError: rows that a stranger made.
    """
    steps, sent = [], []
    for row, where in zip(rows, place_columns(rows), strict=True):
        place = {"phase": row["phase"], "tier": row["tier"], **where, "cache": row["cache"]}
        for schedule in MARKS:
            steps.append(place | _step(row, schedule))
        sent.append(
            place
            | {
                "ranks": row["ranks_number"],
                "by": row["ranks_backend"],
                "dealt": row["ranks_dealt"],
                "rows/token": round(row["ranks_rows_bytes_per_token"]),
                "branches/token": round(row["ranks_streams_bytes_per_token"]),
            }
        )
    return [
        Table(title, steps, legend(LEGEND, steps)),
        Table("what a rank sends", sent, legend(_SENT, sent)),
    ]


def _step(row: Mapping[str, Any], schedule: str) -> dict[str, object]:
    mark, base = MARKS[schedule], row["ranks_plain_p50_ns"]
    p50 = row[f"ranks_{mark}_p50_ns"]
    more = None if mark == "plain" else (p50 / base - 1) * 100
    return {
        "schedule": schedule,
        "p50": duration(p50),
        "over plain": overhead(more, row["resolution_percent"]),
        "rows": duration(row[f"ranks_{mark}_exposed_rows_ns"]),
        "branches": duration(row[f"ranks_{mark}_exposed_streams_ns"]),
        "way alone": duration(row["fetch_p50_ns"]) if mark == "plain" else None,
        "flag": row["flags"],
    }
