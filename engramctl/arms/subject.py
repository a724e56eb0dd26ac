"""A store under test, in a known state: warm or cold, proved, and its rows checked.

"Cold" and "warm" are claims about the page cache, so every sample's own pages are asked of the
kernel (`mincore`) before it is timed and after; and that a dropped page takes several times longer
to read than a cached one is measured once. Past the page cache they are claims about the store's
own row cache. "Traffic" claims nothing: rows are where the samples before left them. What cannot be
proved is called so. Every sample's output is poisoned before and compared with the plain reader's
rows after, untimed.
"""

import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from engramctl.arms.kept_rows import bring, kept_rows, on_disk_part
from engramctl.errors import StorageError
from engramctl.fusion.rows_to_read import RowsToRead, rows_to_read
from engramctl.hashing import Lookup
from engramctl.machine.residency import cannot_be_known, mapped_by, not_slower_when_dropped
from engramctl.results.states import NONE_IS_WARM, NOTHING_KEPT, TRAFFIC
from engramctl.storage import Store, open_store
from engramctl.storage.reading.source import Source, read_values
from engramctl.storage.tiers.ssd import SsdStore
from engramctl.tables.opened_rows import Opened

COLD_AT_MOST_PERCENT = 1.0
WARM_AT_LEAST_PERCENT = 99.9
_POISON = -3.0e38
_CHECKED_ROWS = 256

RowIds = Mapping[int, NDArray[np.integer[Any]]]


class Unmeasurable(Exception):
    """The state a case needs cannot be had here; the text says why.

    Attributes:
        subject: that cannot have it, once it was made; else None.
    """

    def __init__(self, text: str, subject: "Subject | None" = None) -> None:
        """Say why; `subject` is the one that was asked for."""
        super().__init__(text)
        self.subject = subject


def opened_store(
    table: Opened, tier: str, device: torch.device, reading: Mapping[str, Any]
) -> tuple[Store, list[str]]:
    """Open a tier as a run wants it, and return it with what it warned of.

    Args:
        table: whose rows.
        tier: gpu, host or ssd, or a mixture.
        device: where gathered rows go.
        reading: what else `open_store` is told; the dtype of rows too.

    Raises:
        StorageError: the tier cannot hold the rows, or not read them so.
    """
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always", RuntimeWarning)
        store = open_store(
            table.rows, tier, device=device, scheme=table.scheme, **reading,
        )  # fmt: skip
    return store, [str(one.message) for one in told]


class Subject:
    """One tier in one cache state.

    Attributes:
        state: `cold` or `warm` when that is proved, else `unproved`; or `traffic`.
        state_reason: why it is not proved, or None.
    """

    def __init__(self, store: Store, scheme: Lookup, cache: str) -> None:
        """Bring the store into its state.

        Raises:
            Unmeasurable: it cannot be made warm, or keeps no rows of the traffic before.
        """
        self.store = store
        self.scheme = scheme
        self.cache = cache
        self.checked_rows = 0
        self.mismatches = 0
        self._unknown = False  # whether the kernel says nothing of the file's pages
        self._before: list[float] = []
        self._after: list[float] = []
        self.state = cache
        self.state_reason: str | None = None
        self._random = np.random.default_rng(0)
        self._rows_kept = kept_rows(store)
        self._disk = on_disk_part(store)
        if self._disk is None:
            return
        if cache == "warm" and store.mode == "direct" and self._rows_kept is None:
            raise Unmeasurable(NONE_IS_WARM)
        if cache == TRAFFIC:
            if self._rows_kept is None and not store.uses_keys:
                raise Unmeasurable(NOTHING_KEPT)
            return
        if cache == "cold":
            store.drop()  # all of it once, then of each sample its own pages
        self.state_reason = self._doubt(self._disk)
        if self.state_reason is not None:
            self.state = "unproved"
        if cache == "warm":
            try:
                self._disk.populate()
            except StorageError as error:
                raise Unmeasurable(error.message) from error

    def _doubt(self, store: SsdStore) -> str | None:
        """Return why the state cannot be proved, or None."""
        for path in store.read.chosen.files.paths:
            unknown = cannot_be_known(path) if store.mode == "mapped" else None
            if unknown is not None:
                self._unknown = True
                return unknown
        largest = max(store.read.chosen.files.paths, key=lambda path: path.stat().st_size)
        if self.cache != "cold":
            return None
        return not_slower_when_dropped(largest, past_cache=store.mode == "direct")

    def prepare(self, row_ids: RowIds) -> None:
        """Make the next sample's rows cold or warm where they must be; note what is resident.

        Raises:
            Unmeasurable: they are not.
        """
        if self.cache == "cold" and self._disk is not None:
            self.store.drop(_flat_all(row_ids))
        if self.cache == "warm" and self._rows_kept is not None:
            why_not = bring(self.store, self._rows_kept, _flat_all(row_ids))
            if why_not is not None:
                raise Unmeasurable(why_not, self)
        percent = self._resident_percent(row_ids)
        if percent is None or self._unknown:
            return
        if self.cache == "cold" and percent > COLD_AT_MOST_PERCENT:
            percent = self._resident_without_all(row_ids)
        self._before.append(percent)
        if self.cache == "cold" and percent > COLD_AT_MOST_PERCENT:
            raise Unmeasurable(
                f"{percent:.0f} % of the pages stay in memory after they were dropped: "
                f"{self._who_keeps_them()}",
                self,
            )
        if self.cache == "warm" and percent < WARM_AT_LEAST_PERCENT:
            raise Unmeasurable(f"only {percent:.1f} % of the pages stay in memory", self)

    def _resident_without_all(self, row_ids: RowIds) -> float:
        """Drop every page of the table, and return which share of these rows' pages is left.

        Where other reads brought several pages at once, as those do that check a store beside this
        one, kernels that keep them as one piece let it go as a whole or not at all.
        """
        self.store.drop()
        return self._resident_percent(row_ids) or 0.0

    def _who_keeps_them(self) -> str:
        if self._disk is not None:
            for path in self._disk.read.chosen.files.paths:
                others = mapped_by(path)
                if others:
                    return f"{', '.join(others)} has {path.name} mapped"
        return "this file system keeps them"

    def settle(self, row_ids: RowIds) -> None:
        """Note what is resident after the sample."""
        percent = self._resident_percent(row_ids)
        if percent is not None and not self._unknown:
            self._after.append(percent)

    def _resident_percent(self, row_ids: RowIds) -> float | None:
        found = [self.store.resident(layer, _flat(ids)) for layer, ids in row_ids.items()]
        counted = [pair for pair in found if pair is not None]
        total = sum(pages for _, pages in counted)
        return 100.0 * sum(resident for resident, _ in counted) / total if total else None

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
        for layer, ids in row_ids.items():
            self.compare(self.store.table, layer, ids, rows[layer])

    def compare(
        self, table: Source, layer: int, ids: NDArray[np.integer[Any]], rows: torch.Tensor
    ) -> None:
        """Compare rows of a layer with what the plain reader has of a table, and count them.

        Args:
            table: where the ids are of; the store's own, or the whole that it is a part of.
            layer: of the table.
            ids: any shape.
            rows: of that shape and row_dim.
        """
        flat, found = ids.reshape(-1), rows.reshape(-1, rows.shape[-1])
        some = np.arange(len(flat))
        if len(flat) > _CHECKED_ROWS:
            some = self._random.choice(len(flat), _CHECKED_ROWS, replace=False)
        wanted = torch.from_numpy(read_values(table, layer, flat[some]))
        same = found[torch.from_numpy(some)].cpu() == wanted.to(rows.dtype)
        self.checked_rows += len(some)
        self.mismatches += int((~same.all(dim=1)).sum())

    def row_ids(self, token_ids_BT: Any, history_BC: Any, layer: int | None = None) -> RowsToRead:
        """Hash a window for every layer, or for one."""
        store = self.store
        layers = store.layers if layer is None else (layer,)
        return rows_to_read(
            self.scheme, layers, token_ids_BT, history_BC, store.device, with_keys=store.uses_keys
        )


def _flat_all(row_ids: RowIds) -> dict[int, NDArray[np.int64]]:
    return {layer: _flat(ids) for layer, ids in row_ids.items()}


def _flat(row_ids: NDArray[np.integer[Any]]) -> NDArray[np.int64]:
    return row_ids.reshape(-1).astype(np.int64)


def read_bytes_so_far() -> int | None:
    """Return the bytes this process made disks read; None without /proc/self/io."""
    try:
        for line in Path("/proc/self/io").read_text().splitlines():
            if line.startswith("read_bytes:"):
                return int(line.split()[1])
    except OSError:
        pass
    return None
