"""The memory of a run's model in words: its fusion, and where it sits."""

from collections.abc import Mapping
from typing import Any


def memory_text(config: Mapping[str, Any]) -> str | None:
    """Return `FUSION at decoder layers 1 and 4, counted from 0`; None where no model was measured.

    Raises:
        LookupError, TypeError, AttributeError: a config that a stranger made.

    Example:
        >>> memory_text({"memory": {"fusion": "engram", "places": {"1": 1, "15": 4}}})
        'engram at decoder layers 1 and 4, counted from 0'
        >>> memory_text({"memory": {"fusion": "longcat", "places": {"0": "input"}}})
        'longcat at the input embedding'
    """
    memory = config.get("memory")
    if memory is None:
        return None
    places = [str(place) for place in memory["places"].values()]
    if places == ["input"]:
        return f"{memory['fusion']} at the input embedding"
    *before, last = places
    layers = f"layers {', '.join(before)} and {last}" if before else f"layer {last}"
    return f"{memory['fusion']} at decoder {layers}, counted from 0"
