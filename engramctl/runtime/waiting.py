"""Waiting for what others bring about, with no lock held in Python and nobody left counted."""

from collections.abc import Callable
from contextlib import suppress
from queue import Empty, SimpleQueue

LOST_S = 0.05  # after which one who waits looks itself: an interrupt may lose a notice


class Waiting:
    """Those who wait for one thing; what they share changes in single steps."""

    def __init__(self) -> None:
        """Nobody waits."""
        self._notices: set[SimpleQueue[None]] = set()

    def __len__(self) -> int:
        """Return how many wait."""
        return len(self._notices)

    def until(self, over: Callable[[], bool]) -> None:
        """Return when `over` has returned True, which is looked at first, and again when told."""
        if over():
            return
        notice: SimpleQueue[None] = SimpleQueue()
        try:
            self._notices.add(notice)
            while not over():
                with suppress(Empty):
                    notice.get(timeout=LOST_S)
        finally:
            self._notices.discard(notice)

    def tell(self) -> None:
        """Have all who wait look again."""
        for notice in tuple(self._notices):
            notice.put(None)
