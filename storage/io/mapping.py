"""One layer's row files, mapped into this process."""

import mmap
import os
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray

from engramctl.errors import StorageError
from engramctl.storage.atomic import os_errors
from engramctl.storage.io import pages
from engramctl.storage.io.gather import RowMap
from engramctl.storage.reader import TableFiles
from engramctl.storage.region import Region


class MappedFile:
    """A row file as a read-only mapping, with the identity it had when opened."""

    def __init__(self, path: Path) -> None:
        """Map the whole file; random access, so that a fault reads one page and no more."""
        self.path = path
        with os_errors("open", path):
            self.descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
            self._identity = self._now()
            self.num_bytes = self._identity[0]
            if not self.num_bytes:
                os.close(self.descriptor)
                raise StorageError(f"{path} was cut short while it was opened")
            self.mapping = mmap.mmap(self.descriptor, 0, mmap.MAP_SHARED, mmap.PROT_READ)
        self.mapping.madvise(mmap.MADV_RANDOM)
        view = np.frombuffer(self.mapping, np.uint8)
        self.address = view.ctypes.data

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
        """Unmap and close."""
        self.mapping.close()
        os.close(self.descriptor)


class MappedLayer:
    """All row files of one layer, and where their rows lie."""

    def __init__(self, table: TableFiles, layer: int) -> None:
        """Map the layer's files: values or records region by region, then scales."""
        self.num_rows = table.num_rows(layer)
        self.record = table.record
        self._by_path: dict[Path, MappedFile] = {}
        regions: list[Path] = []

        def address(region: Region) -> int:
            regions.append(region.path)
            return self._map(region)

        self.rows = RowMap.of(table, layer, address)
        self.files = list(self._by_path.values())
        sizes = np.array([-(-f.num_bytes // pages.PAGE) for f in self.files], dtype=np.int64)
        first_seen = np.cumsum(sizes) - sizes
        bases = np.array([f.address for f in self.files]) // pages.PAGE - first_seen
        self._bases = bases[[list(self._by_path).index(path) for path in regions]]
        self.seen = np.zeros(int(sizes.sum()), np.uint8)

    def _map(self, region: Region) -> int:
        file = self._by_path.get(region.path) or MappedFile(region.path)
        self._by_path[region.path] = file
        if file.num_bytes < region.offset + region.num_bytes:
            raise StorageError(f"{region.path} was cut short while it was opened")
        return file.address + region.offset

    def unseen(self, row_ids: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the pages of these rows not touched before, now marked, in units of pages."""
        return self._collect(row_ids, self.seen)

    def _collect(self, row_ids: NDArray[np.int64], seen: NDArray[np.uint8]) -> NDArray[np.int64]:
        found: NDArray[np.int64] = pages.unseen_pages(
            row_ids, self.rows.starts_S, self.rows.weights_S, self.rows.scales_S,
            self.rows.geometry, self.record.scale_bytes, self._bases, seen,
        )  # fmt: skip
        return found

    def resident(self, row_ids: NDArray[np.int64]) -> tuple[int, int]:
        """Return (pages of these rows that are in memory, pages of these rows), by mincore."""
        resident = np.concatenate(
            [pages.resident_pages(f.address, f.num_bytes) for f in self.files]
        )
        touched = np.zeros_like(self.seen)
        self._collect(row_ids, touched)
        wanted = touched.astype(np.bool_)
        return int(resident[wanted].sum()), int(wanted.sum())

    def populate(self) -> None:
        """Read every page of the layer into memory."""
        for file in self.files:
            pages.populate(file.mapping, np.frombuffer(file.mapping, np.uint8))
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
        """Unmap all files."""
        for file in self.files:
            file.close()

    def __enter__(self) -> Self:
        """Use as a context manager."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close."""
        self.close()
