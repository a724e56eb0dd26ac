"""Files of random bytes, batches of their ranges, and what must have come."""

import mmap
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from engramctl.storage.readers.batch import Batch

PAGE = mmap.PAGESIZE
POISON = 0xA5


def random_file(path: Path, num_bytes: int, seed: int = 0) -> Path:
    """Write a file of random bytes."""
    path.write_bytes(np.random.default_rng(seed).bytes(num_bytes))
    return path


class Target:
    """Memory of whole pages, poisoned, for the ranges of one batch, in their order."""

    def __init__(self, paths: list[Path], ranges: list[tuple[int, int, int]]) -> None:
        """`ranges` are (number of the file, offset, length); lengths beyond the end are cut."""
        self.ranges = ranges
        self.paths = paths
        rooms = [-(-length // PAGE) * PAGE for _, _, length in ranges]
        self._buffer = mmap.mmap(-1, sum(rooms) or PAGE)
        self.memory: NDArray[np.uint8] = np.frombuffer(self._buffer, np.uint8)
        self.memory[:] = POISON
        self.starts = np.cumsum([0, *rooms])[:-1]
        lines = [
            (
                number,
                offset,
                length,
                self.memory.ctypes.data + int(start),
                max(0, min(length, paths[number].stat().st_size - offset)),
            )
            for (number, offset, length), start in zip(ranges, self.starts, strict=True)
        ]
        self.batch = Batch.of(np.array(lines, np.int64).reshape(-1, 5))

    def check(self) -> None:
        """Compare every range with the file, read the plain way, and the rest with the poison."""
        untouched = np.ones(len(self.memory), np.bool_)
        for (number, offset, length), start in zip(self.ranges, self.starts, strict=True):
            with self.paths[number].open("rb") as file:
                file.seek(offset)
                want = np.frombuffer(file.read(length), np.uint8)
            part = slice(int(start), int(start) + len(want))
            assert np.array_equal(self.memory[part], want), (number, offset, length)
            untouched[int(start) : int(start) + length] = False  # a last block comes whole
        assert (self.memory[untouched] == POISON).all()


def random_ranges(
    paths: list[Path], count: int, seed: int, *, aligned: bool
) -> list[tuple[int, int, int]]:
    """Return ranges anywhere in the files, whole pages or of any length, also over the end."""
    rng = np.random.default_rng(seed)
    found = []
    for _ in range(count):
        number = int(rng.integers(len(paths)))
        size = paths[number].stat().st_size
        if aligned:
            pages = -(-size // PAGE)
            first = int(rng.integers(pages))
            length = PAGE * int(rng.integers(1, min(4, pages - first) + 1))
            found.append((number, first * PAGE, length))
        else:
            first = int(rng.integers(size))
            found.append((number, first, int(rng.integers(1, min(9000, size - first) + 1))))
    return found
