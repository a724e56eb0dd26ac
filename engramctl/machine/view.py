"""What this machine has, as a table."""

from collections.abc import Iterator, Mapping
from typing import Any

from engramctl.output import Table


def environment_tables(document: Mapping[str, Any]) -> list[Table]:
    """Return the table that shows a document of `capture`: a row a fact, its parts with a dot."""
    return [Table("this machine", list(_rows(document)))]


def _rows(document: Mapping[str, Any], prefix: str = "") -> Iterator[dict[str, object]]:
    for name, value in document.items():
        if isinstance(value, dict):
            yield from _rows(value, f"{prefix}{name}.")
        else:
            listed = isinstance(value, list)
            shown = (", ".join(map(str, value)) or None) if listed else value
            yield {"fact": prefix + name, "value": shown}


def probe_tables(document: Mapping[str, Any]) -> list[Table]:
    """Return the tables of what `probe` found: random reads by engine and depth, and the rest."""
    disk, limits = document["disk"], document["limits"]
    rows: dict[tuple[str, bool], dict[str, object]] = {}
    reasons: dict[str, None] = {}
    for one in disk["random"]:
        way = "past the cache" if one["direct"] else "page cache"
        row = rows.setdefault((one["engine"], one["direct"]), {"engine": one["engine"], "way": way})
        rate = one["reads_per_s"]
        row[f"depth {one['depth']}"] = None if rate is None else round(rate)
        row["step ms"] = _in_ms(disk["step_us"][one["engine"]])
        if one["reason"]:
            reasons[f"{one['engine']}, depth {one['depth']}: {one['reason']}"] = None
    sequential = f"{disk['sequential_bytes_per_s'] / 1e9:.2g} GB/s"
    read = f"written to {disk['path']} and removed" if disk["written"] else disk["path"]
    facts = [
        {"fact": "file that was read", "value": read},
        {"fact": "sequential reads", "value": sequential},
        {"fact": "cold step of 48 rows", "value": f"{_in_ms(document['step_ms'], 1.0)} ms"},
        {
            "fact": "random cache lines, one core",
            "value": f"{document['memory_lines_per_s'] / 1e6:.3g} M/s",
        },
        {"fact": "processors a cgroup allows", "value": limits["cpu_quota"]},
        {"fact": "memory a cgroup allows, bytes", "value": limits["memory_limit_bytes"]},
        {"fact": "io_uring, tried", "value": limits["io_uring"]},
    ]
    legend = "depth: reads under way at once; step ms: 48 pages, asked for together"
    return [
        Table("random reads of 4 KiB a second", list(rows.values()), "\n".join([legend, *reasons])),
        Table(
            "what follows", [one for one in facts if one["value"] is not None], document["sentence"]
        ),
    ]


def _in_ms(time: float | None, a_ms: float = 1e3) -> float | None:
    return None if time is None else float(f"{time / a_ms:.3g}")
