"""A comparison as tables: what else differs, the ratios, what could not be compared."""

from collections.abc import Mapping, Sequence
from typing import Any

from engramctl.comparison.limits import percents
from engramctl.output import Table
from engramctl.shown.figures import duration
from engramctl.shown.places import place_columns

_CAPTION = (
    "change: NEW over OLD; between: what it may be, {percent} times in 100 for all rows\n"
    "together, by noise of samples and what the runs show of drift between them"
)


def compared_tables(document: Mapping[str, Any], *, raw: bool = False) -> list[Table]:
    """Return the tables people read; `raw`: the rows alone, as numbers, for programs."""
    if raw:
        return [Table("rows", document["rows"])]
    files = list(dict.fromkeys(row["file"] for row in document["rows"]))
    several = len(files) > 1
    differing = [
        {**_file(one, several), "differs": _fact(one), "OLD": one["old"] or "not said",
         "NEW": one["new"] or "not said"}
        for one in document["differences"]
    ]  # fmt: skip
    rows = document["rows"]
    lines = [
        {**_file(row, several), **_line(row, place)}
        for row, place in zip(rows, place_columns(rows), strict=True)
    ]
    alone = [
        {**_file(one, several), "case": one["case"], "why": one["reason"]}
        for one in document["not_compared"]
    ]
    names = ", ".join(files)
    return [
        Table("not the same in both runs", differing),
        Table(f"{names} over {document['old']}", lines,
              _CAPTION.format(percent=document["confidence_percent"])),
        Table("not compared", alone),
    ]  # fmt: skip


def _file(one: Mapping[str, Any], several: bool) -> dict[str, object]:
    return {"file": one["file"]} if several else {}


def _fact(one: Mapping[str, Any]) -> str:
    same = one["name"].replace("-", "_") == one["fact"]
    return str(one["name"] if same else f"{one['name']}: {one['fact'].replace('_', ' ')}")


def _line(row: Mapping[str, Any], place: Mapping[str, Any]) -> dict[str, object]:
    return {
        "case": row["name"],
        "phase": row["phase"],
        "tier": row["tier"],
        "cache": row["cache"],
        "loop": row["loop"] if row["cache"] is None else None,
        "issue": row["issue"],
        **place,
        "of": row["of"],
        "OLD": duration(row["old_ns"]),
        "NEW": duration(row["new_ns"]),
        "change": f"{100 * (row['ratio'] - 1):+.1f} %",
        "between": None if row["ratio_low"] is None else percents(row),
        "verdict": row["verdict"],
        "gate": _gate(row),
    }


def _gate(row: Mapping[str, Any]) -> str | None:
    if row["limit_percent"] is None:
        return None
    if row["ratio_low"] is None:
        return "not judged"
    return "FAILS" if row["fails"] else "passes"


def told(document: Mapping[str, Any]) -> Sequence[str]:
    """Return what is to be said on stderr: rows that a gate did not look at."""
    few = sum(row["limit_percent"] is not None and row["ratio_low"] is None
              for row in document["rows"])  # fmt: skip
    left = [one for one in document["not_compared"] if one["reason"] != "OLD does not have it"]
    if not document["limits"]:
        return ()
    found = [f"{few} rows were not judged: too few samples"] if few else []
    found += [f"{len(left)} cases were not judged; the table says why"] if left else []
    return found
