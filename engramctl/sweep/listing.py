"""What a run would measure: the IDs of its cases, and the memory each needs."""

from pathlib import Path
from typing import Any

from engramctl.hashing import lookup_from_dict
from engramctl.output import Table
from engramctl.storage.tiers.door import READING_BYTES, cuda_missing, tier_missing
from engramctl.storage.tiers.tier_list import read_tiers
from engramctl.sweep.axes import NAMES
from engramctl.sweep.left_out import KnownTable, tiers_left_out, why_left_out
from engramctl.sweep.loops import Loop, plan_loops
from engramctl.sweep.options import BenchOptions
from engramctl.tables.opened_rows import open_rows

_LOOPS = (
    "loop: cases of one loop are measured in turn, steps also with their baselines\n"
    "--case takes an ID, or the beginning of one up to a dot"
)


def listed_cases(options: BenchOptions) -> dict[str, Any]:
    """Return the IDs of a run's cases as a JSON document; no table is looked at.

    A case says why a run leaves it out, as far as that is known: a tier that is `missing` here, a
    state that its memory cannot have (`left_out`). `warnings` has what is in no case.
    """
    loops = plan_loops(options)
    cases = [
        {
            "id": loop.id_of(tier), "loop": number, "case": loop.case, "phase": loop.phase,
            "tier": tier, "cache": loop.cache_of(tier), "axes": loop.axes,
            "samples": loop.options.num_samples(loop.case, loop.phase),
            "missing": tier_missing(tier), "left_out": why_left_out(loop, tier),
        }
        for number, loop in enumerate(loops, 1)
        for tier in loop.tiers
    ]  # fmt: skip
    return {"cases": cases, "warnings": _warnings(options, loops)}


def _warnings(options: BenchOptions, loops: list[Loop]) -> list[str]:
    resident = "host" if cuda_missing() else "gpu"
    baselines = {resident for loop in loops if loop.case == "step"}
    return tiers_left_out(options, baselines.union(*(loop.tiers for loop in loops)))


def listed_tables(document: dict[str, Any]) -> list[Table]:
    """Return the cases of `listed_cases` as the table people read, and programs as csv."""
    shown = ("id", "loop", "samples", "missing", "left_out")
    rows = [{name: case[name] for name in shown} for case in document["cases"]]
    return [Table("would measure", rows, "\n".join((_LOOPS, *document["warnings"])))]


def planned_cases(path: Path, options: BenchOptions, scheme: Path | None = None) -> dict[str, Any]:
    """Return the cases of a run as a JSON document; as `listed_cases`, of a table that is known."""
    found = open_rows(path, scheme)
    table = found.rows
    known = KnownTable(table, lookup_from_dict(dict(found.scheme)))
    loops = plan_loops(options)
    rows = sum(table.num_rows(layer) for layer in table.layers)
    in_memory = rows * table.record.record_bytes
    cases = [
        {
            "case": loop.case, "phase": loop.phase, "tier": tier,
            "cache": loop.cache_of(tier),
            "samples": loop.options.num_samples(loop.case, loop.phase),
            "memory_bytes": _memory(options, tier, loop.cache, in_memory),
            "missing": tier_missing(tier), "left_out": why_left_out(loop, tier, known),
            "id": loop.id_of(tier), "axes": loop.axes,
        }
        for loop in loops
        for tier in loop.tiers
    ]  # fmt: skip
    return {"path": str(path), "cases": cases, "warnings": _warnings(options, loops)}


def _memory(options: BenchOptions, tier: str, cache: str, in_memory: int) -> int:
    """Return the bytes that a tier's rows take, those of the caches of a mixture included.

    Of a budget it is at most all of it.
    """
    tiers = read_tiers(tier)
    on_gpu = tiers.cache_bytes("gpu")
    if tiers.whole != "ssd":
        return in_memory + sum(size for _, size in tiers.caches)
    kept = options.row_cache_bytes or tiers.cache_bytes("host")
    if options.budget_bytes is None and kept:
        return on_gpu + kept + READING_BYTES
    return on_gpu + (options.budget_bytes or (0 if cache == "cold" else in_memory))


def planned_tables(document: dict[str, Any]) -> list[Table]:
    """Return the cases as the table people read; of a sweep each says its place."""
    swept = _swept(document["cases"])
    rows = [
        {name: value for name, value in case.items() if name not in ("id", "axes")}
        | {name: case["axes"].get(name) for name in swept}
        for case in document["cases"]
    ]
    return [Table(f"would measure {document['path']}", rows, "\n".join(document["warnings"]))]


def _swept(cases: list[dict[str, Any]]) -> list[str]:
    found = {name: {str(case["axes"][name]) for case in cases if name in case["axes"]}
             for name in NAMES}  # fmt: skip
    return [name for name, values in found.items() if len(values) > 1]
