"""A few rows of a store that are all in memory: one call of a kernel, before any other way."""

import threading
import time
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from engramctl.storage.io.gather_at_once import MOST_ROWS, gather_at_once
from engramctl.storage.requests.stats import StoreStats

SLOW_NS = 500_000  # rows in memory that take longer are told to their tier
Near = tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.uint8]]


class NearRows:
    """The part of a store that gathers so.

    Attributes:
        near: layers whose rows may all be in this process's memory, as `gather_at_once` takes them.
    """

    near: dict[int, Near]
    lock: threading.Lock
    _stats: StoreStats

    def gathered(self, layer: int, row_ids: NDArray[Any], out: torch.Tensor) -> bool:
        """Gather a few rows of a layer of `near` by one call, and count them.

        Args:
            layer: one of `near`.
            row_ids: int32 or int64 (n,), at most MOST_ROWS.
            out: on the CPU, as `Store.target` gives it.

        Returns:
            False: they need a longer way; nothing is counted.
        """
        started = time.perf_counter_ns()
        distinct = self.at_once(layer, row_ids, out)
        if distinct < 0:
            return False
        stall_ns = time.perf_counter_ns() - started
        if stall_ns > SLOW_NS:
            self.was_slow(layer, len(row_ids), stall_ns)
        with self.lock:
            self._stats.stall_ns += stall_ns
            self._stats.count(len(row_ids), distinct)
        return True

    def few_gathered(self, layer: int, row_ids: NDArray[Any], out: torch.Tensor) -> bool:
        """Do as `gathered`, of any layer and any number of rows; False: they need a longer way."""
        few = layer in self.near and len(row_ids) <= MOST_ROWS
        return few and self.gathered(layer, row_ids, out)

    def was_slow(self, layer: int, num_rows: int, took_ns: int) -> None:
        """Learn that rows of `near` took long."""

    def at_once(self, layer: int, row_ids: NDArray[Any], out: torch.Tensor) -> int:
        """Gather rows of a layer of `near`; return how many are distinct, -1: not possible."""
        words = out.element_size(), out.data_ptr(), out.nbytes
        return int(gather_at_once(row_ids, *self.near[layer], *words))
