"""The host tier: the whole table in this process's memory."""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from engramctl.errors import StorageError
from engramctl.memory import available_bytes
from engramctl.storage.files.atomic import os_errors
from engramctl.storage.io.gather import compile_gather
from engramctl.storage.io.gather_at_once import NO_PAGES, compile_at_once
from engramctl.storage.io.pages import PAGE, resident_pages
from engramctl.storage.io.row_map import RowMap
from engramctl.storage.reading.region import Region
from engramctl.storage.reading.source import data_bytes
from engramctl.storage.requests.ticket import Request
from engramctl.storage.tiers.by_address import gather_into
from engramctl.storage.tiers.said_of_table import refuse_above
from engramctl.storage.tiers.store import Store

_CHUNK_BYTES = 64 << 20


class HostStore(Store):
    """Rows in anonymous memory: nothing to page in, and no file that could change under us."""

    whole = "host"

    def load(self, budget_bytes: int | None) -> None:
        """Read every row file into memory."""
        free = available_bytes()
        limit = free if budget_bytes is None else min(free, budget_bytes)
        refuse_above(
            self.tier, limit, data_bytes(self.table), "use --tier ssd, or a table with fewer slots"
        )
        self.row_maps = {
            layer: RowMap.in_memory(self.table, layer, self._read) for layer in self.layers
        }
        if self.device.type == "cpu":
            self.near = {layer: (one.packed, *NO_PAGES) for layer, one in self.row_maps.items()}
        compile_gather(self.row_maps[self.layers[0]])
        compile_at_once(self.row_maps[self.layers[0]])

    def _read(self, region: Region) -> NDArray[np.uint8]:
        """Copy one region's bytes to memory."""
        buffer = np.empty(region.num_bytes, np.uint8)
        with os_errors("read", region.path), region.path.open("rb", buffering=0) as file:
            file.seek(region.offset)
            view, done = buffer.data, 0
            while done < len(buffer):
                got = file.readinto(view[done : done + _CHUNK_BYTES])
                if not got:
                    raise StorageError(
                        f"{region.path} ended early",
                        facts={"offset": f"{region.offset + done:,}"},
                    )
                done += got
        return buffer

    def start(
        self,
        requests: dict[int, Request],
        keys: NDArray[np.uint64] | None = None,
        *,
        ahead: bool = True,
    ) -> None:
        """Nothing to begin: every row is in memory."""

    def finish(self, layer: int, request: Request, handle: Any, out: torch.Tensor) -> torch.Tensor:
        """Gather from memory."""
        return gather_into(request, self.row_maps[layer], out)

    def resident(self, layer: int, row_ids: NDArray[np.int64]) -> tuple[int, int]:
        """Ask the kernel how much of the layer is in memory: swap could have taken some."""
        pages = 0
        resident = 0
        with self.usage.call():
            for buffer in self.row_maps[layer].views:
                start = buffer.ctypes.data // PAGE * PAGE
                flags = resident_pages(start, buffer.ctypes.data + len(buffer) - start)
                pages += len(flags)
                resident += int(flags.sum())
        return resident, pages

    def release(self) -> None:
        """Free the table."""
        self.near.clear()
        self.row_maps.clear()
