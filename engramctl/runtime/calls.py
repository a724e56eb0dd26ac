"""Calls that other threads make, whatever a signal's handler does in between.

A pool of the standard library takes its locks in several steps of Python. An interrupt between two
of them leaves one held for ever; a handler that ends the pool, as who closes a store does, waits
for the very frame that it interrupted. Here no lock is held in Python at all: what threads share
changes in single steps, and who waits looks again now and then.
"""

import _thread
import atexit
import threading
import weakref
from collections.abc import Callable
from concurrent.futures import CancelledError
from contextlib import suppress
from functools import partial
from queue import Empty, SimpleQueue
from typing import Any, Generic, ParamSpec, TypeVar, cast

from engramctl.runtime.waiting import Waiting

P = ParamSpec("P")
R = TypeVar("R")
_JOIN_S = 1.0  # for a thread whose last call is over


class Call(Generic[R]):
    """A call, and what came of it."""

    def __init__(self, work: Callable[[], R]) -> None:
        """Make it later."""
        self._work: Callable[[], R] | None = work
        self._begun = self._made = self._cancelled = False
        self._result: R | None = None
        self._error: BaseException | None = None
        self._waiting = Waiting()

    def make(self) -> None:
        """Make it now, unless it was cancelled; what it raises is told to who asks for `result`."""
        self._begun = True  # first, then it looks whether it may
        if self._cancelled:
            self._begun = False
        elif self._work is not None:
            try:
                self._result = self._work()
            except BaseException as error:
                self._error = error
            self._work = None
            self._made = True
        self._waiting.tell()
        del self  # of an error's traceback, which would hold it

    def cancel(self) -> None:
        """Have it never made, if nobody has begun."""
        self._cancelled = True
        self._waiting.tell()

    def done(self) -> bool:
        """Tell whether it is over: made, or cancelled."""
        return self._made or (self._cancelled and not self._begun)

    def wait(self) -> None:
        """Return when it is over."""
        self._waiting.until(self.done)

    def result(self) -> R:
        """Wait, and return what it returned, or raise what it raised.

        Raises:
            CancelledError: it was cancelled.
        """
        error = self.exception()
        if error is None:
            return cast(R, self._result)
        try:
            raise error
        finally:
            del self, error

    def exception(self) -> BaseException | None:
        """Wait, and return what it raised, or None.

        Raises:
            CancelledError: it was cancelled.
        """
        self.wait()
        if not self._made:
            raise CancelledError
        return self._error


class Pool:
    """Threads that make calls, started when there is one for each; they end with the last holder.

    Attributes:
        over: whether it takes no call any more.
    """

    def __init__(self, count: int, name: str) -> None:
        """Start nothing yet.

        Args:
            count: most threads.
            name: theirs begin with it.
        """
        self.over = False
        self._count, self._name = count, name
        self._calls: SimpleQueue[Call[Any] | None] = SimpleQueue()
        self._idle: SimpleQueue[None] = SimpleQueue()  # one for each thread that waits
        self._open: set[Call[Any]] = set()
        self._threads: list[tuple[threading.Thread, Call[None]]] = []
        weakref.finalize(self, self._calls.put, None).atexit = False
        _pools.add(self)

    def submit(self, call: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> Call[R]:
        """Have a thread make a call.

        Raises:
            RuntimeError: the pool was ended, or the system gives no thread.
        """
        made = Call(partial(call, *args, **kwargs))
        try:
            self._idle.get_nowait()
        except Empty:
            if len(self._threads) < self._count and not self.over:
                self._start()
        self._open.add(made)
        self._calls.put(made)
        if self.over:  # looked at last: who ends it may have missed this one
            made.cancel()
            raise RuntimeError("these threads were ended: they make no call any more")
        return made

    def _start(self) -> None:
        loop = Call(partial(_serve, self._calls, self._idle, self._open))
        name = f"{self._name}_{len(self._threads)}"
        thread = threading.Thread(target=loop.make, name=name, daemon=True)
        _thread.start_new_thread(_begin, (thread, loop))
        self._threads.append((thread, loop))

    def end(self, *, cancel: bool) -> None:
        """Take no call any more, and wait for the threads; with `cancel` others do not begin."""
        self.over = True
        for one in tuple(self._open) if cancel else ():
            one.cancel()
        self._calls.put(None)
        for thread, loop in tuple(self._threads):
            loop.wait()
            with suppress(RuntimeError):  # it was never begun: see below
                thread.join(_JOIN_S)


_pools: weakref.WeakSet[Pool] = weakref.WeakSet()


def _begin(thread: threading.Thread, loop: Call[None]) -> None:
    """Start a thread where no interrupt comes: in one that is not the main thread."""
    try:
        thread.start()
    except RuntimeError:  # the system gives no more than this one
        loop.make()


def _serve(
    calls: "SimpleQueue[Call[Any] | None]", idle: "SimpleQueue[None]", left: set[Call[Any]]
) -> None:
    """Make calls until there is a None, which is left for the others."""
    call = calls.get()
    while call is not None:
        call.make()
        left.discard(call)
        call = None  # what it holds may go
        try:
            call = calls.get_nowait()
        except Empty:
            idle.put(None)
            call = calls.get()
    calls.put(None)


def _end_all() -> None:
    """Wait for all calls before the process ends: what they write to goes then."""
    for pool in tuple(_pools):
        pool.end(cancel=False)


atexit.register(_end_all)
