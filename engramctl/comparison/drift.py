"""How much two runs of one build differ though nothing changed, as far as the runs show it.

A machine is not the same an hour later: clocks, neighbours, where memory came to lie. Samples of
one run cannot show that, and an interval of them alone is too narrow. Taken for it is the largest
of what a run does show:

- its parts: the median of one fifth of the run against that of another;
- its copies: two of one arm in a loop, which differ in where their memory lies;
- its loops: the model without memory, the same work in a loop now and in one later;
- the machine's own rates, which both runs measured: of memory, of arithmetic, of the disk.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engramctl.comparison.spread import percentile_log
from engramctl.results.document import NONE

_PARTS = 5
_LEAST_OF_A_PART = 8
_NORMAL_95 = 1.959964
MEMORY, PRODUCTS, DISK = (
    "random lines of memory a second", "FLOPs of products a second", "random reads a second",
)  # fmt: skip


def of_parts(samples: NDArray[np.float64]) -> float:
    """Return the standard deviation of the median of a run from part to part.

    Sample noise is in it too, little of it: a part has eight samples or more.

    Args:
        samples: ns, float64 (n,), in the order they were taken.
    """
    if len(samples) < _PARTS * _LEAST_OF_A_PART:
        return 0.0
    levels = [percentile_log(part, 50) for part in np.array_split(samples, _PARTS)]
    return float(np.std(levels, ddof=1))


def of_copies(case: Mapping[str, Any], cases: Sequence[Mapping[str, Any]]) -> float:
    """Return it of the second copies that were measured as this case was, in all such loops.

    One pair of copies may lie together by chance; so those of all loops of the same phase and state
    count, and at least the resolution of the case's own.

    Args:
        case: of a result.
        cases: of both results.
    """
    resolution = case["resolution_percent"]
    own = 0.0 if resolution is None else math.log1p(resolution / 100) / _NORMAL_95
    apart = [
        percentile_log(one["samples_ns"], 50) - percentile_log(one["copy_samples_ns"], 50)
        for one in cases
        if (one["phase"], one["loop"]) == (case["phase"], case["loop"])
        if one["samples_ns"] and one["copy_samples_ns"]
    ]
    return max(own, math.sqrt(float(np.mean(np.square(apart)))) if apart else 0.0)


def of_loops(cases: Sequence[Mapping[str, Any]]) -> float:
    """Return it of the model without memory, the same work in each loop of a run.

    Args:
        cases: of one result.
    """
    levels: dict[str, list[float]] = {}
    for case in cases:
        if case["tier"] == NONE and case["samples_ns"] and case["status"] == "ok":
            same = f"{case['name']} {case['phase']} {sorted(case['axes'].items(), key=str)}"
            levels.setdefault(same, []).append(percentile_log(case["samples_ns"], 50))
    found = [float(np.var(some, ddof=1)) for some in levels.values() if len(some) > 1]
    return math.sqrt(2 * sum(found) / len(found)) if found else 0.0


def rates(document: Mapping[str, Any]) -> dict[str, float]:
    """Return what the machine itself could do in a run, by what it is a rate of; {}: not measured.

    Raises:
        LookupError, TypeError, ValueError, AttributeError: a result with parts missing or wrong.
    """
    ceilings = document.get("ceilings") or {}
    disk = (ceilings.get("disk") or {}).get("random", [])
    products = (ceilings.get("flops_per_s") or {}).values()
    found = {
        MEMORY: ceilings.get("memory_lines_per_s"),
        PRODUCTS: max(products, default=None),
        DISK: max((one["reads_per_s"] for one in disk if one["reads_per_s"]), default=None),
    }
    return {name: float(one) for name, one in found.items() if one and math.isfinite(one)}


def of_rates(case: Mapping[str, Any], old: Mapping[str, float], new: Mapping[str, float]) -> float:
    """Return how far the rates that a case depends on lie apart in two runs, the furthest of them.

    Args:
        case: any with `name` and `cache`.
        old: rates of one run.
        new: of the other.
    """
    needed = [MEMORY]
    needed += [PRODUCTS] if case["name"] != "gather" else []
    needed += [DISK] if case["cache"] in ("cold", "traffic") else []
    shared = [name for name in needed if name in old and name in new]
    return max((abs(math.log(new[name] / old[name])) for name in shared), default=0.0)
