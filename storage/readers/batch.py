"""What an engine is asked for: ranges of files and where their bytes go; and what came of it.

A batch is arrays, not objects: engines walk it without Python. Its buffers must live until it is
over, also when nobody waits for it any more: it holds their owner, and an engine holds it so long.
"""

import mmap
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from engramctl.errors import StorageError

FILE, OFFSET, LENGTH, ADDRESS, NEEDED = range(5)  # the columns of `ranges_R5`
PAGE = mmap.PAGESIZE


@dataclass(frozen=True)
class Batch:
    """Ranges to read, in the order in which they are asked for.

    Attributes:
        ranges_R5: int64 (R, 5), one line a range: number of the file, offset in it, length in
            bytes, address the bytes go to, and how many must come: fewer than the length where
            the range goes on beyond the end of the file. Where the file turns out to end earlier,
            an engine may make the length what came.
        got_R: int64 (R,): bytes that came, or minus the number of the system's error.
        owner: of the memory at the addresses, where the arrays do not lie in it themselves.
    """

    ranges_R5: NDArray[np.int64]
    got_R: NDArray[np.int64]
    owner: object = None

    @classmethod
    def of(cls, ranges_R5: NDArray[np.int64], owner: object = None) -> "Batch":
        """Return a batch of which nothing has come."""
        return cls(ranges_R5, np.zeros(len(ranges_R5), np.int64), owner)

    def part(self, start: int, stop: int) -> "Batch":
        """Return some of the ranges, by their places in this batch."""
        return Batch(self.ranges_R5[start:stop], self.got_R[start:stop], self.owner)

    @classmethod
    def of_pages(
        cls, numbers: NDArray[np.int64], pages: NDArray[np.int64], memory: NDArray[np.uint8]
    ) -> "Batch":
        """Return a batch of whole pages, each a range, that stand side by side in memory.

        Args:
            numbers: of the files, int64 (R,).
            pages: page of each file, int64 (R,); all of it must come.
            memory: where they go; the batch holds it.
        """
        sizes = np.full(len(pages), PAGE, np.int64)
        places = memory.ctypes.data + PAGE * np.arange(len(pages))
        return cls.of(np.stack([numbers, PAGE * pages, sizes, places, sizes], axis=1), memory)

    def first_bad(self) -> int:
        """Return the first range that failed or ended early, or -1."""
        short = self.got_R < self.ranges_R5[:, NEEDED]
        return int(short.argmax()) if np.count_nonzero(short) else -1


class NotBegun(StorageError):
    """A batch of which the system was asked for nothing: no byte of it will come."""


class Pending(Protocol):
    """A batch on its way."""

    def wait(self, first: int | None = None) -> None:
        """Return when every range has come or failed, or the `first` ones; see `Batch.got_R`."""

    def over(self) -> bool:
        """Tell whether nothing is read any more, without waiting."""


class ReadEngine(Protocol):
    """Reads batches. Safe from several threads; whole again in a forked child.

    Attributes:
        name: of the engine, as results have it.
        depth: most ranges that are under way at once.
    """

    name: str
    depth: int

    def start(self, batch: Batch) -> Pending:
        """Begin to read, and return before the bytes have come where the engine can.

        Short reads are read on, interrupted ones again; whatever else the system says stands in
        `got_R`. A batch that nobody waits for is over when the engine is closed, not before; it is
        held as long as anything of it may be read.

        Raises:
            NotBegun: there is nothing to read with now, as where no file can be opened any more.
            StorageError: it was begun, and more of it may come.
        """

    def memory_bytes(self, batches: int) -> int:
        """Return what it takes itself, at most, with so many batches under way; as measured."""

    def close(self) -> None:
        """Wait for what is under way, then let go of threads and rings."""
