"""Parts of files read into memory of our own, at the speed of their disk.

Past the page cache where the file system lets us: a cache full of the files would leave no huge
pages for the rows, and nobody reads those bytes again. Whole pages are read to where they stay, so
what is read takes no memory beside itself.
"""

import contextlib
from collections import deque
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from engramctl.storage.memory.host_memory import HUGE_PAGE, PAGE, HostMemory, whole_pages
from engramctl.storage.readers.batch import Batch, Pending
from engramctl.storage.readers.choose import Chosen, choose
from engramctl.storage.readers.willneed_engine import drop_ranges
from engramctl.storage.reading.region import Region

_CHUNK_BYTES = 4 << 20  # of a read
_THREADS = 8  # each with a read under way: they also clear the pages that they read into
_BATCH_CHUNKS = 32  # what an interrupt waits for, twice


class LoadedRegions:
    """The bytes of regions in one piece of memory.

    Attributes:
        memory: that holds them.
    """

    def __init__(self, regions: Sequence[Region]) -> None:
        """Read them.

        Args:
            regions: of any files, at least one; a region may be there twice.

        Raises:
            FormatError: one lies in what is no regular file.
            StorageError: there is no memory, a read failed or ended early, with file and offset.
        """
        self._places: dict[Region, int] = {}
        end = 0
        for one in regions:
            if one not in self._places:
                self._places[one] = end + one.offset % PAGE
                end += whole_pages(one.offset % PAGE + one.num_bytes)
        self.memory = HostMemory(end)
        paths = tuple(dict.fromkeys(one.path for one in self._places))
        depths = {"pread": _THREADS}
        with contextlib.closing(choose(paths, "pread", direct=True, depths=depths)) as chosen:
            numbers = {path: number for number, path in enumerate(paths)}
            ranges_R5 = self._ranges(numbers)
            self._read(chosen, ranges_R5)
            self._have_huge_pages(chosen, ranges_R5)

    def view(self, region: Region) -> NDArray[np.uint8]:
        """Return a region's bytes, uint8 (num_bytes,); the memory lives as long as they."""
        at = self._places[region]
        return self.memory.array[at : at + region.num_bytes]

    def _ranges(self, numbers: Mapping[Path, int]) -> NDArray[np.int64]:
        """Return what is read, whole pages, as `Batch` has it."""
        lines = []
        for region, at in self._places.items():
            ahead = region.offset % PAGE
            pages = whole_pages(ahead + region.num_bytes)
            for done in range(0, pages, _CHUNK_BYTES):
                size = min(_CHUNK_BYTES, pages - done)
                needed = min(size, ahead + region.num_bytes - done)  # a file may end there
                offset = region.offset - ahead + done
                address = self.memory.address + at - ahead + done
                lines.append((numbers[region.path], offset, size, address, needed))
        return np.array(lines, np.int64)

    def _read(self, chosen: Chosen, ranges_R5: NDArray[np.int64]) -> None:
        """Read ranges, two batches under way."""
        under_way: deque[tuple[Batch, Pending]] = deque()
        for first in range(0, len(ranges_R5), _BATCH_CHUNKS):
            batch = Batch.of(ranges_R5[first : first + _BATCH_CHUNKS], self.memory)
            under_way.append((batch, chosen.engine.start(batch)))
            if len(under_way) > 1:
                _arrived(chosen, *under_way.popleft())
        while under_way:
            _arrived(chosen, *under_way.popleft())

    def _have_huge_pages(self, chosen: Chosen, ranges_R5: NDArray[np.int64]) -> None:
        """Try again where there were none: without the files in the page cache, there may be."""
        whole = self.memory.num_bytes // HUGE_PAGE * HUGE_PAGE
        if whole and (self.memory.huge_page_bytes() or 0) < whole:
            drop_ranges(chosen.files.descriptors, ranges_R5)
            self.memory.collapse()


def _arrived(chosen: Chosen, batch: Batch, pending: Pending) -> None:
    """Wait for a batch, and let its pages go if they came through the page cache."""
    pending.wait()
    chosen.files.check(batch)
    if not chosen.files.direct:
        drop_ranges(chosen.files.descriptors, batch.ranges_R5)
