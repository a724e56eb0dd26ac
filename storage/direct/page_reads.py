"""A source's pages read from its files: planned, read, checked, widened.

What the two ways share in which rows come past the page cache: ahead of when they are needed, and
piece by piece.
"""

import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from engramctl.storage.cache.ngram_records import RecordFile
from engramctl.storage.direct.step_plan import MOST_ROWS, StepPlan, StepPlanner
from engramctl.storage.io.gather import widen
from engramctl.storage.io.gather_threads import in_pieces
from engramctl.storage.io.page_plan import (
    PagePlan,
    file_numbers,
    most_pages,
    plan_words,
    rows_that_fit,
)
from engramctl.storage.io.row_map import SCALE_BYTES, WEIGHT_BYTES, RowMap
from engramctl.storage.memory.slab import Slab
from engramctl.storage.readers.batch import FILE, LENGTH, Batch, Pending
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
        sizes: bytes of a row's values and of its scales, int64 (2,).
        records: files of n-gram records.
        most_of_record: pages that one of their entries can touch, 0: there is none.
        record_reads: ranges of them read so far.
        steps: plans small batches.
        places: 0, 1, 2, ..., as many as a small batch may have rows.
        reads: ranges read so far.
        read_bytes: bytes of them.
        depth: most that were under way at once.
    """

    def __init__(
        self,
        source: Source,
        engine: str,
        depths: Mapping[str, int],
        records: Sequence[RecordFile] = (),
    ) -> None:
        """Open the files past the page cache, where the file system lets us.

        Args:
            source: whose rows.
            engine: see `choose`.
            depths: see `choose`.
            records: files of n-gram records; first of all files, so that a layer that waits for
                some does not wait for other layers' rows. Entries of file k are planned as rows of
                layer `-1 - k`.

        Raises:
            StorageError: no engine can read.
            FormatError: rows that cannot be read in place.
        """
        self.maps = {layer: RowMap.in_files(source, layer) for layer in source.layers}
        self.most = max(most_pages(one) for one in self.maps.values())
        self.sizes = next(iter(self.maps.values())).packed[[WEIGHT_BYTES, SCALE_BYTES]]
        regions = {layer: list(pieces(source.regions(layer))) for layer in source.layers}
        paths: dict[Path, int] = {one.path: number for number, one in enumerate(records)}
        for layer_pieces in regions.values():
            for piece in layer_pieces:
                for region in piece:
                    paths.setdefault(region.path, len(paths))
        self.files = {layer: file_numbers(some, paths) for layer, some in regions.items()}
        self.places = np.arange(MOST_ROWS)
        self.reads = self.read_bytes = self.depth = self.record_reads = 0
        self.renew()
        self.records = tuple(records)
        entries = {
            -1 - number: RowMap.of_entries(
                source, one.entries, one.entry_bytes, one.first_offset,
                (one.unit_entries, one.unit_bytes),
            )
            for number, one in enumerate(records)
        }  # fmt: skip
        self.most_of_record = max((most_pages(one) for one in entries.values()), default=0)
        self._planned = self.maps | entries
        self._planned_files = self.files | {
            layer: np.array([[-1 - layer]], np.int64) for layer in entries
        }
        self.chosen: Chosen = choose(
            tuple(paths), engine, direct=True, depths=depths, num_copies=len(records)
        )
        try:
            sizes = self.chosen.files.sizes
            self.steps = StepPlanner(self._planned, self._planned_files, sizes)
        except BaseException:
            self.chosen.close()
            raise

    def renew(self) -> None:
        """Begin anew in a forked child."""
        self._lock = threading.Lock()

    def plan(self, rows: RowIds, room: NDArray[np.int64]) -> PagePlan:
        """Plan a batch in memory of the caller's; see `PagePlan.of`."""
        return PagePlan.of(rows, self._planned, self._planned_files, room)

    def pages_at_most(self, rows: RowIds) -> int:
        """Return the most pages that a batch can touch."""
        return sum(
            len(ids) * (self.most if layer in self.maps else self.most_of_record)
            for layer, ids in rows.items()
        )

    def plan_words(self, rows: RowIds) -> int:
        """Return the int64 that a plan of a batch takes; see `plan_words`."""
        return sum(plan_words(self._planned[layer], len(ids)) for layer, ids in rows.items())

    def entries_at(
        self, plan: PagePlan | StepPlan, address: int, numbers: Sequence[NDArray[np.int64]]
    ) -> NDArray[np.int64]:
        """Return where the record of each entry of a plan is once it is there, int64 (k,).

        Args:
            plan: of entries, too.
            address: see `PagePlan.addresses`.
            numbers: of the entries, file by file.
        """
        return np.concatenate(
            [
                plan.addresses(-1 - number, address)[:, 0] + self.records[number].head_bytes
                for number, some in enumerate(numbers)
                if len(some)
            ]
        )

    def give_up_lost(self) -> None:
        """Take nothing more from files that were changed and whose entries nothing proves."""
        for number, why in self.chosen.files.lost.items():
            if self.records[number].proof is None:
                self.records[number].fail(f"its file {why}")

    def is_copy(self, batch: Batch) -> int | None:
        """Return the file of records of which a read of a finished batch failed; None: no such."""
        bad = batch.first_bad()
        number = int(batch.ranges_R5[bad, FILE]) if bad >= 0 else len(self.records)
        return number if number < len(self.records) else None

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
            if self.records:
                of_records = batch.ranges_R5[:, FILE] < len(self.records)
                self.record_reads += int(np.count_nonzero(of_records))
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
        row_map = self.maps[layer]

        def some(start: int, stop: int) -> int:
            part = slice(start, stop)
            bad = widen(where[part], targets[part], slab.memory, row_map, out)
            return start + bad if bad >= 0 else -1

        for bad in in_pieces(len(targets), some):
            if bad >= 0:
                raise row_map.bad_scale(int(row_ids[bad]))

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
