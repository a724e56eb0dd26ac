"""Where cases stand in a sweep, as columns: what is common to all, and what tells them apart."""

from collections.abc import Mapping, Sequence
from typing import Any

AXES = "axes_"  # begins the names of an axis in the rows of `case_rows`


def place_columns(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return for each row its value of every axis.

    An axis of one value says it in every row, so that a table shows it once; of several, only where
    a case has it: a gather has no model.

    Args:
        rows: that `case_rows` made; those of older results have no axes.

    Example:
        >>> place_columns([{"axes_batch": 1, "axes_preset": "tiny"}, {"axes_batch": 8}])
        [{'batch': 1, 'preset': 'tiny'}, {'batch': 8, 'preset': 'tiny'}]
    """
    values = _values(rows)
    common = {name: next(iter(found.values())) for name, found in values.items() if len(found) == 1}
    return [
        {
            name.removeprefix(AXES): _shown(common[name] if name in common else row.get(name))
            for name in values
        }
        for row in rows
    ]


def is_sweep(rows: Sequence[Mapping[str, Any]]) -> bool:
    """Tell whether an axis has several values in these rows."""
    return any(len(found) > 1 for found in _values(rows).values())


def _values(rows: Sequence[Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """Return the values of each axis that some row has, by what is shown of them."""
    values: dict[str, dict[str, Any]] = {}
    for row in rows:
        for name, value in row.items():
            if name.startswith(AXES) and value is not None:
                values.setdefault(name, {})[str(_shown(value))] = value
    return values


def _shown(value: Any) -> Any:
    return ", ".join(map(str, value)) if isinstance(value, list | tuple) else value
