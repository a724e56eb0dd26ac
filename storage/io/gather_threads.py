"""The threads of this process that widen the rows of large requests.

They share the processors with the model's own threads, so there are as many as these, unless told
otherwise: a gather runs while the model waits for its rows.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from engramctl.processors import usable_processors
from engramctl.runtime.threads import Workers

PIECE_ROWS = 4096  # below this a second thread costs more than it saves
workers = Workers("engramctl-gather")
T = TypeVar("T")


@dataclass
class _Count:
    """How many threads there are to be.

    Attributes:
        chosen: by `set_gather_threads`; None: as many as the model has.
        of_model: asked when a large gather begins.
    """

    chosen: int | None = None
    of_model: Callable[[], int] = usable_processors


_count = _Count()


def gather_threads() -> int:
    """Return how many threads of this process gather the rows of a large request.

    Those of the model, but not more than there are processors for this process; or as chosen.
    """
    if _count.chosen is not None:
        return _count.chosen
    return max(1, min(_count.of_model(), usable_processors()))


def chosen_gather_threads() -> int | None:
    """Return what `set_gather_threads` was given last."""
    return _count.chosen


def set_gather_threads(count: int | None) -> None:
    """Gather with `count` threads from now on, at least 1; not while a gather runs.

    None: with as many as the model has.
    """
    _count.chosen = count
    wanted = count or usable_processors()
    if wanted != workers.count:
        workers.resize(wanted)


def follow_model_threads(of_model: Callable[[], int]) -> None:
    """Say what tells how many threads the model computes with, as `torch.get_num_threads` does."""
    _count.of_model = of_model


def in_pieces(total: int, work: Callable[[int, int], T]) -> list[T]:
    """Do a piece of work for all of `total` rows, a piece a thread.

    Args:
        total: rows.
        work: of rows [start, stop).

    Returns:
        what it returned, piece by piece; errors and interrupts as in `Workers.each`.
    """
    pieces = -(-total // PIECE_ROWS)
    if pieces > 1:
        pieces = min(pieces, gather_threads())
    if pieces <= 1:
        return [work(0, total)]
    edges = [total * k // pieces for k in range(pieces + 1)]
    return workers.each(pieces, lambda number: work(edges[number], edges[number + 1]))
