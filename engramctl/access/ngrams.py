"""N-grams with their counts in a raw file, to be read again and again.

It is temporary and ours alone: `order` ids and the count of one n-gram, then the next, all uint32,
the count's low word first. Reading one back costs a fifth of reading Parquet.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import xxhash
from numpy.typing import NDArray

from engramctl.storage.files.atomic import sync
from engramctl.storage.writing.interrupted import damaged

BATCH_ROWS = 1 << 17
_CHECK_BYTES = 1 << 22

Ngrams = tuple[NDArray[np.uint32], NDArray[np.uint64]]


class RawNgrams:
    """A raw file of n-grams, appended to in large pieces and read; `size` is its bytes."""

    def __init__(self, path: Path, order: int, state: dict[str, Any] | None = None) -> None:
        """Begin an empty file, or go on behind what `checkpoint` told of.

        Raises:
            StorageError: its bytes are not those of the checkpoint.
        """
        self.path = path
        self.order = order
        self._digest = xxhash.xxh3_128()
        self.size = 0
        if state is None:
            path.write_bytes(b"")
            return
        self._compare(state)
        with path.open("r+b") as file:
            file.truncate(self.size)

    def checkpoint(self) -> dict[str, Any]:
        """Put what was appended on the disk for good; returns what is needed to go on behind it."""
        sync(self.path)
        return {"bytes": self.size, "xxh3_128": self._digest.hexdigest()}

    def _compare(self, state: dict[str, Any]) -> None:
        with self.path.open("rb") as file:
            while piece := file.read(min(_CHECK_BYTES, state["bytes"] - self.size)):
                self._digest.update(piece)
                self.size += len(piece)
        if (self.size, self._digest.hexdigest()) != (state["bytes"], state["xxh3_128"]):
            raise damaged(self.path, "its bytes have changed, or it is shorter")

    def append(self, ids_MN: NDArray[np.uint32], counts_M: NDArray[np.uint64]) -> None:
        """Add n-grams."""
        records = np.empty((len(ids_MN), self.order + 2), np.uint32)
        records[:, :-2] = ids_MN
        records[:, -2:] = counts_M.astype("<u8", copy=False).view("<u4").reshape(-1, 2)
        with self.path.open("ab") as file:
            file.write(records.data)
        self._digest.update(records.data)
        self.size += records.nbytes

    def __iter__(self) -> Iterator[Ngrams]:
        """Give what was appended, in its order."""
        width = self.order + 2
        with self.path.open("rb") as file:
            while len(flat := np.fromfile(file, np.uint32, BATCH_ROWS * width)):
                records = flat.reshape(-1, width)
                counts = np.ascontiguousarray(records[:, -2:]).view("<u8").reshape(-1)
                yield np.ascontiguousarray(records[:, :-2]), counts

    def remove(self) -> None:
        """Delete the file."""
        self.path.unlink(missing_ok=True)


def merged(ids_MN: NDArray[np.uint32], counts_M: NDArray[np.uint64]) -> Ngrams:
    """Add up the counts of equal n-grams; what comes back ascends.

    Example:
        >>> ids = np.array([[5, 1], [2, 9], [5, 1]], np.uint32)
        >>> [part.tolist() for part in merged(ids, np.array([1, 2, 3], np.uint64))]
        [[[2, 9], [5, 1]], [2, 4]]
    """
    if not len(ids_MN):
        return ids_MN, counts_M
    turn = np.lexsort(ids_MN.T[::-1])
    ids = ids_MN[turn]
    new = np.ones(len(ids), bool)
    new[1:] = (ids[1:] != ids[:-1]).any(axis=1)
    begins = np.flatnonzero(new)
    return ids[begins], np.add.reduceat(counts_M[turn], begins)
