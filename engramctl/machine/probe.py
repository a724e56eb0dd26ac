"""`engramctl env --probe`: ceilings of disk and memory, what confines us, and what follows."""

from pathlib import Path
from typing import Any

from engramctl.machine.disk_probe import STEP_ROWS, best_rate, probe_disk
from engramctl.machine.limits import capture_limits
from engramctl.machine.memory_probe import random_lines_per_s

_PROMPT_ROWS = 2048 * STEP_ROWS
_GOOD_MS, _SLOW_MS = 5.0, 50.0  # of one step


def probe(path: Path, seconds: float = 0.3) -> dict[str, Any]:
    """Return the document of a probe; see `probe_disk` for arguments and errors.

    Returns:
        limits: see `capture_limits`; disk: see `probe_disk`; memory_lines_per_s: random lines of 64
        bytes that one core gets; step_ms: what a cold step of 48 rows takes;
        sentence: what it is good for.
    """
    disk = probe_disk(path, seconds)
    step_ms = step_time_ms(disk)
    return {
        "limits": capture_limits(),
        "disk": disk,
        "memory_lines_per_s": random_lines_per_s(seconds),
        "step_ms": step_ms,
        "sentence": sentence(disk, step_ms),
    }


def step_time_ms(disk: dict[str, Any]) -> float | None:
    """Return the time of 48 cold rows, one page each, asked for together: the best engine's."""
    steps = [one for one in disk["step_us"].values() if one is not None]
    return min(steps) / 1e3 if steps else None


def sentence(disk: dict[str, Any], step_ms: float | None) -> str:
    """Say what a disk with these ceilings is good for."""
    best = best_rate(disk)
    if best is None or step_ms is None:
        return "No engine could read here, so nothing can be served from this disk."
    prompt_s = _PROMPT_ROWS / best
    facts = (
        f"a cold step of {STEP_ROWS} rows takes {step_ms:.2g} ms, "
        f"a prompt of 2,048 tokens {prompt_s:.2g} s"
    )
    if step_ms <= _GOOD_MS:
        return f"Good for serving tables from disk: {facts}."
    if step_ms <= _SLOW_MS:
        return f"Good for tables whose rows are mostly in memory: {facts}."
    return (
        f"Too slow to serve tables from: {facts}; "
        f"{1000 / step_ms:.2g} tokens/s at most. Use --tier host, or another disk."
    )
