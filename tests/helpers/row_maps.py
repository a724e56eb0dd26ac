"""Row maps of records in memory, for tests of the kernels."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from engramctl.storage.io.row_map import RowMap
from engramctl.storage.reading.region import Region
from engramctl.storage.record.record import RecordSpec


@dataclass(frozen=True)
class MadeRows:
    """A source of one layer, 1, that lies in one region."""

    record: RecordSpec
    count: int
    scale: float | None = None
    path: Path = Path("made")
    layers: tuple[int, ...] = (1,)

    def num_rows(self, layer: int) -> int:
        return self.count

    def table_scale(self, layer: int) -> float | None:
        return self.scale

    def regions(self, layer: int) -> tuple[Region, ...]:
        width = self.record.record_bytes
        return (Region(self.path, 0, width, 0, self.count, 0, 1, width),)


def map_of(record: RecordSpec, rows: NDArray[np.uint8], scale: float | None = None) -> RowMap:
    """The map of records, uint8 (n, record_bytes), contiguous; they must outlive it."""
    return RowMap.in_memory(MadeRows(record, len(rows), scale), 1, lambda _: rows.reshape(-1))
