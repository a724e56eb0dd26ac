"""What a decode step costs on every tier over one whose rows are on the device: the targets."""

import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tests.benchmarks.gather import packed_table
from tests.gpu.bench import benched

SLOTS = 20_000
WORDS = ("--preset", "1b", "--case", "step.decode", "--samples", "120", "--context", "1024")
BATCHES = ("--batch", "1", "--batch", "8")
BUDGET = "64MiB"  # a quarter of the table

# at most so many percent over the resident table, by tier and mode; (at batch 1, at more)
TARGETS = {
    ("host", "memory"): (3.0, 1.0),
    ("ssd", "mapped"): (1.0, 1.0),
    ("ssd", "direct"): (3.0, 3.0),
}


def run() -> dict[str, Any]:
    """Return a row a tier and batch, and the documents they are of."""
    return measured("f8_e4m3", SLOTS, *WORDS, *BATCHES)


def measured(dtype: str, slots: int, *words: str) -> dict[str, Any]:
    """Build a table and measure steps on it: all tiers warm, then ssd in a budget."""
    with tempfile.TemporaryDirectory() as folder:
        path = packed_table(Path(folder) / "shards", dtype, slots).path
        warm = benched(path, "--tier", "host", "--tier", "ssd", "--cache", "warm", *words)
        bounded = ("--tier", "ssd", "--budget", BUDGET, "--cache", "cold")
        documents = [warm, benched(path, *bounded, *words)]
    rows = [line for document in documents for line in over_resident(document["cases"])]
    return {"rows": rows, "documents": documents}


def over_resident(cases: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return how much longer each step takes than with its rows on the device, and the target.

    Where that is below what the loop can tell, `reached` is null unless even the sum is below it.
    """
    rows = []
    for case in cases:
        target = TARGETS.get((case["tier"], case["mode"]))
        over = case["against"]["resident_percent"]
        if target is None or over is None:
            continue
        most = target[0 if case["batch"] == 1 else 1]
        off = case["resolution_percent"] or 0.0
        certain = over + off <= most or over - off > most
        rows.append(
            {
                "id": case["id"], "batch": case["batch"], "over_resident_percent": over,
                "resolution_percent": case["resolution_percent"], "target_percent": most,
                "reached": over <= most if certain else None, "exposed_ns": case["exposed_ns"],
                "launch_bound": case["mhc"]["launch_bound"],
            }
        )  # fmt: skip
    return rows
