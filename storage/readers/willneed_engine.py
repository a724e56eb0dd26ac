"""Reads that ask the page cache for all ranges first: many reads under way, without threads.

It works on every file system with a page cache, and asks of the disk what is not cached alone. What
it cannot do is to read past the page cache.
"""

import os
from dataclasses import dataclass
from typing import Any

from engramctl.runtime.kernel_cache import njit
from engramctl.storage.readers.batch import ADDRESS, FILE, LENGTH, NEEDED, OFFSET, Batch
from engramctl.storage.readers.open_files import OpenFiles
from engramctl.storage.readers.pread_engine import pread_ranges
from engramctl.storage.readers.system_calls import posix_fadvise

_WILLNEED, _DONTNEED = os.POSIX_FADV_WILLNEED, os.POSIX_FADV_DONTNEED


@njit(nogil=True, cache=True)
def ask_for_ranges(descriptors: Any, ranges_R5: Any, got_R: Any) -> None:
    """Ask for every range; those without an address are done with that, or have failed."""
    for i in range(ranges_R5.shape[0]):
        error = posix_fadvise(
            descriptors[ranges_R5[i, FILE]], ranges_R5[i, OFFSET], ranges_R5[i, LENGTH], _WILLNEED
        )
        if ranges_R5[i, ADDRESS] == 0:
            got_R[i] = ranges_R5[i, NEEDED] if error == 0 else -error


@njit(nogil=True, cache=True)
def drop_ranges(descriptors: Any, ranges_R5: Any) -> None:
    """Ask the page cache to let go of ranges; pages that are mapped or dirty stay."""
    for i in range(ranges_R5.shape[0]):
        posix_fadvise(
            descriptors[ranges_R5[i, FILE]], ranges_R5[i, OFFSET], ranges_R5[i, LENGTH], _DONTNEED
        )


@dataclass(frozen=True)
class Asked:
    """A batch that the page cache was asked for."""

    files: OpenFiles
    batch: Batch

    def wait(self, _: int | None = None) -> None:
        """Copy the bytes out of the page cache, waiting for each."""
        batch = self.batch
        pread_ranges(self.files.descriptors, batch.ranges_R5, batch.got_R, 0, 1)

    def over(self) -> bool:
        """Nothing is read but by `wait`."""
        return True


class WillneedEngine:
    """`posix_fadvise(WILLNEED)` for all, then `pread` one after the other.

    A range whose address is 0 is only brought to the page cache.
    """

    name = "willneed"

    def __init__(self, files: OpenFiles, depth: int = 1024) -> None:
        """Keep the files.

        Args:
            files: what batches read, not opened as direct.
            depth: how many ranges are asked for before the first is read, for the record.
        """
        self._files = files
        self.depth = depth

    def start(self, batch: Batch) -> Asked:
        """Ask for every range."""
        ask_for_ranges(self._files.descriptors, batch.ranges_R5, batch.got_R)
        return Asked(self._files, batch)

    def memory_bytes(self, batches: int) -> int:
        """Return nothing: it reads in the caller's thread."""
        return 0

    def close(self) -> None:
        """Nothing is held."""
