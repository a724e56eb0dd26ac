"""What a run would measure, and the memory each case needs."""

from pathlib import Path
from typing import Any

from engramctl.bench.loops import plan_loops
from engramctl.bench.options import BenchOptions
from engramctl.output import Table
from engramctl.storage.tiers.door import tier_missing
from engramctl.tables.opened_rows import open_rows


def planned_cases(path: Path, options: BenchOptions, scheme: Path | None = None) -> dict[str, Any]:
    """Return the cases of a run as a JSON document; a tier that is missing here says why."""
    table = open_rows(path, scheme).rows
    rows = sum(table.num_rows(layer) for layer in table.layers)
    in_memory = rows * table.record.record_bytes
    cases = [
        {
            "case": loop.case, "phase": loop.phase, "tier": tier,
            "cache": loop.cache if tier == "ssd" else "warm",
            "samples": options.num_samples(loop.case, loop.phase),
            "memory_bytes": 0 if tier == "ssd" and loop.cache == "cold" else in_memory,
            "missing": tier_missing(tier),
        }
        for loop in plan_loops(options)
        for tier in loop.tiers
    ]  # fmt: skip
    return {"path": str(path), "cases": cases}


def planned_tables(document: dict[str, Any]) -> list[Table]:
    """Return the cases as the table people read."""
    return [Table(f"would measure {document['path']}", document["cases"])]
