"""A source's pages read from its files: planned, read, checked, widened.

What the two ways share in which rows come past the page cache: ahead of when they are needed, and
piece by piece.
"""

import threading
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from engramctl.storage.direct.step_plan import MOST_ROWS, StepPlanner
from engramctl.storage.io.gather import widen
from engramctl.storage.io.page_plan import PagePlan, file_numbers, most_pages, rows_that_fit
from engramctl.storage.io.row_map import RowMap
from engramctl.storage.io.slab import Slab
from engramctl.storage.readers.batch import LENGTH, Batch, Pending
from engramctl.storage.readers.choose import Chosen, choose
from engramctl.storage.readers.willneed_engine import drop_ranges
from engramctl.storage.reading.region import pieces
from engramctl.storage.reading.source import Source

if TYPE_CHECKING:
    import torch

RowIds = Mapping[int, NDArray[np.int64]]


class PageReads:
    """Files of a source and what reads them.

    Attributes:
        chosen: the engine, and why.
        maps: layer -> where rows lie in files.
        files: layer -> number of the file of each piece and column; see `PagePlan.of`.
        most: pages that one row can touch.
        steps: plans small batches.
        places: 0, 1, 2, ..., as many as a small batch may have rows.
        reads: ranges read so far.
        read_bytes: bytes of them.
        depth: most that were under way at once.
    """

    def __init__(self, source: Source, engine: str, depths: Mapping[str, int]) -> None:
        """Open the files past the page cache, where the file system lets us.

        Args:
            source: whose rows.
            engine: see `choose`.
            depths: see `choose`.

        Raises:
            StorageError: no engine can read.
            FormatError: rows that cannot be read in place.
        """
        self.maps = {layer: RowMap.in_files(source, layer) for layer in source.layers}
        self.most = max(most_pages(one) for one in self.maps.values())
        regions = {layer: list(pieces(source.regions(layer))) for layer in source.layers}
        paths: dict[Path, int] = {}
        for layer_pieces in regions.values():
            for piece in layer_pieces:
                for region in piece:
                    paths.setdefault(region.path, len(paths))
        self.files = {layer: file_numbers(some, paths) for layer, some in regions.items()}
        self.chosen: Chosen = choose(tuple(paths), engine, direct=True, depths=depths)
        self.steps = StepPlanner(self.maps, self.files, self.chosen.files.sizes)
        self.places = np.arange(MOST_ROWS)
        self.reads = self.read_bytes = self.depth = 0
        self.renew()

    def renew(self) -> None:
        """Begin anew in a forked child."""
        self._lock = threading.Lock()

    def plan(self, rows: RowIds, room: NDArray[np.int64]) -> PagePlan:
        """Plan a batch in memory of the caller's; see `PagePlan.of`."""
        return PagePlan.of(rows, self.maps, self.files, room)

    def batch(self, plan: PagePlan, address: int) -> Batch:
        """Return what brings a plan's pages to an address; see `PagePlan.batch`."""
        return plan.batch(address, self.chosen.files.sizes)

    def start(self, batch: Batch) -> Pending:
        """Begin to read a batch."""
        return self.chosen.engine.start(batch)

    def count(self, batch: Batch) -> None:
        """Count a batch among those that were read."""
        num_bytes = int(batch.ranges_R5[:, LENGTH].sum())
        with self._lock:
            self.reads += len(batch.ranges_R5)
            self.read_bytes += num_bytes
            self.depth = max(self.depth, min(len(batch.ranges_R5), self.chosen.engine.depth))

    def arrived(self, batch: Batch) -> None:
        """Check a batch that is over; of one that came through the page cache, let the pages go.

        Raises:
            StorageError: a read failed or ended early, with file and offset.
        """
        self.chosen.files.check(batch)
        if not self.chosen.files.direct:
            drop_ranges(self.chosen.files.descriptors, batch.ranges_R5)

    def widen(
        self,
        layer: int,
        row_ids: NDArray[np.int64],
        where: NDArray[np.int64],
        targets: NDArray[np.int64],
        slab: Slab,
        out: "torch.Tensor",
    ) -> None:
        """Write rows whose bytes lie in a slab to their places in `out`.

        Raises:
            FormatError: a scale of a checkpoint is NaN or infinite.
        """
        bad = widen(where, targets, slab.memory, self.maps[layer], out)
        if bad >= 0:
            raise self.maps[layer].bad_scale(int(row_ids[bad]))

    def compile(self, slab: Slab, out: "torch.Tensor") -> None:
        """Compile every kernel now: not in a step, nor while another thread forks.

        Args:
            slab: any.
            out: no rows, on the CPU, of any dtype that rows are read as.
        """
        for layer, row_map in self.maps.items():
            none = np.empty(0, np.int64)
            plan = self.plan({layer: none}, none)
            rows_that_fit(none, 0, row_map.packed, self.files[layer], 1)
            batch = self.batch(plan, slab.address)
            self.steps.plan({layer: none}, none, slab.address)
            if not self.chosen.files.direct:
                drop_ranges(self.chosen.files.descriptors, batch.ranges_R5)
            widen(plan.addresses(layer, 0), none, slab.memory, row_map, out)
