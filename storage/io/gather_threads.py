"""The threads of this process that widen the rows of large requests.

They share the processors with the model's own threads, so there are as many as these, unless told
otherwise: a gather runs while the model waits for its rows.
"""

import time
from collections.abc import Callable
from concurrent.futures import wait
from dataclasses import dataclass
from typing import TypeVar, cast

from engramctl.processors import usable_processors
from engramctl.runtime.threads import Workers

PIECE_ROWS = 4096  # below this a second thread costs more than it saves
_LOOK_S = 1e-3
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
        what it returned, piece by piece; what a piece raised is raised when all are over. So is
        what interrupts this call: pieces that run are waited for, others do not begin.
    """
    pieces = -(-total // PIECE_ROWS)
    if pieces > 1:
        pieces = min(pieces, gather_threads())
    if pieces <= 1:
        return [work(0, total)]
    edges = [total * k // pieces for k in range(pieces + 1)]
    running: set[int] = set()
    left: list[bool] = []

    def piece(number: int) -> T | None:
        running.add(number)  # first, then it looks whether it may begin: see below
        try:
            return None if left else work(edges[number], edges[number + 1])
        finally:
            running.discard(number)

    try:
        parts = [workers.submit(piece, number) for number in range(pieces)]
        wait(parts)
    except BaseException:
        left.append(True)  # first, then who runs is waited for
        _until_over(running)
        raise
    return [cast(T, part.result()) for part in parts]


def _until_over(running: set[int]) -> None:
    """Wait until no piece runs; what interrupts that is told afterwards."""
    told: BaseException | None = None
    while running:
        try:
            while running:
                time.sleep(_LOOK_S)
        except BaseException as error:
            told = error
    if told is not None:
        raise told
