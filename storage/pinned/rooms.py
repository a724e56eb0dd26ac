"""Pinned memory for rows on their way to a device: bounded, free again when the device is done."""

from collections import deque
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from engramctl.storage.memory.host_memory import PAGE
from engramctl.storage.memory.slab import Runs
from engramctl.storage.pinned.pinned import PinnedMemory

STAGED_BYTES = 64 << 20  # two layers of 49,152 records of 264 bytes, and twice that


class Room:
    """Memory for some records; it is free again when nobody holds this object.

    Attributes:
        records: uint8 (n, record_bytes).
        read: an event behind which the device has read them; None: it does not read them.
    """

    def __init__(self, records: torch.Tensor, pool: "Rooms | None", run: tuple[int, int]) -> None:
        """Made by `Rooms.take`."""
        self.records, self._pool, self._run = records, pool, run
        self.read: Any = None

    @property
    def is_pinned(self) -> bool:
        """Whether the device may read it later than it is asked to; else it is copied at once."""
        return self._pool is not None

    def __del__(self) -> None:
        """Give the memory back."""
        if self._pool is not None:
            self._pool.back(self._run, self.read)


class Rooms:
    """Pinned memory of one store. Safe from several threads.

    Attributes:
        memory: all of it.
        runs: which pages of it are free.
    """

    def __init__(self, record_bytes: int, device: torch.device) -> None:
        """Pin it.

        Args:
            record_bytes: of a record.
            device: that reads it; a CPU's stand-in is not pinned.

        Raises:
            StorageError: see `PinnedMemory`.
        """
        self._record_bytes = record_bytes
        pinned = device if device.type == "cuda" else None
        self.memory = PinnedMemory(STAGED_BYTES, device=pinned)
        self._array: NDArray[np.uint8] = self.memory.array
        self.runs = Runs(STAGED_BYTES // PAGE)
        self._leaving: deque[tuple[tuple[int, int], Any]] = deque()

    @property
    def free_bytes(self) -> int:
        """Bytes nobody has."""
        self._sweep()
        return self.runs.free_pages * PAGE

    def take(self, num_rows: int) -> Room:
        """Return memory for records: pinned, or where that is all taken, any.

        Args:
            num_rows: n.
        """
        self._sweep()
        size = num_rows * self._record_bytes
        pages = -(-size // PAGE)
        first = self.runs.take(pages) if pages else None
        if first is None:
            records = np.empty((num_rows, self._record_bytes), np.uint8)
            return Room(torch.from_numpy(records), None, (0, 0))
        part = self._array[first * PAGE : first * PAGE + size].reshape(num_rows, -1)
        return Room(torch.from_numpy(part), self, (first, pages))

    def back(self, run: tuple[int, int], read: Any) -> None:
        """Take memory back, in the middle of anything: so without a lock. `take` frees it."""
        self._leaving.append((run, read))

    def _sweep(self) -> None:
        """Free what nobody holds and the device has read."""
        for _ in range(len(self._leaving)):
            try:
                run, read = self._leaving.popleft()
            except IndexError:  # another thread sweeps too
                return
            is_read = read is not None
            try:
                is_read = is_read and not read.query()
            finally:  # neither an interrupt nor an error of the device must lose it
                if is_read:
                    self._leaving.append((run, read))
            if not is_read:
                self.runs.give(*run)

    def release(self) -> None:
        """Unpin the memory; no device may read it any more."""
        self._leaving.clear()
        self._array = np.empty(0, np.uint8)
        self.memory.close()
