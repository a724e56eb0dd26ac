"""A few pinned buffers between the CPU and a device: filled, copied, and filled again."""

import threading
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from engramctl.runtime.threads import renew_in_children
from engramctl.storage.memory.host_memory import PAGE
from engramctl.storage.pinned.pinned import PinnedMemory

BUFFER_BYTES = 8 << 20  # enough that a gather's threads are worth starting
BUFFERS = 3  # one filled, one copied, one that the device is done with


class Staging:
    """Records on their way to a device. Safe from several threads: one request after the other.

    Attributes:
        rows: records of a buffer.
        memory: that holds the buffers.
        read: of each, the event behind its last copy, or None.
    """

    def __init__(
        self, record_bytes: int, device: torch.device, numa_node: int | None = None
    ) -> None:
        """Pin the buffers.

        Args:
            record_bytes: of a record.
            device: where records go; a CPU's stand-in is not pinned.
            numa_node: of the pinned memory.

        Raises:
            StorageError: see `PinnedMemory`.
        """
        self.device = device
        self.rows = max(1, BUFFER_BYTES // record_bytes)
        step = -(-self.rows * record_bytes // PAGE) * PAGE
        pinned = device if device.type == "cuda" else None
        self.memory = PinnedMemory(BUFFERS * step, device=pinned, numa_node=numa_node)
        shape = (self.rows, record_bytes)
        self._buffers: list[NDArray[np.uint8]] = [
            self.memory.array[at : at + self.rows * record_bytes].reshape(shape)
            for at in range(0, BUFFERS * step, step)
        ]
        self.read: list[Any] = [None] * BUFFERS  # events: the device has read the buffer
        self._next = 0
        self.renew()
        renew_in_children(self)

    def renew(self) -> None:
        """Make the lock anew in a forked child."""
        self._lock = threading.Lock()

    def copy(
        self,
        num_rows: int,
        fill: Callable[[int, int, NDArray[np.uint8]], None],
        use: Callable[[int, int, torch.Tensor], None],
    ) -> None:
        """Bring records to the device, a buffer at a time, each while the one before is copied.

        The host waits where the device has not read a buffer's last contents yet.

        Args:
            num_rows: records in all.
            fill: writes records [start, stop) to a buffer, uint8 (stop - start, record_bytes).
            use: takes records [start, stop), uint8, on the device, for the current stream.
        """
        with self._lock:
            for start in range(0, num_rows, self.rows):
                stop = min(start + self.rows, num_rows)
                number, self._next = self._next, (self._next + 1) % BUFFERS
                if self.read[number] is not None:
                    self.read[number].synchronize()
                buffer = self._buffers[number][: stop - start]
                fill(start, stop, buffer)
                try:
                    there = torch.from_numpy(buffer).to(self.device, non_blocking=True, copy=True)
                finally:
                    self._mark(number)
                use(start, stop, there)

    def _mark(self, number: int) -> None:
        """Note when the device will have read a buffer."""
        if self.device.type != "cuda":
            return
        if self.read[number] is None:
            self.read[number] = torch.cuda.Event()  # type: ignore[no-untyped-call]
        self.read[number].record(torch.cuda.current_stream(self.device))

    def close(self) -> None:
        """Let go of the buffers; the device may not read them any more."""
        self._buffers.clear()
        self.memory.close()
