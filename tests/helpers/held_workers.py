"""Threads that are held before each call of theirs, and an interrupt that comes meanwhile."""

import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import ParamSpec, TypeVar

import pytest

from engramctl.runtime.calls import Call
from engramctl.runtime.threads import Workers

P = ParamSpec("P")
R = TypeVar("R")


class HeldWorkers(Workers):
    """Threads that take a call, and make it once `go` is set.

    Attributes:
        taken: set when a thread has taken one.
        go: to be set.
    """

    def __init__(self, count: int) -> None:
        """Hold `count` threads."""
        self.taken, self.go = threading.Event(), threading.Event()
        super().__init__("held", count)

    def submit(self, call: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> Call[R]:
        def held() -> R:
            self.taken.set()
            assert self.go.wait(30)
            return call(*args, **kwargs)

        return super().submit(held)


@contextmanager
def interrupted_once(begun: threading.Event, after: Callable[[], object] = list) -> Iterator[None]:
    """Interrupt the main thread soon after something has begun, call `after`; swallow it."""

    def interrupt() -> None:
        assert begun.wait(30)
        time.sleep(0.05)
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)
        after()

    other = threading.Thread(target=interrupt)
    other.start()
    try:
        with pytest.raises(KeyboardInterrupt):
            yield
    finally:
        other.join()
