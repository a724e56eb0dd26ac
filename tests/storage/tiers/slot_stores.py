"""Stores that give slots, with the CPU as their device."""

from typing import Any

import numpy as np
import torch

from engramctl.storage import Store, open_store
from engramctl.storage.reading.table import TableFiles
from engramctl.storage.tiers.gpu import GpuStore
from engramctl.storage.tiers.staged import StagedStore
from engramctl.storage.tiers.tier_list import read_tiers

ROWS = {1: 3000, 4: 900}
DIM = 64
SHAPE = (2, 24)
CPU = torch.device("cpu")
STAGED = ("gpu:10KiB,host:20KiB,ssd", "gpu:10KiB,host", "host:20KiB,ssd", "ssd", "host")


def staged(table: TableFiles, name: str) -> Store:
    """A mixture, with the CPU as its device."""
    tiers = read_tiers(name)
    host = tiers.cache_bytes("host")
    budget = host + (1 << 20) if tiers.whole == "ssd" else None
    store = StagedStore(table, torch.float32, CPU, budget, "auto", None, host, None, tiers)
    store.capture_slots = 2
    return store


def opened(table: TableFiles, name: str) -> Store:
    if name == "on the CPU":
        return open_store(table, "host", dtype=torch.float32, capture_slots=2)
    if name == "gpu":
        store = GpuStore(table, torch.float32, CPU)
        store.capture_slots = 2
        return store
    return staged(table, name)


def values(table: TableFiles, layer: int, ids: Any) -> torch.Tensor:
    found = torch.from_numpy(table.read_values(layer, np.asarray(ids).ravel()))
    return found.view(*np.shape(ids), DIM)
