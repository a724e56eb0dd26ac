"""Who gives slots, and how many at a time."""

import threading
from collections.abc import Callable
from contextlib import ExitStack

import torch

from engramctl.errors import ConfigError
from engramctl.storage.requests.slot import Closed, Shapes, Slot, SlotOwner, TicketSlot
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
    _slots_taken = 0
    _slots: tuple[Slot, ...] = ()  # held until they are closed: a device may still read them

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
            slot: Slot | None = None
            try:
                with torch.inference_mode(False):  # its tensors are written to in any mode
                    slot = self.made_slot(shapes, self._give)
                with self.lock:
                    self._slots = (*self._slots, slot)
                if self.device.type == "cuda":  # what it holds is there for any stream
                    torch.cuda.current_stream(self.device).synchronize()
                return slot
            except BaseException:
                self._give() if slot is None else slot.close()
                raise

    def made_slot(self, shapes: Shapes, closed: Closed) -> Slot:
        """Return a new slot; `closed` is called with it when it ends."""
        return TicketSlot(self, shapes, closed)

    def close_slots(self, then: Callable[[], None]) -> None:
        """Close every slot that is open; `then` is called afterwards, whatever failed."""
        with ExitStack() as stack:
            stack.callback(then)
            for slot in self._slots:
                stack.callback(slot.close)

    def _take(self) -> None:
        with self.lock:
            if self._slots_taken < self.capture_slots:
                self._slots_taken += 1
                return
        most = self.capture_slots
        raise ConfigError(
            f"all {most} slots of the store are open" if most
            else "the store was opened without slots for captured graphs",
            hint=f"open it with more: open_store(.., capture_slots={most + 1})",
        )  # fmt: skip

    def _give(self, slot: Slot | None = None) -> None:
        with self.lock:
            self._slots_taken -= 1
            self._slots = tuple(one for one in self._slots if one is not slot)
