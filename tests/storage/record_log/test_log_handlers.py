"""A signal's handler in the middle of writing closes the log, and neither waits nor tears."""

import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from engramctl.storage.record_log.log_file import LogFile
from engramctl.storage.record_log.record_log import RecordLog
from tests.storage.record_log.logs import append, ngrams, served, served_of_file, small_log


def appended(
    log: RecordLog, patch: pytest.MonkeyPatch, handler: Callable[[], object], at: str
) -> int:
    """Append five n-grams; a handler is called when the file's second step of a kind is over."""
    real, calls, found = getattr(LogFile, at), list[int](), list[int]()

    def step(file: LogFile, *words: object) -> None:
        real(file, *words)
        calls.append(0)
        if len(calls) == 2:
            handler()

    patch.setattr(LogFile, at, step)
    # Not the main thread, so that a failing test ends.
    other = threading.Thread(target=lambda: found.append(append(log, ngrams(5))), daemon=True)
    other.start()
    other.join(10)
    patch.undo()
    assert not other.is_alive()
    return found[0]


@pytest.mark.parametrize("at", ["write", "sync"])
def test_a_handler_closes_the_log_in_the_middle_of_what_it_writes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, at: str
) -> None:
    log = small_log(tmp_path / "log")
    taken = appended(log, monkeypatch, log.close, at)
    assert 0 < taken < 5
    assert log.stopped is None
    assert append(log, ngrams(5)) == 0
    log.close()
    assert served_of_file(tmp_path / "log", ngrams(5)) == set(ngrams(taken))


def test_a_handler_appends_nothing_in_the_middle_of_what_is_appended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with small_log(tmp_path / "log") as log:
        nested: list[int] = []
        others = ngrams(20, seed=1)
        taken = appended(log, monkeypatch, lambda: nested.append(append(log, others)), "sync")
        assert (taken, nested) == (5, [0])
        assert not served(log, others)
    assert served_of_file(tmp_path / "log", ngrams(5)) == set(ngrams(5))
