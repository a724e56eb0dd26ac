"""Slots of rows that all are where the device reads them: a step's row ids at a fixed place."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from engramctl.errors import ConfigError
from engramctl.storage.device.side_stream import capturing
from engramctl.storage.requests.checked_ids import RowIds
from engramctl.storage.requests.slot import Closed, Shapes, Slot

if TYPE_CHECKING:
    from engramctl.storage.tiers.gpu import GpuStore


class IdSlot(Slot):
    """Row ids and outputs at fixed addresses; a graph gathers by whatever ids are there.

    Attributes:
        row_ids: layer -> int64 of the slot's shape, on the device: `prefetch` writes it, or a
            captured graph itself, from the token ids (`scheme.row_ids(.., check="later", out=)`).
            What is no row in it is told of as of any ids on the device.
    """

    def __init__(self, store: "GpuStore", shapes: Shapes, closed: Closed) -> None:
        """As `Slot`."""
        super().__init__(store, shapes, closed)
        self._store = store
        self.row_ids = {
            layer: torch.zeros(shape, dtype=torch.int64, device=store.device)
            for layer, shape in self.shapes.items()
        }
        for layer in self.shapes:  # compiles what a capture may not
            self.fill(layer)

    def ask(self, requests: Mapping[int, RowIds], keys: Any) -> None:
        """Write the row ids of a step."""
        store = self._store
        if capturing(store.device):
            raise ConfigError(
                "which rows a step reads is said before its graph is replayed, not captured",
                hint="write to slot.row_ids in the graph, or call slot.prefetch() before a replay",
            )
        checked = {layer: store.checked(layer, ids, ahead=False) for layer, ids in requests.items()}
        for layer, request in checked.items():
            ids = request.row_ids
            given = torch.from_numpy(ids) if isinstance(ids, np.ndarray) else ids
            self.row_ids[layer].view(-1).copy_(given, non_blocking=True)
        store.count(checked.values())

    def fill(self, layer: int) -> None:
        """Queue the gather."""
        self._store.queue(layer, self.row_ids[layer].view(-1), self.out[layer])

    def let_go(self) -> None:
        """Wait for what is queued."""
        if self._store.device.type == "cuda" and not self._store.usage.generation:
            torch.cuda.synchronize(self._store.device)
        self.row_ids.clear()
