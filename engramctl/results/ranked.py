"""What ranks found, put together: waits of both schedules, what was sent, whether logits agree."""

import statistics
from collections.abc import Mapping, Sequence
from typing import Any

WAITS = ("rows_wait_ns", "streams_wait_ns")


def slowest(of_ranks: Sequence[Sequence[int]]) -> list[int]:
    """Return of every sample the time of the slowest rank: a step is done when all are.

    Example:
        >>> slowest([[3, 5], [4, 1]])
        [4, 5]
    """
    return [max(times) for times in zip(*of_ranks, strict=True)]


def ranked_figures(
    told: Sequence[Mapping[str, Any]], schedules: Mapping[str, int], tokens: int
) -> dict[str, Any]:
    """Return what a case says of its ranks.

    Args:
        told: by rank, as `engramctl.ranks.measured.told` makes it: `schedules`, by name the
            samples, waits and bytes of each; `alone`, samples of the rows' way without a model.
        schedules: by name, the micro-batches of each.
        tokens: of all ranks, a sample.

    Returns:
        bytes_per_token: of `rows` and of `streams`, what a rank sent to others for a token of its
        own sequences, in the first schedule; logits_off: the largest difference from one process;
        alone_samples_ns: by rank; schedules: a list of objects, by rank the samples and the waits
        of each, with medians of them: `exposed_rows_ns` and `exposed_streams_ns` of the rank that
        waited longest.
    """
    first = next(iter(schedules))
    own = tokens / len(told)
    return {
        "bytes_per_token": {
            kind: statistics.fmean(
                one[kind] / own for rank in told for one in rank["schedules"][first]["sent_bytes"]
            )
            for kind in ("rows", "streams")
        },
        "logits_off": max(
            rank["schedules"][name]["logits_off"] for rank in told for name in schedules
        ),
        "alone_samples_ns": [list(rank["alone"]) for rank in told],
        "schedules": [
            _schedule(name, parts, [rank["schedules"][name] for rank in told])
            for name, parts in schedules.items()
        ],
    }


def _schedule(name: str, parts: int, told: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    samples = [list(rank["samples_ns"]) for rank in told]
    waits = {name: [list(rank[name]) for rank in told] for name in WAITS}
    return {
        "schedule": name,
        "micro_batches": parts,
        "samples_ns": samples,
        **waits,
        "p50_ns": round(statistics.median(slowest(samples))),
        "exposed_rows_ns": _longest(waits["rows_wait_ns"]),
        "exposed_streams_ns": _longest(waits["streams_wait_ns"]),
    }


def _longest(of_ranks: Sequence[Sequence[int]]) -> int:
    return round(max(statistics.median(times) for times in of_ranks))
