"""The host tier: the whole table in this process's memory."""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from engramctl.memory import available_bytes
from engramctl.storage.io.gather import compile_gather
from engramctl.storage.io.gather_at_once import NO_PAGES, compile_at_once
from engramctl.storage.io.row_map import RowMap
from engramctl.storage.memory.loaded import LoadedRegions
from engramctl.storage.reading.region import pieces
from engramctl.storage.reading.source import data_bytes
from engramctl.storage.requests.ticket import Request
from engramctl.storage.tiers.by_address import gather_into, resident_of
from engramctl.storage.tiers.said_of_table import refuse_above
from engramctl.storage.tiers.store import Store


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
        regions = [
            region
            for layer in self.layers
            for piece in pieces(self.table.regions(layer))
            for region in piece
        ]
        loaded = LoadedRegions(regions)
        self._huge_page_bytes = loaded.memory.huge_page_bytes()
        self.row_maps = {
            layer: RowMap.in_memory(self.table, layer, loaded.view) for layer in self.layers
        }
        self.near = {layer: (one.packed, *NO_PAGES) for layer, one in self.row_maps.items()}
        compile_gather(self.row_maps[self.layers[0]])
        compile_at_once(self.row_maps[self.layers[0]])

    @property
    def huge_page_bytes(self) -> int | None:
        """Bytes of the table in huge pages when it was loaded; None: the kernel does not say."""
        return self._huge_page_bytes

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
        with self.usage.call():
            return resident_of(self.row_maps[layer].views)

    def release(self) -> None:
        """Unmap the table, unless a call that was interrupted still reads it: then at its end."""
        self.near.clear()
        self.row_maps.clear()
