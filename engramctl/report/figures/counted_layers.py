"""Layers whose row accesses were counted, in any of several folders of counts."""

from collections.abc import Iterator, Mapping
from typing import Any


def counted_layers(
    counts: Mapping[str, Mapping[str, Any]],
) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Give the name of each folder with each of its layers.

    Args:
        counts: documents of `describe`, by name.
    """
    for name, document in counts.items():
        for layer in (document.get("access") or {"layers": ()})["layers"]:
            yield name, layer
