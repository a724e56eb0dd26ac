"""A lock for what many read and few change."""

import threading
from collections.abc import Callable
from contextlib import AbstractContextManager
from functools import partial
from types import TracebackType

from engramctl.runtime.waiting import Waiting


class SharedLock:
    """Who changes is alone; who only reads is so together with others.

    An interrupt may come between any two steps of the main thread. So that it leaves nobody
    counted and no lock held, `quick` is only held by a `with`, which takes and gives a lock in one
    step each; nobody holds it while waiting; and counting is one step, too.

    Attributes:
        quick: held while a little is read: nothing is changed then. Longer readers use `shared`,
            so that they keep out neither each other nor quick ones.
    """

    def __init__(self) -> None:
        """Nobody is there."""
        self.quick = threading.Lock()
        self._readers: set[object] = set()
        self._changing = Waiting()  # until they may change something
        self._held_up = Waiting()  # readers who let them go first

    @property
    def wanted(self) -> int:
        """How many wait until they may change something; new readers let them go first."""
        return len(self._changing)

    def shared(self) -> AbstractContextManager[object]:
        """Return a context in which nothing is changed, for one thread.

        For the main thread it is `quick` itself: an interrupt, which no other thread gets, may come
        between a reader's end and its being counted off.
        """
        if threading.get_ident() == threading.main_thread().ident:
            return self.quick
        return _Shared(self)

    def alone(self, work: Callable[[], object]) -> None:
        """Do some work while nobody else reads or changes anything.

        Args:
            work: does not use this lock; what it raises is raised.
        """
        try:
            self._changing.until(partial(self._done, work))
        finally:
            self._held_up.tell()

    def enter(self, reader: object) -> None:
        """Count a reader, once nobody wants to change anything."""
        self._held_up.until(partial(self._counted, reader))

    def leave(self, reader: object) -> None:
        """Count a reader off; one that was not counted is none. Nothing is waited for."""
        self._readers.discard(reader)
        if not self._readers:
            self._changing.tell()

    def _done(self, work: Callable[[], object]) -> bool:
        with self.quick:
            if self._readers:
                return False
            work()
        return True

    def _counted(self, reader: object) -> bool:
        with self.quick:
            if self._changing:
                return False
            self._readers.add(reader)
        return True


class _Shared:
    """A reader."""

    __slots__ = ("_lock",)

    def __init__(self, lock: SharedLock) -> None:
        self._lock = lock

    def __enter__(self) -> None:
        try:
            self._lock.enter(self)
        except BaseException:
            self._lock.leave(self)
            raise

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:  # fmt: skip
        self._lock.leave(self)
