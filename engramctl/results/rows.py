"""The cases of a result as flat rows for programs: one row a case, units in the names.

Every table of a result is made of these. A difference that is below the resolution is not in them
as a number, so none can print it; the result itself keeps it, beside the samples.
"""

from collections.abc import Mapping
from typing import Any

_GROUPS = ("resident_percent", "against", "check", "axes", "traffic", "mhc")
_BASELINES = ("none", "resident")


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
    for group in _GROUPS:
        row |= {f"{group}_{name}": value for name, value in case[group].items()}
    for name in _BASELINES:
        below = below_resolution(row[f"against_{name}_percent"], resolution)
        row[f"against_{name}_below_resolution"] = below
        if below:
            row[f"against_{name}_percent"] = None
    return row


def below_resolution(more_percent: float | None, resolution: float | None) -> bool | None:
    """Tell whether two copies of one arm may differ by as much; None when that is not known."""
    return None if more_percent is None or resolution is None else abs(more_percent) < resolution
