"""Timing helpers that the benchmark modules share."""

import time
from collections.abc import Callable, Mapping, Sequence
from statistics import median
from typing import Any

Row = dict[str, Any]


def interleave(
    arms: Mapping[str, Callable[[], object]], rounds: int, *, rest_s: float = 0.0
) -> dict[str, list[float]]:
    """Run every arm once a round, in turn and in alternating order; returns seconds by arm.

    Args:
        arms: what to time, by name.
        rounds: samples an arm.
        rest_s: sleep before each sample. torch's threads spin for some milliseconds after their
            work, on cores that the next arm would need.
    """
    seconds: dict[str, list[float]] = {name: [] for name in arms}
    for number in range(rounds):
        names = list(arms) if number % 2 == 0 else list(arms)[::-1]
        for name in names:
            time.sleep(rest_s)
            start = time.perf_counter()
            arms[name]()
            seconds[name].append(time.perf_counter() - start)
    return seconds


def row(
    name: str,
    peer: str,
    ours: Sequence[float],
    theirs: Sequence[float],
    *,
    target: float | None = None,
    bound: str | None = None,
    work: float | None = None,
    unit: str = "s",
) -> Row:
    """Return one result row; `ratio` above 1 means we are faster.

    Args:
        name: what was measured.
        peer: whose time `theirs` is.
        ours: seconds a round.
        theirs: seconds a round, interleaved with ours.
        target: the ratio to reach.
        bound: what limits us, and how far from it we are.
        work: amount a round; then `ours` and `theirs` are rates in `unit`, else seconds.
        unit: of `ours` and `theirs`.
    """
    mine, peers = median(ours), median(theirs)
    return {
        "name": name,
        "peer": peer,
        "ratio": peers / mine,
        "target": target,
        "ours": work / mine if work else mine,
        "theirs": work / peers if work else peers,
        "unit": unit,
        "bound": bound,
        "samples": {"ours_s": list(ours), "theirs_s": list(theirs)},
    }


def skipped(name: str, peer: str, reason: str, target: float | None = None) -> Row:
    """Return the row of a peer that is not installed."""
    return {
        "name": name, "peer": peer, "ratio": None, "target": target, "ours": None, "theirs": None,
        "unit": None, "bound": None, "samples": None, "skipped": reason,
    }  # fmt: skip
