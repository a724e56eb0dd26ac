"""What is kept of rows that were read: brought before anybody asks, and forgotten."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from engramctl.storage.requests.checked_ids import RowIds, checked_rows
from engramctl.storage.requests.usage import Usage

Rows = Mapping[int, NDArray[np.int64]]


class KeepsRows:
    """A store that may have row caches; as it stands, one that has none.

    Attributes:
        usage: who uses the store.
    """

    usage: Usage

    def num_rows(self, layer: int) -> int:
        """Return the rows of a layer's table."""
        raise NotImplementedError

    @property
    def cache_capacity(self) -> int:
        """Rows that its row caches hold, together; 0: it has none."""
        return 0

    def warm(self, rows: Mapping[int, RowIds]) -> None:
        """Fill the row caches before anybody asks, the most wanted rows in the fastest tier.

        While they have room; nothing without one. What is read so counts as nobody's hit or miss.

        Args:
            rows: layer -> row ids, int32 or int64 (n,), each once, the most wanted first.

        Raises:
            ValueError: no such layer, ids of another type, or one outside the table.
            StorageError: a read failed, or the store is closed.
        """
        with self.usage.call():
            self.warm_rows(self._checked(rows))

    def drop(self, rows: Mapping[int, RowIds] | None = None) -> None:
        """Make rows cold: some, or all. Rows leave the row caches, their pages the page cache.

        Args:
            rows: layer -> row ids, int32 or int64 (n,); None: all of the table.

        Raises:
            ValueError: as `warm`.
            StorageError: the store is closed.
        """
        with self.usage.call():
            self.drop_rows(None if rows is None else self._checked(rows))

    def _checked(self, rows: Mapping[int, RowIds]) -> dict[int, NDArray[np.int64]]:
        return {
            layer: checked_rows(layer, ids, self.num_rows(layer)) for layer, ids in rows.items()
        }

    def warm_rows(self, rows: Rows) -> None:
        """Do what `warm` says with row ids that were checked, int64."""

    def drop_rows(self, rows: Rows | None) -> None:
        """Do what `drop` says, likewise."""
