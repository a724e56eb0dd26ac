"""Many heads as one: what the head in the middle of an order is like."""

from collections.abc import Mapping, Sequence
from typing import Any


def mean_head(heads: Sequence[Mapping[str, Any]]) -> dict[str, float | None]:
    """Return the mean of every number of some heads; None where one head's is not known.

    Args:
        heads: `HeadLoad` as dictionaries, at least one, all with the same names; what is no number
            is left out, and so is `head`.

    Example:
        >>> mean_head([{"head": 0, "num_slots": 7, "x": None}, {"head": 1, "num_slots": 9, "x": 1}])
        {'num_slots': 8.0, 'x': None}
    """
    means: dict[str, float | None] = {}
    for name in heads[0]:
        known = [value for head in heads if (value := head[name]) is not None]
        if name == "head" or not all(isinstance(value, int | float) for value in known):
            continue
        means[name] = sum(known) / len(known) if len(known) == len(heads) else None
    return means
