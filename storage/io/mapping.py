"""One layer's row files, mapped into this process."""

import mmap
import os
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from engramctl.errors import StorageError
from engramctl.storage.files.atomic import os_errors
from engramctl.storage.io import pages
from engramctl.storage.io.row_map import RowMap
from engramctl.storage.reading.region import Region, pieces
from engramctl.storage.reading.source import Source


class MappedFile:
    """A row file as a read-only mapping, with the identity it had when opened.

    Its bytes stay mapped as long as someone holds a view of them; `close` ends only our own.
    """

    def __init__(self, path: Path) -> None:
        """Map the whole file; random access, so that a fault reads one page and no more."""
        self.path = path
        with os_errors("open", path):
            self.descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
            try:
                self._identity = self._now()
                if not self._identity[0]:
                    raise StorageError(f"{path} was cut short while it was opened")
                self.mapping = mmap.mmap(self.descriptor, 0, mmap.MAP_SHARED, mmap.PROT_READ)
                self.mapping.madvise(mmap.MADV_RANDOM)
            except BaseException:
                os.close(self.descriptor)
                raise
        self.data = np.frombuffer(self.mapping, np.uint8)
        self.address: int = self.data.ctypes.data

    @property
    def num_pages(self) -> int:
        """Pages of the mapping."""
        return -(-len(self.data) // pages.PAGE)

    def _now(self) -> tuple[int, int]:
        status = os.fstat(self.descriptor)
        return status.st_size, status.st_mtime_ns

    def check_unchanged(self) -> None:
        """Refuse to read a file that was changed after it was opened.

        Raises:
            StorageError: its size or time of change differs.
        """
        if self._now() != self._identity:
            raise StorageError(
                f"{self.path} was changed while it was open",
                facts={"size then": f"{self._identity[0]:,}", "size now": f"{self._now()[0]:,}"},
                hint="close the store, run engramctl verify on its folder and open it again",
            )

    def close(self) -> None:
        """Close the file."""
        os.close(self.descriptor)


class MappedLayer:
    """All row files of one layer, and where their rows lie."""

    def __init__(self, source: Source, layer: int) -> None:
        """Map the layer's files."""
        self._by_path: dict[Path, MappedFile] = {}
        try:
            self.rows = RowMap.in_memory(source, layer, self._view)
        except BaseException:
            self.close()
            raise
        self.files = list(self._by_path.values())
        sizes = np.array([file.num_pages for file in self.files], np.int64)
        first_seen = np.cumsum(sizes) - sizes
        base = {
            file.path: file.address // pages.PAGE - int(first)
            for file, first in zip(self.files, first_seen, strict=True)
        }
        self._bases_SC = np.array(
            [[base[region.path] for region in piece] for piece in pieces(source.regions(layer))],
            np.int64,
        )
        self.seen = np.zeros(int(sizes.sum()), np.uint8)

    def _view(self, region: Region) -> NDArray[np.uint8]:
        if region.path not in self._by_path:
            self._by_path[region.path] = MappedFile(region.path)
        data = self._by_path[region.path].data
        return data[region.offset : region.offset + region.num_bytes]

    def unseen(self, row_ids: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the pages of these rows not touched before, now marked, in units of pages."""
        return self._collect(row_ids, self.seen)

    def _collect(self, row_ids: NDArray[np.int64], seen: NDArray[np.uint8]) -> NDArray[np.int64]:
        found: NDArray[np.int64] = pages.unseen_pages(
            row_ids, self.rows.packed, self._bases_SC, seen
        )
        return found

    def resident(self, row_ids: NDArray[np.int64]) -> tuple[int, int]:
        """Return (pages of these rows that are in memory, pages of these rows), by mincore."""
        resident = np.concatenate(
            [pages.resident_pages(f.address, len(f.data)) for f in self.files]
        )
        touched = np.zeros_like(self.seen)
        self._collect(row_ids, touched)
        wanted = touched.astype(np.bool_)
        return int(resident[wanted].sum()), int(wanted.sum())

    def populate(self) -> None:
        """Read every page of the layer into memory."""
        for file in self.files:
            pages.populate(file.mapping, file.data)
        self.seen[:] = 1

    def drop(self) -> None:
        """Make every page of the layer cold and forget that they were touched."""
        for file in self.files:
            pages.drop_pages(file.mapping, file.descriptor)
        self.seen[:] = 0

    def check_unchanged(self) -> None:
        """See MappedFile.check_unchanged."""
        for file in self.files:
            file.check_unchanged()

    def close(self) -> None:
        """Let go of all files."""
        while self._by_path:
            self._by_path.popitem()[1].close()
