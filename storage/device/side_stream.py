"""A stream beside the caller's: work that a step does not wait for until it needs it.

On a device without streams work is done at once, so everything here does nothing: the same callers
run, and are tested, on a CPU.
"""

from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch


class SideStream:
    """A stream of a CUDA device; of any other device, nothing."""

    def __init__(self, device: torch.device) -> None:
        """Make it."""
        self._device = device
        self._stream: torch.cuda.Stream | None = None
        if device.type == "cuda":
            self._stream = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]

    def queue(self) -> AbstractContextManager[object]:
        """Return a context in which work is queued on this stream."""
        return nullcontext() if self._stream is None else torch.cuda.stream(self._stream)

    def follow(self) -> None:
        """Have this stream wait for what the current one has queued so far."""
        if self._stream is not None:
            self._stream.wait_stream(torch.cuda.current_stream(self._device))

    def follow_event(self, event: Any) -> None:
        """Have this stream wait for an event of another; None: for nothing."""
        if self._stream is not None and event is not None:
            self._stream.wait_event(event)

    def lead(self, *used: torch.Tensor) -> None:
        """Have the current stream wait for what this one has queued so far.

        Args:
            used: tensors made on this stream that the current one uses from here on: their memory
                is not given to others before it is done with them.
        """
        if self._stream is not None:
            current = torch.cuda.current_stream(self._device)
            current.wait_stream(self._stream)
            for one in used:
                one.record_stream(current)

    def keep(self, *used: torch.Tensor) -> None:
        """Keep the memory of tensors, made on another stream, until this one is done with them."""
        if self._stream is not None:
            for one in used:
                one.record_stream(self._stream)

    def finish(self) -> None:
        """Wait, on the host, for what is queued here."""
        if self._stream is not None:
            self._stream.synchronize()


def capturing(device: torch.device) -> bool:
    """Tell whether the current stream is being captured into a CUDA graph."""
    return device.type == "cuda" and torch.cuda.is_current_stream_capturing()
