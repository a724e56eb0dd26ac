"""Where rows lie in files: ranges of rows, each a run of bytes with a fixed step.

A table of ours and a model's checkpoint are both this: for some columns of the record, some rows,
some file. Readers, tiers and layouts ask for regions and need not know which it was.
"""

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from engramctl.errors import StorageError
from engramctl.storage.files.atomic import os_errors
from engramctl.storage.record.copy_rows import copy_rows


@dataclass(frozen=True)
class Region:
    """Bytes [column, column + width) of the records of rows [row_start, row_stop), in one file.

    Row r begins at `offset + (r - row_start) // unit_rows * unit_bytes
    + (r - row_start) % unit_rows * width`: units are pages, or single rows.

    Attributes:
        path: the file.
        column: first byte of the record that is here.
        width: bytes of each row that are here.
        row_start: first row.
        row_stop: the row after the last.
        offset: where the first row begins in the file.
        unit_rows: rows of a unit.
        unit_bytes: bytes from one unit to the next.
    """

    path: Path
    column: int
    width: int
    row_start: int
    row_stop: int
    offset: int
    unit_rows: int
    unit_bytes: int

    @property
    def num_bytes(self) -> int:
        """Bytes from the first row to the end of the last unit."""
        return -(-(self.row_stop - self.row_start) // self.unit_rows) * self.unit_bytes

    def position(self, row: int) -> int:
        """Return where a row begins in the file; `row` counts as `row_start` does."""
        unit, within = divmod(row - self.row_start, self.unit_rows)
        return self.offset + unit * self.unit_bytes + within * self.width

    def between(self, row_start: int, row_stop: int) -> "Region":
        """Return the part that holds rows [row_start, row_stop), which begins with a unit."""
        return replace(
            self, row_start=row_start, row_stop=row_stop, offset=self.position(row_start)
        )


def pieces(regions: Sequence[Region]) -> Iterator[tuple[Region, ...]]:
    """Cut the regions of a layer at each other's rows.

    Values and scales may lie in files that end at different rows.

    Args:
        regions: of one layer: every byte of every record once; by column, then row.

    Yields:
        one region a column, all of the same rows, which ascend.
    """
    columns = [list(group) for _, group in groupby(regions, key=lambda one: one.column)]
    here = [0] * len(columns)
    while here[0] < len(columns[0]):
        current = [column[at] for column, at in zip(columns, here, strict=True)]
        start = max(region.row_start for region in current)
        stop = min(region.row_stop for region in current)
        yield tuple(region.between(start, stop) for region in current)
        here = [at + (one.row_stop == stop) for at, one in zip(here, current, strict=True)]


class RegionFiles:
    """The open files of regions, read with `pread`: a file that shrinks is an error, no signal.

    Safe from several threads. A context manager.
    """

    def __init__(self) -> None:
        """Files are opened when they are first read."""
        self._files: dict[Path, int] = {}

    def close(self) -> None:
        """Close the files."""
        files, self._files = self._files, {}
        for descriptor in files.values():
            os.close(descriptor)

    def __enter__(self) -> "RegionFiles":
        """Return itself; leaving closes the files."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the files."""
        self.close()

    def read(self, region: Region, row_start: int, out: NDArray[np.uint8]) -> None:
        """Read consecutive rows.

        Args:
            region: holds all of them.
            row_start: the first.
            out: uint8 (rows, width), any step from row to row.

        Raises:
            StorageError: a read failed or ended early, with file and offset.
        """
        if region.unit_bytes == region.width and out.flags.c_contiguous:
            self.pread(region.path, region.position(row_start), out.reshape(-1))
            return
        first = (row_start - region.row_start) // region.unit_rows
        last = -(-(row_start - region.row_start + len(out)) // region.unit_rows)
        units = np.empty((last - first, region.unit_bytes), np.uint8)
        self.pread(region.path, region.offset + first * region.unit_bytes, units.reshape(-1))
        used = units[:, : region.unit_rows * region.width]
        skip = row_start - region.row_start - first * region.unit_rows
        if region.unit_rows == 1:
            copy_rows(used, out)
        else:
            copy_rows(used.reshape(-1, region.width)[skip : skip + len(out)], out)

    def pread(self, path: Path, position: int, out: NDArray[np.uint8]) -> None:
        """Fill `out`, uint8 (n,) contiguous, from one place of a file."""
        view = out.data
        with os_errors("read", path):
            descriptor = self._descriptor(path)
            while view:
                count = os.preadv(descriptor, [view], position)
                if count == 0:
                    raise cut_short(path, position, len(view), 0)
                view = view[count:]
                position += count

    def _descriptor(self, path: Path) -> int:
        found = self._files.get(path)
        if found is None:
            opened = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
            found = self._files.setdefault(path, opened)
            if found != opened:  # another thread was faster
                os.close(opened)
        return found


def cut_short(path: Path, offset: int, expected: int, found: int) -> StorageError:
    """Return the error for a file that ended before what should be read."""
    return StorageError(
        f"{path.name} ended while it was read",
        facts={
            "file": path,
            "offset": f"{offset:,}",
            "expected": f"{expected:,} bytes",
            "found": f"{found:,} bytes",
        },
        hint=f"the file changed while it was open; run: engramctl verify {path.parent}",
    )
