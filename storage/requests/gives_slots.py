"""Who gives slots, and how many at a time."""

import threading
from collections.abc import Callable

import torch

from engramctl.errors import ConfigError
from engramctl.storage.requests.slot import Shapes, Slot, SlotOwner, TicketSlot
from engramctl.storage.requests.usage import Call


class GivesSlots(SlotOwner):
    """A store whose rows may be asked for before a captured graph is replayed.

    Attributes:
        lock: guards what is counted.
        capture_slots: how many slots may be open at a time.
    """

    lock: threading.Lock
    device: torch.device
    capture_slots = 0
    _open_slots = 0

    def slot(self, shapes: Shapes) -> Slot:
        """Return fixed outputs for a step that is captured in a CUDA graph; see `Slot`.

        Args:
            shapes: layer -> shape of the row ids of every step, (*S, H).

        Raises:
            ConfigError: as many are open as the store was opened with, or rows that cannot be
                captured here, with the reason.
            ValueError: a layer that the table lacks.
            StorageError: the store is closed.
        """
        with Call(self.usage):
            self._take()
            try:
                with torch.inference_mode(False):  # its tensors are written to in any mode
                    slot = self.made_slot(shapes, self._give)
                if self.device.type == "cuda":  # what it holds is there for any stream
                    torch.cuda.current_stream(self.device).synchronize()
                return slot
            except BaseException:
                self._give()
                raise

    def made_slot(self, shapes: Shapes, closed: Callable[[], None]) -> Slot:
        """Return a new slot; `closed` is called when it ends."""
        return TicketSlot(self, shapes, closed)

    def _take(self) -> None:
        with self.lock:
            if self._open_slots < self.capture_slots:
                self._open_slots += 1
                return
        most = self.capture_slots
        raise ConfigError(
            f"all {most} slots of the store are open" if most
            else "the store was opened without slots for captured graphs",
            hint=f"open it with more: open_store(.., capture_slots={most + 1})",
        )  # fmt: skip

    def _give(self) -> None:
        with self.lock:
            self._open_slots -= 1
