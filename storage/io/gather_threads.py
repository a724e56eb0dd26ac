"""The threads of this process that widen the rows of large requests."""

from collections.abc import Callable
from concurrent.futures import wait
from typing import TypeVar

from engramctl.runtime.threads import Workers

PIECE_ROWS = 4096  # below this a second thread costs more than it saves
_workers = Workers("engramctl-gather")
T = TypeVar("T")


def gather_threads() -> int:
    """Return how many threads of this process gather the rows of a large request."""
    return _workers.count


def set_gather_threads(count: int) -> None:
    """Gather with `count` threads from now on, at least 1; not while a gather runs."""
    _workers.resize(count)


def in_pieces(total: int, work: Callable[[int, int], T]) -> list[T]:
    """Do a piece of work for all of `total` rows, a piece a thread.

    Args:
        total: rows.
        work: of rows [start, stop).

    Returns:
        what it returned, piece by piece; what a piece raised is raised when all are over.
    """
    pieces = min(_workers.count, -(-total // PIECE_ROWS))
    if pieces <= 1:
        return [work(0, total)]
    edges = [total * k // pieces for k in range(pieces + 1)]
    parts = [_workers.submit(work, edges[k], edges[k + 1]) for k in range(pieces)]
    wait(parts)
    return [part.result() for part in parts]
