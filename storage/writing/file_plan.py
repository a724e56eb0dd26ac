"""One row file before it is written: which rows, how many bytes, and how the work is cut."""

from collections.abc import Iterator
from dataclasses import dataclass, field

from engramctl.storage.format.geometry import Unit
from engramctl.storage.format.row_file import num_extents

Segments = tuple[tuple[int, int], ...]


@dataclass(frozen=True)
class Chunk:
    """Consecutive rows of a file and where their bytes go.

    Attributes:
        row_start: the first row, as the layer counts.
        num_rows: how many.
        offset: where they begin in the file's data.
        num_bytes: of their units.
    """

    row_start: int
    num_rows: int
    offset: int
    num_bytes: int


@dataclass(frozen=True)
class FilePlan:
    """One row file to be written.

    Attributes:
        name: file name.
        layer: its layer.
        part: `weight`, `scale` or `records`.
        segments: ranges of the layer's rows, in the order of the file; each begins with a unit.
        heads: the head of each segment, or None when all heads are there.
        header: everything before the data.
        data_bytes: length of the data.
        extent_bytes: data bytes under one checksum: whole units.
        unit: what the data repeats.
    """

    name: str
    layer: int
    part: str
    segments: Segments
    heads: tuple[int, ...] | None
    header: bytes = field(repr=False)
    data_bytes: int
    extent_bytes: int
    unit: Unit

    @property
    def row_start(self) -> int:
        """The first row of the first segment."""
        return self.segments[0][0]

    @property
    def row_stop(self) -> int:
        """The row after the last segment's last."""
        return self.segments[-1][1]

    @property
    def data_offset(self) -> int:
        """Where the data begins."""
        return len(self.header)

    @property
    def file_bytes(self) -> int:
        """The whole file's length."""
        return self.data_offset + self.data_bytes

    @property
    def num_extents(self) -> int:
        """How many extents, and so checksums, there are."""
        return num_extents(self.data_bytes, self.extent_bytes)

    def extent_size(self, index: int) -> int:
        """Return the bytes of one extent; the last may be shorter."""
        return min(self.extent_bytes, self.data_bytes - index * self.extent_bytes)

    def chunks(self, index: int, chunk_bytes: int) -> Iterator[Chunk]:
        """Cut an extent into chunks of whole units, none of more bytes than asked, if it can be."""
        unit = self.unit
        step = max(1, chunk_bytes // unit.num_bytes)
        first = index * self.extent_bytes // unit.num_bytes
        last = first + self.extent_size(index) // unit.num_bytes
        begin = 0  # of the segment, in units of the file
        for row_start, row_stop in self.segments:
            units = -(-(row_stop - row_start) // unit.num_rows)
            end = min(last, begin + units)
            for start in range(max(first, begin), end, step):
                stop = min(start + step, end)
                row = row_start + (start - begin) * unit.num_rows
                rows = min((stop - start) * unit.num_rows, row_stop - row)
                size = (stop - start) * unit.num_bytes
                yield Chunk(row, rows, start * unit.num_bytes, size)
            begin += units
