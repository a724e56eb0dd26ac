"""Ranks started on this machine, watched: when one ends, the others are ended and it is said why.

The process that starts them is none of them: whatever a rank waits for, it can end it.
"""

import contextlib
import signal
import tempfile
import time
from collections.abc import Callable, Mapping
from multiprocessing import get_context
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from pathlib import Path
from typing import Any

from engramctl.errors import EngramError
from engramctl.ranks.peers import LostPeers
from engramctl.ranks.place import Place

CAUSE_S = 5.0  # how long the cause is waited for when a rank says that it lost another one
END_S = 5.0  # how long a rank may take to end when it is told to
Report = Callable[[str, Any], None]
Work = Callable[[Place, Report], Any]

_RESULT, _ERROR = "result", "error"


def run_all(ranks: int, work: Work, told: Mapping[str, Callable[[Any], None]]) -> Any:
    """Run `work` in so many processes, and return what it returns in the first.

    Args:
        ranks: how many.
        work: can be pickled; given its place, and what sends words to this process.
        told: by kind, what is done with what the first rank reports.

    Raises:
        Exception: what a rank ended with.
        LostPeers: a rank ended without a word.
    """
    with tempfile.TemporaryDirectory(prefix="engramctl-ranks-") as folder:
        meeting = f"file://{Path(folder) / 'meeting'}"
        started: dict[Connection, SpawnProcess] = {}
        context = get_context("spawn")
        try:
            for rank in range(ranks):
                ours, theirs = context.Pipe(duplex=False)
                place = Place(rank, ranks, rank, ranks, meeting)
                process = context.Process(
                    target=_rank, args=(work, place, theirs), name=f"rank {rank}", daemon=True
                )
                process.start()
                theirs.close()
                started[ours] = process
            return _watch(started, told)
        finally:
            _end(list(started.values()))


def _rank(work: Work, place: Place, to_parent: Connection) -> None:
    """Be a rank: what it has to say goes to the process that started it, which ends it too."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches all; one answers

    def report(kind: str, what: Any) -> None:
        if place.rank == 0:
            to_parent.send((kind, what))

    try:
        result = work(place, report)
        to_parent.send((_RESULT, result if place.rank == 0 else None))
    except Exception as error:
        to_parent.send((_ERROR, error))


def _watch(
    started: Mapping[Connection, SpawnProcess], told: Mapping[str, Callable[[Any], None]]
) -> Any:
    """Take what ranks say until all are done; see `run_all`."""
    open_ones, result = dict(started), None
    lost: Exception | None = None
    patience: float | None = None
    while open_ones:
        left = None if patience is None else max(0.0, patience - time.monotonic())
        ready = wait(list(open_ones), left)
        if not ready and lost is not None:
            raise lost
        for one in ready:
            assert isinstance(one, Connection)
            try:
                kind, what = one.recv()
            except EOFError:
                raise _ended(open_ones[one]) from lost
            if kind == _ERROR:
                if not isinstance(what, LostPeers):
                    raise what
                lost, patience = what, time.monotonic() + CAUSE_S
                del open_ones[one]
            elif kind == _RESULT:
                result = what if started[one].name == "rank 0" else result
                del open_ones[one]
            else:
                told[kind](what)
    if lost is not None:
        raise lost
    return result


def _ended(process: SpawnProcess) -> EngramError:
    """Return the error of a rank that ended without a word."""
    process.join(END_S)
    code = process.exitcode
    how = f"exit code {code}"
    if code is not None and code < 0:
        with contextlib.suppress(ValueError):
            how = f"signal {signal.Signals(-code).name}"
    hint = "it may have run out of memory" if code == -signal.SIGKILL else None
    return LostPeers(f"{process.name} ended without a word", facts={"ended by": how}, hint=hint)


def _end(processes: list[SpawnProcess]) -> None:
    """End what still runs."""
    for process in processes:
        if process.is_alive():
            process.terminate()
    for process in processes:
        process.join(END_S)
        if process.is_alive():
            process.kill()
            process.join()
