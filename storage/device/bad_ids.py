"""Row ids that were no rows: a flag on the device, looked at without waiting for it."""

import threading
from dataclasses import dataclass
from typing import Any

import torch

NOT_BAD = 2**62
_COPIES = 4  # of the flag that may be under way at once


@dataclass(eq=False)
class _Copy:
    """A copy of the flag in pinned memory, and the event behind it."""

    place: torch.Tensor
    event: Any
    era: int = -1


class BadIds:
    """The position of the first row id that was none, as gathers on a device find it.

    Safe from several threads. On a CUDA device nothing waits but `check`; the flag of a CPU is
    looked at itself. While a CUDA graph is captured nothing is queued or looked at: gathers that
    are replayed set the flag, and the next `note` outside, or `check`, tells.

    Attributes:
        tensor: int64 (1,) on the device, for `Gathering.gather(bad=)`.
    """

    def __init__(self, device: torch.device) -> None:
        """Nothing was bad yet."""
        with torch.inference_mode(False):  # written to in any mode
            self.tensor = torch.full((1,), NOT_BAD, dtype=torch.int64, device=device)
        self._asynchronous = device.type == "cuda"
        self._lock = threading.Lock()
        self._copies: list[_Copy] = []  # in the order they were queued
        self._era = 0  # copies of before the last `clear` say nothing

    def note(self) -> None:
        """Queue a copy of the flag behind a gather, on the current stream."""
        if not self._asynchronous or torch.cuda.is_current_stream_capturing():
            return
        with self._lock:
            copy = self._free()
            copy.place.copy_(self.tensor, non_blocking=True)
            copy.event.record(torch.cuda.current_stream(self.tensor.device))
            copy.era = self._era
            self._copies.append(copy)

    def _free(self) -> _Copy:
        """Take a copy that nothing is written to; when there is none, the newest.

        The flag stays set, so a later value in the place of an earlier one loses nothing.
        """
        if self._copies and self._copies[0].event.query():
            return self._copies.pop(0)
        if len(self._copies) < _COPIES:
            with torch.inference_mode(False):
                place = torch.empty(1, dtype=torch.int64, pin_memory=True)
            return _Copy(place, torch.cuda.Event())  # type: ignore[no-untyped-call]
        return self._copies.pop()

    def found(self) -> int | None:
        """Return the position of a bad id that the device has told of by now, or None."""
        if not self._asynchronous:
            return _position(self.tensor)
        if not self._copies or torch.cuda.is_current_stream_capturing():
            return None
        with self._lock:
            arrived = [one for one in self._copies if one.era == self._era and one.event.query()]
            first = min((int(one.place) for one in arrived), default=NOT_BAD)
        return None if first == NOT_BAD else first

    def check(self) -> int | None:
        """Wait for the device; return the position of a bad id, or None."""
        if self._asynchronous:
            torch.cuda.synchronize(self.tensor.device)
        return _position(self.tensor)

    def clear(self) -> None:
        """Forget what was bad: gathers that are queued from now on are told of."""
        with self._lock:
            self._era += 1
            self.tensor.fill_(NOT_BAD)


def _position(flag: torch.Tensor) -> int | None:
    found = int(flag)
    return None if found == NOT_BAD else found
