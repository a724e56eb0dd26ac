"""When a sample waited for each layer's rows, and when they were there.

Moments are of the device that computes: on CUDA of its stream, by events, since there a wait stops
the device and not the host; else of this thread.
"""

import time
from collections.abc import Callable
from typing import Any

import torch


class Clock:
    """Moments of a device; what lies between two is known once it is synchronised."""

    def __init__(self, device: torch.device) -> None:
        """Take no moment yet."""
        self._on_cuda = device.type == "cuda"

    def now(self) -> Any:
        """Return a moment."""
        if not self._on_cuda:
            return time.perf_counter_ns()
        event: Any = torch.cuda.Event(enable_timing=True)  # type: ignore[no-untyped-call]
        event.record()
        return event

    def between_ns(self, first: Any, second: Any) -> int:
        """Return the nanoseconds from one moment to a later one."""
        return round(first.elapsed_time(second) * 1e6) if self._on_cuda else int(second - first)


class Waits:
    """The waits of one sample, by layer of the table."""

    def __init__(self, clock: Clock) -> None:
        """Begin now."""
        self._clock = clock
        self._begun = clock.now()
        self._of: dict[int, list[tuple[Any, Any]]] = {}

    def rows(self, layer: int, wait: Callable[[], torch.Tensor]) -> torch.Tensor:
        """Return what `wait` does, and keep when it was called and when it was done.

        A sample of several steps waits several times for a layer.
        """
        called = self._clock.now()
        rows = wait()
        self._of.setdefault(layer, []).append((called, self._clock.now()))
        return rows

    def waited_ns(self) -> dict[int, int]:
        """Return by layer how long it was waited for, all steps together."""
        return {
            layer: sum(self._clock.between_ns(*moments) for moments in waits)
            for layer, waits in self._of.items()
        }

    def arrived_ns(self) -> dict[int, int]:
        """Return by layer how long after the beginning its last rows were there."""
        return {
            layer: self._clock.between_ns(self._begun, waits[-1][1])
            for layer, waits in self._of.items()
        }
