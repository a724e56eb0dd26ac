"""Does a tier fit somebody else's step? Which rows arrive before their layer needs them."""

import statistics
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from engramctl.results.document import p99

_BEST = ("step", "gather", "lookup")  # whose fetch is taken: with its hash, else rows alone


def step_fit(
    cases: Sequence[Mapping[str, Any]], step_ms: float, num_layers: int, at: Mapping[int, int]
) -> dict[str, Any]:
    """Return the verdict for a decode step of `step_ms` that asks for its rows when it begins.

    Layer e of L needs its rows e / L of the step after its beginning. What is held against that is
    the fetch alone, layer by layer: as the `step` case times it (hash and fetch), where that was
    measured, else `gather` (fetch), else `lookup`.

    Args:
        cases: of the result.
        step_ms: of the engine, without the memory.
        num_layers: L.
        at: by layer of the table, the layer of the engine that it feeds, from 0.
    """
    rows = []
    for case in _one_a_tier(cases):
        for one in case["layers"]:
            there = one["arrival_samples_ns"]
            needed_ns = round(step_ms * 1e6 * at[one["layer"]] / num_layers)
            p50, tail = round(statistics.median(there)), p99(there)
            rows.append(
                {
                    "tier": case["tier"], "cache": case["cache"], "of": case["name"],
                    "batch": case["batch"], "layer": at[one["layer"]], "needed_ns": needed_ns,
                    "p50_ns": p50, "p99_ns": tail,
                    "in_time_percent": 100 * sum(t <= needed_ns for t in there) / len(there),
                    "late_p50_ns": max(0, p50 - needed_ns),
                    "late_p99_ns": None if tail is None else max(0, tail - needed_ns),
                }
            )  # fmt: skip
    return {"step_ms": step_ms, "num_layers": num_layers, "layers": rows}


def _one_a_tier(cases: Sequence[Mapping[str, Any]]) -> Iterable[Mapping[str, Any]]:
    """Return of each tier, cache and batch the decode case whose fetch is taken."""
    found: dict[tuple[Any, ...], Mapping[str, Any]] = {}
    for name in _BEST:
        for case in cases:
            if (case["name"], case["phase"], case["status"]) != (name, "decode", "ok"):
                continue
            if any(one["arrival_samples_ns"] for one in case["layers"] or ()):
                found.setdefault((case["tier"], case["cache"], case["batch"]), case)
    return found.values()
