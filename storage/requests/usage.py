"""Who uses a store now: closing waits for them, and what comes later is an error."""

import threading
from collections.abc import Callable

from engramctl.errors import StorageError

MAX_OPEN_TICKETS = 64
CLOSED = "the store is closed"
ON_GPU = "a store on a GPU cannot be used after fork: open another in the child"


class Usage:
    """Calls that run in a store, and its open tickets.

    Attributes:
        generation: counts the forks that led here; a ticket of another one was opened by a parent.
    """

    def __init__(self) -> None:
        """Nobody yet."""
        self.generation = 0
        self.over: str | None = None
        self._begin()

    def _begin(self) -> None:
        self.lock = threading.RLock()  # a ticket may be dropped in the middle of anything
        self.changed = threading.Condition(self.lock)
        self._calls: dict[object, int] = {}  # each with the thread that runs it
        self.tickets: set[object] = set()
        self._released = False

    def renew(self, over: str | None) -> None:
        """Begin anew in a forked child, without the calls and tickets of its parent.

        Args:
            over: why every call is an error from now on; None when the child may use the store.
        """
        self.generation += 1
        self.over = self.over or over
        self._begin()

    def call(self) -> "Call":
        """Return a context in which a call runs: `close` waits until it is over.

        Entering it raises StorageError when the store is closed.
        """
        return Call(self)

    def begin(self, call: object) -> None:
        """Count a call. No lock: it is there before `over` is read, and `close` reads after.

        Raises:
            StorageError: the store is closed.
        """
        self._calls[call] = threading.get_ident()
        if self.over:
            raise StorageError(self.over)

    def end(self, call: object) -> None:
        """Count a call off; one that never began is none."""
        if self._calls.pop(call, None) is not None and self.over:
            with self.lock:
                self.changed.notify_all()

    def add_ticket(self, ticket: object) -> None:
        """Wait for a place, at most 64 being taken, and take it.

        Raises:
            StorageError: the store is closed, or was while this waited.
        """
        with self.lock:
            while len(self.tickets) >= MAX_OPEN_TICKETS and not self.over:
                self.changed.wait()
            if self.over:
                raise StorageError(self.over)
            self.tickets.add(ticket)

    def end_ticket(self, ticket: object) -> None:
        """Give its place to the next `prefetch`; once more does nothing."""
        with self.lock:
            if ticket in self.tickets:
                self.tickets.remove(ticket)
                self.changed.notify_all()

    def close(self, release: Callable[[], None]) -> None:
        """Refuse new calls, wake who waits for a ticket, wait for running calls, then `release`.

        The caller's own calls are not waited for: an interrupt may have left one behind.
        """
        me = threading.get_ident()
        with self.lock:
            self.over = self.over or CLOSED
            self.changed.notify_all()
            self.changed.wait_for(lambda: all(one == me for one in self._calls.copy().values()))
            if self._released:
                return
            self._released = True
        release()


class Call:
    """One running call. Counted where an interrupt cannot come between counting and its end."""

    __slots__ = ("_usage",)

    def __init__(self, usage: Usage) -> None:
        """Not counted yet."""
        self._usage = usage

    def __enter__(self) -> None:
        """Count it."""
        try:
            self._usage.begin(self)
        except BaseException:
            self._usage.end(self)
            raise

    def __exit__(self, *_: object) -> None:
        """Count it off."""
        self._usage.end(self)
