"""What a store says of its table: by which scheme it is read, and that rows do not fit."""

from collections.abc import Mapping
from typing import Any

from engramctl.errors import ConfigError, StorageError
from engramctl.storage.cache.row_cache import cache_pages
from engramctl.storage.io.pages import PAGE
from engramctl.storage.reading.source import Source
from engramctl.storage.reading.table import TableFiles


def scheme_document(table: Source, named: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return the document of the scheme that rows are for, as `scheme.json` has it.

    Args:
        table: whose rows; a folder of ours says its scheme.
        named: by who opened the store, or None.

    Raises:
        ConfigError: nobody says it.
    """
    if named is None and isinstance(table, TableFiles):
        named = table.scheme
    if named is None:
        raise ConfigError(
            f"{table.path} does not say by which scheme its rows are read",
            hint="name one when you open the store: scheme=",
        )
    return dict(named)


def refuse_above(tier: str, limit_bytes: int, needed_bytes: int, hint: str) -> None:
    """Raise StorageError when a tier's table needs more memory than there may be."""
    if needed_bytes > limit_bytes:
        raise StorageError(
            f"the table does not fit into the memory of the {tier} tier",
            facts={"needed": f"{needed_bytes:,} bytes", "limit": f"{limit_bytes:,} bytes"},
            hint=hint,
        )


def refuse_cache_above(tier: str, limit_bytes: int, cache_bytes: int, table: Source) -> None:
    """Raise StorageError when a row cache in host memory needs more than there may be.

    It fills while it is used: what did not fit would show as a killed process, hours later.
    """
    num_rows = sum(table.num_rows(layer) for layer in table.layers)
    needed = cache_pages(cache_bytes, table.record.record_bytes, num_rows) * PAGE
    if needed > limit_bytes:
        raise StorageError(
            f"the row cache of {tier} does not fit into memory",
            facts={"needed": f"{needed:,} bytes", "available": f"{limit_bytes:,} bytes"},
            hint="give it less: host:SIZE,ssd, or cache_bytes",
        )
