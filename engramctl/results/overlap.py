"""What a step waits for rows, and how much of their fetch its compute hides: measured, both.

Compute alone (C) is the step whose rows are ready, fetch alone (F) the fetch without a model, both
(B) the step that fetches; all three of the same rounds.
"""

import statistics
from collections.abc import Mapping, Sequence
from typing import Any

from engramctl.results.resolution import difference_ns

NO_SHARE_PERCENT = 50.0  # a share that may be off by as much says nothing


def hidden_share(
    compute: Sequence[int], fetch: Sequence[int], both: Sequence[int], resolution: float | None
) -> dict[str, float | None]:
    """Return which share of the shorter of compute and fetch the longer one hides.

    Args:
        compute: samples of C.
        fetch: samples of F.
        both: samples of B.
        resolution: of the loop, what two medians of one arm may differ by, in percent.

    Returns:
        percent: (C + F - B) / min(C, F), clipped to 0..100; resolution_percent: what it may be off
        by, in points, when C and B differ by the resolution. None where an arm has no samples.

    Example:
        >>> hidden_share([100], [20], [105], 1.0)
        {'percent': 75.0, 'resolution_percent': 5.0}
    """
    if not compute or not fetch or not both:
        return {"percent": None, "resolution_percent": None}
    c, f, b = (statistics.median(samples) for samples in (compute, fetch, both))
    shorter = max(1, min(c, f))
    return {
        "percent": min(100.0, max(0.0, 100 * (c + f - b) / shorter)),
        "resolution_percent": None if resolution is None else resolution * c / shorter,
    }


def exposed_ns(waits: Sequence[int], resident: Sequence[int]) -> int | None:
    """Return how much longer a layer is waited for than with its rows on the compute device.

    Both are samples of one layer. Medians; never below 0.

    Example:
        >>> exposed_ns([30, 40, 50], [10, 10, 10]), exposed_ns([5], [10])
        (30, 0)
    """
    if not waits or not resident:
        return None
    return max(0, round(statistics.median(waits) - statistics.median(resident)))


def layer_times(
    at: Mapping[int, int | None],
    waits: Mapping[int, Sequence[int]],
    resident: Mapping[int, Sequence[int]],
    copies: Sequence[Mapping[int, Sequence[int]]],
    arrivals: Mapping[int, Sequence[int]],
) -> list[dict[str, Any]]:
    """Return what one case knows of each layer of its table.

    Args:
        at: by layer, the decoder layer it feeds; None: there is no decoder.
        waits: by layer, samples of the case.
        resident: of the baseline whose rows are on the compute device; empty: none was measured.
        copies: of the two copies of one arm of the loop; both empty: there are none.
        arrivals: by layer, how long after the beginning of a fetch alone its rows were there.
    """

    def pairs(layer: int) -> list[Sequence[int]]:
        """Return the waits of both copies; an interrupted loop has more of one."""
        both = [one.get(layer, ()) for one in copies]
        return [one[: min(map(len, both))] for one in both]

    return [
        {
            "layer": layer,
            "at": where,
            "wait_samples_ns": list(waits.get(layer, ())),
            "copy_wait_samples_ns": [],
            "exposed_ns": exposed_ns(waits.get(layer, ()), resident.get(layer, ())),
            "resolution_ns": difference_ns(*pairs(layer)),
            "arrival_samples_ns": list(arrivals.get(layer, ())),
        }
        for layer, where in at.items()
    ]
