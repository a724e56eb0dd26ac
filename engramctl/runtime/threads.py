"""Worker threads and what else must begin anew in a forked child.

Threads do not survive `fork`, and a lock that another thread held stays locked for ever. So pools
of ours are `Workers`, and an object with locks of its own says how it begins again.
"""

import itertools
import os
import time
import weakref
from collections.abc import Callable
from typing import Any, ParamSpec, Protocol, TypeVar, cast

from engramctl.runtime.calls import Call, Pool

P = ParamSpec("P")
R = TypeVar("R")
_LOOK_S = 1e-3


def default_workers() -> int:
    """Return how many threads read, fill or check rows: one a usable core, at most 16."""
    return min(len(os.sched_getaffinity(0)), 16)


class Renewable(Protocol):
    """What has locks or threads."""

    def renew(self) -> None:
        """Make locks and threads anew: this is a forked child, and no other thread is here."""


_renewed: weakref.WeakValueDictionary[int, Any] = weakref.WeakValueDictionary()
_numbers = itertools.count()


def renew_in_children(one: Renewable) -> None:
    """Have `one.renew()` called in every child forked from now on, as long as it lives.

    In the order of these calls, so after whatever it is made of; and whatever another one raised.
    """
    _renewed[next(_numbers)] = one


def _renew_all() -> None:
    first: BaseException | None = None
    for one in list(_renewed.values()):
        try:
            one.renew()
        except BaseException as error:
            first = first or error
    if first is not None:
        raise first  # Python prints it, and the child goes on


os.register_at_fork(after_in_child=_renew_all)


class Workers:
    """A pool of threads, started when first used; in a forked child it starts its own."""

    def __init__(self, name: str, count: int | None = None) -> None:
        """Start nothing yet.

        Args:
            name: the threads' names begin with it.
            count: how many (default: the processors this process may use).
        """
        self.count = count or len(os.sched_getaffinity(0))
        self._name = name
        self.renew()
        renew_in_children(self)

    def renew(self) -> None:
        """Forget the threads: in a forked child they are not there."""
        self._pool = Pool(self.count, self._name)

    def resize(self, count: int) -> None:
        """Have `count` threads from now on; waits for running calls."""
        self._pool.end(cancel=False)
        self.count = count
        self.renew()

    def submit(self, call: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> Call[R]:
        """Have a thread make a call."""
        return self._pool.submit(call, *args, **kwargs)

    def each(self, pieces: int, work: Callable[[int], R], *, first_here: bool = False) -> list[R]:
        """Have threads do a work piece by piece; no thread is at it when this is over.

        Args:
            pieces: how many.
            work: of a piece, by its number.
            first_here: the calling thread does the first one itself.

        Returns:
            what it returned, piece by piece; what a piece raised is raised when all are over. So is
            what interrupts this call: pieces that run are waited for, others do not begin.
        """
        running: set[int] = set()
        left: list[bool] = []

        def piece(number: int) -> R | None:
            running.add(number)  # first, then it looks whether it may begin: see below
            try:
                return None if left else work(number)
            finally:
                running.discard(number)

        own: list[R] = []
        try:
            parts = [self.submit(piece, number) for number in range(int(first_here), pieces)]
            if first_here:
                own.append(work(0))
            for part in parts:
                part.wait()
        except BaseException:
            left.append(True)  # first, then who runs is waited for
            _until_over(running)
            raise
        return own + [cast(R, part.result()) for part in parts]

    def shutdown(self) -> None:
        """Wait for running calls; cancel the others. Later ones are errors."""
        self._pool.end(cancel=True)


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
