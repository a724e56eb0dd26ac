"""Records of any bytes in memory and their row maps, for tests of the kernels."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from engramctl.storage.io.row_map import RowMap
from engramctl.storage.reading.region import Region
from engramctl.storage.record.dtypes import BY_NAME
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


def random_records(dtype: str, blocks: int, count: int, seed: int) -> tuple[RecordSpec, Any]:
    """Records of any bytes at all: every scale, NaN and subnormal number is among them."""
    facts = BY_NAME[dtype]
    record = RecordSpec(dtype, blocks * facts.block_values)
    shape = (count, record.record_bytes)
    return record, np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def same(found: torch.Tensor, values: np.ndarray) -> bool:
    """Equal bit for bit, but that any NaN equals any other."""
    wanted = torch.from_numpy(values).to(found.dtype)
    word = torch.int16 if found.dtype is torch.bfloat16 else torch.int32
    kept = ~wanted.isnan()
    return torch.equal(found.isnan(), ~kept) and torch.equal(
        found.view(word)[kept], wanted.view(word)[kept]
    )
