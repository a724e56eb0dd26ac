"""What is kept of rows that were read: brought before anybody asks, and forgotten."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray


class KeepsRows:
    """A store that may have row caches; as it stands, one that has none."""

    def warm(self, rows: Mapping[int, NDArray[np.int64]]) -> None:
        """Fill the row caches before anybody asks, the most wanted rows in the fastest tier.

        While they have room; nothing without one. What is read so counts as nobody's hit or miss.

        Args:
            rows: layer -> row ids, int64 (n,), each once, the most wanted first.

        Raises:
            ValueError: no such layer, or an id outside the table.
            StorageError: a read failed, or the store is closed.
        """

    def drop(self, rows: Mapping[int, NDArray[np.int64]] | None = None) -> None:
        """Make rows cold: some, or all. Rows leave the row caches, their pages the page cache.

        Args:
            rows: layer -> row ids, int64 (n,); None: all of the table.

        Raises:
            StorageError: the store is closed.
        """
