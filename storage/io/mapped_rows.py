"""Rows read through a mapping: the kernel's page cache is the cache.

Pages this store has touched are taken to be resident, so a warm gather makes no system call. The
others are asked for together before the first is needed. When a gather of touched pages is slow all
the same, and pages were faulted in, the kernel has evicted some: they count as untouched again.
"""

import functools
import mmap
import resource
from collections.abc import Mapping
from concurrent.futures import Future
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from engramctl.errors import StorageError
from engramctl.memory import available_bytes
from engramctl.runtime.calls import Call
from engramctl.runtime.threads import Workers
from engramctl.storage.io.bus_errors import catch_if_asked
from engramctl.storage.io.mapping import MappedFile, MappedLayer
from engramctl.storage.io.page_plan import MOST_PAGES, PagePlan
from engramctl.storage.io.pages import PAGE
from engramctl.storage.io.watched_maps import any_fault
from engramctl.storage.readers.batch import ADDRESS, Batch
from engramctl.storage.readers.choose import Chosen, choose
from engramctl.storage.readers.willneed_engine import drop_ranges
from engramctl.storage.reading.source import Source

# A gather slower than this on touched pages means eviction (as oMLX has it).
EVICTED_NS = 500_000
EVICTED_ROW_NS = 2_000
Asked = Call[None] | Future[None] | None  # None: nothing was to be asked for
_ASKED_AT_ONCE = 64  # ranges, a step's: handing them to a thread takes longer than to ask for them


class MappedRows:
    """The rows of a source, mapped.

    Attributes:
        chosen: the engine that brings missing pages, and why.
        layers: their mappings.
        reads: runs of pages asked for so far.
        read_bytes: bytes of them; the page cache may have had some.
        depth: most that were asked for at once.
    """

    def __init__(self, source: Source, engine: str = "auto") -> None:
        """Map the row files; nothing is read but what an engine is tried with.

        Args:
            source: whose rows.
            engine: see `choose`.

        Raises:
            StorageError: a file cannot be mapped, or no engine can read.
            FormatError: rows that cannot be read in place.
        """
        catch_if_asked()
        paths = dict.fromkeys(one.path for layer in source.layers for one in source.regions(layer))
        self.chosen: Chosen = choose(tuple(paths), engine, direct=False)
        try:
            opened = self.chosen.files
            files: dict[Path, tuple[int, MappedFile]] = {
                path: (number, MappedFile(path, int(fd), int(size)))
                for number, (path, fd, size) in enumerate(
                    zip(opened.paths, opened.descriptors, opened.sizes, strict=True)
                )
            }
            self.layers = {layer: MappedLayer(source, layer, files) for layer in source.layers}
            # Where bytes go that are only to be in the page cache: they are never looked at.
            self._scratch = np.frombuffer(mmap.mmap(-1, MOST_PAGES * PAGE), np.uint8)
        except BaseException:
            self.chosen.close()
            raise
        self.num_bytes = sum(
            one.num_bytes for layer in source.layers for one in source.regions(layer)
        )
        self.reads = self.read_bytes = self.depth = 0
        self._asker = Workers("engramctl-willneed", 1)
        self._faults = _major_faults()

    def start(self, rows: Mapping[int, NDArray[np.int64]], *, ahead: bool) -> Asked:
        """Ask for every page not touched before, all layers in one batch.

        Args:
            rows: layer -> row ids, int64 (n,).
            ahead: by a thread of ours, while the caller goes on; else, and for the few ranges of a
                step, the caller asks itself.

        Raises:
            StorageError: SIGBUS came from one of the layers' files before.
        """
        if any_fault:
            for layer in rows:
                self.refuse_broken(layer)
        wanted = []
        for layer, ids in rows.items():
            unseen = self.layers[layer].unseen(ids)
            if unseen is not None:
                wanted.append(unseen)
        if not wanted:
            return None
        plan = PagePlan.of_pages(np.concatenate(wanted))
        batch = replace(plan.batch(0, self.chosen.files.sizes), owner=self._scratch)
        only_asks = self.chosen.engine.name == "willneed"
        batch.ranges_R5[:, ADDRESS] = 0 if only_asks else self._scratch.ctypes.data
        self.reads += len(batch.ranges_R5)
        self.read_bytes += len(plan.pages_P) * PAGE
        self.depth = max(self.depth, min(len(batch.ranges_R5), self.chosen.engine.depth))
        if ahead and len(batch.ranges_R5) > _ASKED_AT_ONCE:
            return self._asker.submit(self._ask, batch, rows)
        asked: Future[None] = Future()
        try:
            self._ask(batch, rows)
            asked.set_result(None)
        except StorageError as error:  # told to who waits
            asked.set_exception(error)
        return asked

    def _ask(self, batch: Batch, rows: Mapping[int, NDArray[np.int64]]) -> None:
        try:
            self.chosen.engine.start(batch).wait()
            self.chosen.files.check(batch)
        except BaseException:  # or the next who wants these pages is not told, but killed by them
            for layer, ids in rows.items():
                self.layers[layer].unmark(ids)
            raise

    def refuse_broken(self, layer: int) -> None:
        """Raise when what was gathered from a layer until now may be no bytes of its files.

        Raises:
            StorageError: SIGBUS came from one of them, see `catch_bus_errors`.
        """
        for file in self.layers[layer].files:
            file.refuse_broken()

    def was_evicted(self, layer: int, num_rows: int, took_ns: int) -> None:
        """Count the pages of a layer as untouched, when touched ones took long, and waited."""
        if took_ns > EVICTED_NS + EVICTED_ROW_NS * num_rows and self._waited_for_disk():
            self.layers[layer].seen[:] = 0

    def _waited_for_disk(self) -> bool:
        """Tell whether this process waited for a page of a file since this was last asked."""
        then, self._faults = self._faults, _major_faults()
        return self._faults is None or self._faults != then

    def populate(self) -> None:
        """Read every page of the table into memory, without touching a row.

        Raises:
            StorageError: there is not enough memory for all of them, or one cannot be read.
        """
        if self.num_bytes > available_bytes():
            raise StorageError(
                "the table is larger than the memory that is free, so it cannot be made warm",
                facts={
                    "needed": f"{self.num_bytes:,} bytes", "free": f"{available_bytes():,} bytes"
                },
            )  # fmt: skip
        for number, layer in self.layers.items():
            self.refuse_broken(number)
            layer.populate()

    def drop(self, rows: Mapping[int, NDArray[np.int64]] | None = None) -> None:
        """Make pages cold: those of some rows, or every page of the table.

        Args:
            rows: layer -> row ids, int64 (n,); None: all.
        """
        if rows is None:
            for layer in self.layers.values():
                layer.drop()
            return
        keys = [self.layers[layer].forget(ids) for layer, ids in rows.items()]
        plan = PagePlan.of_pages(np.concatenate([np.empty(0, np.int64), *keys]))
        drop_ranges(self.chosen.files.descriptors, plan.batch(0, self.chosen.files.sizes).ranges_R5)

    def close(self) -> None:
        """End the asking thread and close the files; views of the mappings stay good."""
        try:
            self._asker.shutdown()
        finally:
            self.layers.clear()
            self.chosen.close()


def _major_faults() -> int | None:
    """Count the pages that this process has waited for; None where the system counts none."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_majflt if _faults_are_counted() else None


@functools.cache
def _faults_are_counted() -> bool:
    try:
        facts = dict(line.split() for line in Path("/proc/vmstat").read_text().splitlines())
        return int(facts.get("pgmajfault", 0)) > 0
    except (OSError, ValueError):
        return False
