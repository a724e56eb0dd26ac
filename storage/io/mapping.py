"""One layer's row files, mapped into this process."""

import mmap
import os
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from engramctl.errors import StorageError
from engramctl.storage.files.atomic import os_errors
from engramctl.storage.io import pages
from engramctl.storage.io.row_map import RowMap
from engramctl.storage.io.watched_maps import fault_offset, watch
from engramctl.storage.readers.open_files import OPEN_AGAIN
from engramctl.storage.reading.region import Region, pieces
from engramctl.storage.reading.source import Source


class MappedFile:
    """A row file as a read-only mapping.

    Its bytes stay mapped as long as someone holds a view of them.
    """

    def __init__(self, path: Path, descriptor: int, num_bytes: int) -> None:
        """Map the whole file; random access, so that a fault reads one page and no more.

        Args:
            path: of the file, for messages.
            descriptor: the file, opened; not closed here.
            num_bytes: its size when it was opened.
        """
        if not num_bytes:
            raise StorageError(f"{path} was cut short while it was opened")
        self.path = path
        self.descriptor = descriptor
        with os_errors("map", path):
            self.mapping = mmap.mmap(descriptor, num_bytes, mmap.MAP_SHARED, mmap.PROT_READ)
            self.mapping.madvise(mmap.MADV_RANDOM)
        self.data = np.frombuffer(self.mapping, np.uint8)
        self.address: int = self.data.ctypes.data
        self._slot = watch(self.data)

    @property
    def num_pages(self) -> int:
        """Pages of the mapping."""
        return -(-len(self.data) // pages.PAGE)

    def refuse_broken(self) -> None:
        """Raise once SIGBUS came from this mapping, for good: its bytes are zeros.

        Raises:
            StorageError: it did, at the offset named.
        """
        at = fault_offset(self._slot)
        if at is None:
            return
        raise StorageError(
            f"{self.path} was cut while it was open, or its disk failed",
            facts={
                "offset": f"{at:,}",
                "size then": f"{len(self.data):,}",
                "size now": f"{os.fstat(self.descriptor).st_size:,}",
            },
            hint=OPEN_AGAIN,
        )


class MappedLayer:
    """All row files of one layer, and where their rows lie."""

    def __init__(self, source: Source, layer: int, files: Mapping[Path, tuple[int, MappedFile]]):
        """Lay the layer out.

        Args:
            source: whose rows.
            layer: which of its layers.
            files: path -> number of the file, and its mapping.
        """

        def view(region: Region) -> NDArray[np.uint8]:
            data = files[region.path][1].data
            return data[region.offset : region.offset + region.num_bytes]

        self.rows = RowMap.in_memory(source, layer, view)
        parts = list(pieces(source.regions(layer)))
        paths = dict.fromkeys(region.path for piece in parts for region in piece)
        self.files = [files[path][1] for path in paths]
        sizes = np.array([file.num_pages for file in self.files], np.int64)
        first_seen = dict(zip(paths, (np.cumsum(sizes) - sizes).tolist(), strict=True))
        self._bases_SC2 = np.array(
            [[self._bases(files[one.path], first_seen[one.path]) for one in p] for p in parts],
            np.int64,
        )
        self.seen = np.zeros(int(sizes.sum()), np.uint8)
        self._spans = [
            (files[one.path][1], one.offset, one.offset + one.num_bytes)
            for one in source.regions(layer)
        ]

    @property
    def near(self) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.uint8]]:
        """What `gather_at_once` needs of the layer."""
        return self.rows.packed, self._bases_SC2, self.seen

    def _bases(self, file: tuple[int, MappedFile], first_seen: int) -> tuple[int, int]:
        """Return what is to be taken from a page of addresses, for `seen`, and for its key."""
        number, mapped = file
        first = mapped.address // pages.PAGE
        return first - first_seen, first - pages.page_key(number, 0)

    def unseen(self, row_ids: NDArray[np.int64]) -> NDArray[np.int64] | None:
        """Return the pages of these rows not touched before, now marked, as keys; None: no page."""
        if not pages.any_unseen(row_ids, self.rows.packed, self._bases_SC2, self.seen):
            return None
        return self._collect(row_ids, self.seen)

    def _collect(self, row_ids: NDArray[np.int64], seen: NDArray[np.uint8]) -> NDArray[np.int64]:
        found: NDArray[np.int64] = pages.unseen_pages(
            row_ids, self.rows.packed, self._bases_SC2, seen
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

    def forget(self, row_ids: NDArray[np.int64]) -> NDArray[np.int64]:
        """Unmap the layer's pages, and return the keys of these rows' pages, untouched from now."""
        for file in self.files:
            file.mapping.madvise(mmap.MADV_DONTNEED)
        return self.unmark(row_ids)

    def unmark(self, row_ids: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the keys of these rows' pages, which count as untouched from now on."""
        touched = np.zeros_like(self.seen)
        keys = self._collect(row_ids, touched)
        self.seen[touched != 0] = 0
        return keys

    def populate(self) -> None:
        """Read every page of the layer's rows into memory, and no other page of their files.

        Raises:
            StorageError: a page cannot be read.
        """
        for file, start, stop in self._spans:
            pages.populate(file.mapping, file.descriptor, file.path, start, stop)
        self.seen[:] = 1

    def drop(self) -> None:
        """Make every page of the layer cold and forget that they were touched."""
        for file in self.files:
            pages.drop_pages(file.mapping, file.descriptor)
        self.seen[:] = 0
