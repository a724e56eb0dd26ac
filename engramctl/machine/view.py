"""What this machine has, as a table."""

from collections.abc import Iterator, Mapping
from typing import Any

from engramctl.output import Table


def environment_tables(document: Mapping[str, Any]) -> list[Table]:
    """Return the table that shows a document of `capture`: a row a fact, its parts with a dot."""
    return [Table("this machine", list(_rows(document)))]


def _rows(document: Mapping[str, Any], prefix: str = "") -> Iterator[dict[str, object]]:
    for name, value in document.items():
        if isinstance(value, dict):
            yield from _rows(value, f"{prefix}{name}.")
        else:
            listed = isinstance(value, list)
            shown = (", ".join(map(str, value)) or None) if listed else value
            yield {"fact": prefix + name, "value": shown}
