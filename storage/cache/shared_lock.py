"""A lock for what many read and few change."""

import threading
from types import TracebackType


class SharedLock:
    """Who changes is alone; who only reads is so together with others.

    Attributes:
        quick: held while a little is read: nothing is changed then. Longer readers use `shared`,
            so that they keep out neither each other nor quick ones.
        wanted: how many wait until they may change something; new readers let them go first.
    """

    def __init__(self) -> None:
        """Nobody is there."""
        self.quick = threading.Lock()
        self._changed = threading.Condition(self.quick)
        self._readers: set[object] = set()
        self.wanted = 0

    def shared(self) -> "_Shared":
        """Return a context in which nothing is changed, for one thread."""
        return _Shared(self)

    def alone(self) -> "_Alone":
        """Return a context in which nobody else reads or changes anything."""
        return _Alone(self)

    def enter(self, reader: object) -> None:
        """Count a reader, once nobody wants to change anything."""
        with self.quick:
            while self.wanted:
                self._changed.wait()
            self._readers.add(reader)

    def leave(self, reader: object) -> None:
        """Count a reader off; one that was not counted is none."""
        with self.quick:
            self._readers.discard(reader)
            if not self._readers:
                self._changed.notify_all()

    def take(self) -> None:
        """Wait until nobody reads; keep others out."""
        self.quick.acquire()
        try:
            self.wanted += 1
            try:
                while self._readers:
                    self._changed.wait()
            finally:
                self.wanted -= 1
        except BaseException:
            self.give()
            raise

    def give(self) -> None:
        """Let others in again."""
        self._changed.notify_all()
        self.quick.release()


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


class _Alone:
    """One who changes something."""

    __slots__ = ("_lock",)

    def __init__(self, lock: SharedLock) -> None:
        self._lock = lock

    def __enter__(self) -> None:
        self._lock.take()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:  # fmt: skip
        self._lock.give()
