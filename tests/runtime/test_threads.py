"""Work in pieces; and what is renewed in a forked child: all, in the order in which it was made."""

import sys
import threading

import pytest

from engramctl.runtime.threads import Workers, renew_in_children
from tests.helpers.forked import in_child
from tests.helpers.held_workers import HeldWorkers, interrupted_once


class Noted:
    def __init__(self, name: str, told: list[str], error: BaseException | None = None) -> None:
        self.name, self.told, self.error = name, told, error
        renew_in_children(self)

    def renew(self) -> None:
        self.told.append(self.name)
        if self.error is not None:
            raise self.error


@pytest.mark.parametrize(("pieces", "first_here"), [(0, False), (1, True), (1, False), (5, True)])
def test_results_come_piece_by_piece_and_the_first_is_made_here_when_asked(
    pieces: int, first_here: bool
) -> None:
    workers, me = Workers("each", 2), threading.get_ident()

    def work(number: int) -> tuple[int, bool]:
        return number, threading.get_ident() == me

    found = workers.each(pieces, work, first_here=first_here)
    assert found == [(number, first_here and number == 0) for number in range(pieces)]
    workers.shutdown()


@pytest.mark.parametrize("first_here", [False, True])
def test_an_interrupt_leaves_no_piece_to_begin(first_here: bool) -> None:
    workers, done = HeldWorkers(2), list[int]()
    with interrupted_once(workers.taken):
        workers.each(4, done.append, first_here=first_here)
    assert done in ([], [0] * first_here)
    workers.go.set()
    workers.shutdown()
    assert done in ([], [0] * first_here)


def test_what_the_first_piece_raises_here_is_raised_when_no_other_runs() -> None:
    workers, inside = Workers("each", 1), list[int]()
    begun, go = threading.Event(), threading.Event()

    def work(number: int) -> None:
        if not number:
            assert begun.wait(30)
            threading.Timer(0.05, go.set).start()
            raise KeyError("first")
        inside.append(number)
        begun.set()
        assert go.wait(30)
        inside.remove(number)

    with pytest.raises(KeyError):
        workers.each(2, work, first_here=True)
    assert not inside
    workers.shutdown()


def test_whole_things_are_renewed_after_their_parts() -> None:
    told: list[str] = []
    held = [Noted(f"{k}", told) for k in range(50)]
    assert in_child(lambda: told == [one.name for one in held]) == 0
    assert told == []


def test_what_cannot_be_renewed_keeps_nothing_else_from_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    told: list[str] = []
    errors = [MemoryError("first"), None, SystemExit("second"), OSError("third"), None]
    held = [Noted(f"{k}", told, error) for k, error in enumerate(errors)]
    printed: list[str] = []
    monkeypatch.setattr(sys, "unraisablehook", lambda one: printed.append(repr(one.exc_value)))

    def job() -> bool:
        return told == [one.name for one in held] and printed == ["MemoryError('first')"]

    assert in_child(job) == 0


def test_what_nobody_has_any_more_is_not_renewed() -> None:
    told: list[str] = []
    dropped = Noted("dropped", told)
    del dropped
    assert in_child(lambda: told == []) == 0
