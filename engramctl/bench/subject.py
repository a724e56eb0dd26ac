"""A store under test, in a known state: warm or cold, proved, and its rows checked.

"Cold" and "warm" are claims about the page cache, so every sample's own pages are read from the
kernel (`mincore`) before it is timed and after. Every sample's output is poisoned before and
compared with the plain reader's rows after, untimed.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from engramctl.errors import StorageError
from engramctl.hashing.scheme.scheme import Scheme
from engramctl.storage import Store
from engramctl.storage.reading.source import read_values
from engramctl.storage.tiers.ssd import SsdStore

COLD_AT_MOST_PERCENT = 1.0
WARM_AT_LEAST_PERCENT = 99.9
_POISON = -3.0e38
_CHECKED_ROWS = 256

RowIds = Mapping[int, NDArray[np.int64]]


class Unmeasurable(Exception):
    """The state a case needs cannot be had here; the text says why."""


class Subject:
    """One tier in one cache state."""

    def __init__(self, store: Store, scheme: Scheme, cache: str) -> None:
        """Bring the store into its state.

        Raises:
            Unmeasurable: it cannot be made warm.
        """
        self.store = store
        self.scheme = scheme
        self.cache = cache
        self.checked_rows = 0
        self.mismatches = 0
        self._before: list[float] = []
        self._after: list[float] = []
        self._rows = 0
        self._pages = 0
        self._random = np.random.default_rng(0)
        if cache == "warm" and isinstance(store, SsdStore):
            try:
                store.populate()
            except StorageError as error:
                raise Unmeasurable(error.message) from error

    def prepare(self, row_ids: RowIds) -> None:
        """Make the next sample's rows cold where they must be, and note what is resident."""
        if self.cache == "cold" and isinstance(self.store, SsdStore):
            self.store.drop()
        percent = self._resident_percent(row_ids)
        if percent is None:
            return
        self._before.append(percent)
        if self.cache == "cold" and percent > COLD_AT_MOST_PERCENT:
            raise Unmeasurable(
                f"{percent:.0f} % of the pages stay in memory after they were dropped: this file "
                "system keeps them"
            )
        if self.cache == "warm" and percent < WARM_AT_LEAST_PERCENT:
            raise Unmeasurable(f"only {percent:.1f} % of the pages stay in memory")

    def settle(self, row_ids: RowIds) -> None:
        """Note what is resident after the sample."""
        percent = self._resident_percent(row_ids)
        if percent is not None:
            self._after.append(percent)

    def _resident_percent(self, row_ids: RowIds) -> float | None:
        found = [
            self.store.resident(layer, ids.reshape(-1).astype(np.int64))
            for layer, ids in row_ids.items()
        ]
        counted = [pair for pair in found if pair is not None]
        total = sum(pages for _, pages in counted)
        self._rows += sum(ids.size for ids in row_ids.values())
        self._pages += total
        return 100.0 * sum(resident for resident, _ in counted) / total if total else None

    @property
    def pages_per_row(self) -> float:
        """Distinct pages of a sample's rows, over the rows asked for; 0 on a tier without pages."""
        return self._pages / self._rows if self._rows else 0.0

    @property
    def resident_percent(self) -> dict[str, float | None]:
        """The worst sample before (most resident when cold, least when warm), the mean after."""
        worst = max if self.cache == "cold" else min
        return {
            "before": worst(self._before) if self._before else None,
            "after": float(np.mean(self._after)) if self._after else None,
        }

    def outputs(self, row_ids: RowIds) -> dict[int, torch.Tensor]:
        """Return poisoned tensors for the rows."""
        return {
            layer: torch.full(
                (*ids.shape, self.store.row_dim), _POISON, dtype=self.store.dtype,
                device=self.store.device,
            )
            for layer, ids in row_ids.items()
        }  # fmt: skip

    def check(self, row_ids: RowIds, rows: Mapping[int, torch.Tensor]) -> None:
        """Compare gathered rows with the plain reader's; a sample of large gathers."""
        table = self.store.table
        for layer, ids in row_ids.items():
            flat, found = ids.reshape(-1), rows[layer].reshape(-1, self.store.row_dim)
            some = np.arange(len(flat))
            if len(flat) > _CHECKED_ROWS:
                some = self._random.choice(len(flat), _CHECKED_ROWS, replace=False)
            wanted = torch.from_numpy(read_values(table, layer, flat[some]))
            same = found[torch.from_numpy(some)].cpu() == wanted.to(self.store.dtype)
            self.checked_rows += len(some)
            self.mismatches += int((~same.all(dim=1)).sum())

    def row_ids(self, token_ids_BT: Any, history_BC: Any) -> dict[int, NDArray[np.int64]]:
        """Hash a window for every layer."""
        return {
            layer: self.scheme.row_ids(token_ids_BT, layer, history_BC)
            for layer in self.store.layers
        }


def read_bytes_so_far() -> int | None:
    """Return the bytes this process made disks read; None without /proc/self/io."""
    try:
        for line in Path("/proc/self/io").read_text().splitlines():
            if line.startswith("read_bytes:"):
                return int(line.split()[1])
    except OSError:
        pass
    return None
