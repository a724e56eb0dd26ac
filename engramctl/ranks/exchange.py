"""What ranks send each other, in a thread of its own: one after the other, in the order asked.

Collective calls must come in one order on all ranks; here it is the order of `start`. On CUDA the
thread has a stream of its own, and who waits makes only his own stream wait.
"""

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import torch

from engramctl.ranks.peers import Peers


class Awaited:
    """A tensor that the exchange's thread makes."""

    def __init__(self) -> None:
        """Nothing is there yet."""
        self._future: Future[tuple[torch.Tensor, Any]] = Future()

    def give(self, tensor: torch.Tensor) -> None:
        """Hand the tensor over, from the thread that made it."""
        done: Any = None
        if tensor.device.type == "cuda":
            done = torch.cuda.Event()  # type: ignore[no-untyped-call]
            done.record()
        self._future.set_result((tensor, done))

    def fail(self, error: BaseException) -> None:
        """Say that there will be none; where one was given, nothing."""
        if not self._future.done():
            self._future.set_exception(error)

    def wait(self) -> torch.Tensor:
        """Return the tensor.

        Raises:
            EngramError: what kept it from being made.
        """
        tensor, done = self._future.result()
        if done is not None:
            here = torch.cuda.current_stream(tensor.device)
            here.wait_event(done)
            tensor.record_stream(here)
        return tensor


class Exchange:
    """One rank's mail: a context manager.

    Attributes:
        sent_bytes: by kind, what went to other ranks so far.
    """

    def __init__(self, peers: Peers) -> None:
        """Start the thread."""
        self.peers = peers
        self.sent_bytes = {"rows": 0, "streams": 0}
        self._thread = ThreadPoolExecutor(1, "engramctl-exchange", self._begin)

    def _begin(self) -> None:
        if self.peers.device.type == "cuda":
            torch.cuda.set_device(self.peers.device)
            torch.cuda.set_stream(torch.cuda.Stream(self.peers.device))  # type: ignore[no-untyped-call]

    def __enter__(self) -> "Exchange":
        """Return itself; leaving ends the thread."""
        return self

    def __exit__(self, *_: object) -> None:
        """End the thread; what is under way is waited for by nobody."""
        self._thread.shutdown(wait=False, cancel_futures=True)

    def start(self, awaited: list[Awaited], job: Callable[[], None]) -> None:
        """Do a job after those before it; what it raises is raised where it is waited for."""
        before: Any = None
        if self.peers.device.type == "cuda":  # what the caller's stream has made is read after it
            before = torch.cuda.Event()  # type: ignore[no-untyped-call]
            before.record()

        def run() -> None:
            try:
                with torch.inference_mode():
                    if before is not None:
                        torch.cuda.current_stream().wait_event(before)
                    job()
            except BaseException as error:
                for one in awaited:
                    one.fail(error)

        self._thread.submit(run)

    def swap(
        self, kind: str, sent: torch.Tensor, send_counts: list[int], receive_counts: list[int]
    ) -> torch.Tensor:
        """Exchange rows as `Peers.swap`, within a job; counted under `kind`: rows or streams."""
        away = sum(send_counts) - send_counts[self.peers.rank]
        self.sent_bytes[kind] += away * sent.shape[1:].numel() * sent.element_size()
        return self.peers.swap(sent, send_counts, receive_counts)
