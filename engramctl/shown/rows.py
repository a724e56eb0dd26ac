"""The cases of a result as flat rows for programs: one row a case, units in the names.

Every table of a result is made of these. A difference that is below the resolution is not in them
as a number, so none can print it; the result itself keeps it, beside the samples.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from engramctl.results.document import KEPT, SAVED, percentile
from engramctl.results.launch_bound import NO_MHC
from engramctl.results.overlap import NO_SHARE_PERCENT
from engramctl.shown.rank_columns import rank_columns
from engramctl.storage.tiers.tier_list import TIERS

_GROUPS = {
    "resident_percent": ("before", "after"),
    "against": ("none_percent", "resident_percent", "ready_percent"),
    "check": ("rows", "mismatches"),
    "hidden": ("percent", "resolution_percent"),
    "floor": ("ns", "flops", "bytes"),
    "bytes_per_token": ("gpu", "host", "page_cache", "row_cache", "disk"),
    "rows_by_tier": TIERS,
    "saved": SAVED,
    "kept": KEPT,
    "threads": ("model", "store"),
    "traffic": ("top_token_percent", "repeated_percent"),
    "mhc": tuple(NO_MHC),
}
_BASELINES = ("none", "resident", "ready")


def case_rows(document: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the cases of a result with what tells its run from others, samples counted.

    `against_X_percent` is None where `against_X_below_resolution` is true.

    Args:
        document: as `engramctl.results.document.as_current` returns it.

    Raises:
        LookupError, TypeError, AttributeError: a result with parts missing.
    """
    run = _run_columns(document)
    swept = document["config"].get("sweep", {})
    return [_row(case) | run | _own(case["axes"], run, swept) for case in document["cases"]]


def _own(
    axes: Mapping[str, Any], run: Mapping[str, Any], swept: Mapping[str, Any]
) -> dict[str, Any]:
    """Return the options of a case's own point; a swept one that it has not is None."""
    return {
        name: value
        for name, value in axes.items()
        if name in run and (value is not None or name in swept)
    }


def _run_columns(document: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the rows of one run share; None for what an older result does not say."""
    config, machine = document["config"], document["environment"]
    named = ("path", "scheme", "preset", "residual", "trace", "context", "seed")
    return {
        **{name: config.get(name) for name in named},
        "dtype": config.get("layout", {}).get("dtype"),
        "created_utc": document["created_utc"],
        "cpu": machine.get("cpu"),
        "engramctl": machine.get("engramctl"),
    }


def _row(case: Mapping[str, Any]) -> dict[str, Any]:
    resolution = case["resolution_percent"]
    row = {name: value for name, value in case.items() if not isinstance(value, dict | list)}
    row["samples"] = len(case["samples_ns"])
    for group, names in _GROUPS.items():
        row |= {f"{group}_{name}": (case[group] or {}).get(name) for name in names}
    row |= {f"axes_{name}": value for name, value in case["axes"].items()}
    for name in _BASELINES:
        below = below_resolution(row[f"against_{name}_percent"], resolution)
        row[f"against_{name}_below_resolution"] = below
        if below:
            row[f"against_{name}_percent"] = None
    off = row["hidden_resolution_percent"]
    if off is not None and off >= NO_SHARE_PERCENT:
        row["hidden_percent"] = None
    row["fetch_p50_ns"] = _p50(case["fetch_samples_ns"])
    row["flags"] = "; ".join(case["flags"]) or None
    return row | _layers(case["layers"] or ()) | rank_columns(case["ranks"])


def _layers(layers: Sequence[Mapping[str, Any]]) -> dict[str, str | None]:
    """Return what a case knows of each layer as words, one a layer, `-` for what is not known.

    An exposed stall below its resolution is `<` and the resolution.
    """
    exposed = [
        f"<{one['resolution_ns']}"
        if below_resolution(one["exposed_ns"], one["resolution_ns"])
        else one["exposed_ns"]
        for one in layers
    ]
    found: dict[str, list[Any]] = {
        "layers": [one["layer"] for one in layers],
        "layers_at": [one["at"] for one in layers],
        "layers_wait_p50_ns": [_p50(one["wait_samples_ns"]) for one in layers],
        "layers_exposed_ns": exposed,
        "layers_there_p50_ns": [_p50(one["arrival_samples_ns"]) for one in layers],
    }
    return {
        name: " ".join("-" if value is None else str(value) for value in values) or None
        for name, values in found.items()
    }


def _p50(samples: Sequence[int]) -> int | None:
    return percentile(samples, 50) if samples else None


def below_resolution(more_percent: float | None, resolution: float | None) -> bool | None:
    """Tell whether two copies of one arm may differ by as much; None when that is not known."""
    return None if more_percent is None or resolution is None else abs(more_percent) < resolution
