"""Threads that make calls, whatever a signal's handler does to who asks them."""

import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import CancelledError
from contextlib import suppress
from functools import partial

import pytest

from engramctl.runtime.calls import Pool
from engramctl.runtime.threads import Workers
from tests.conftest import ROOT
from tests.helpers.handlers import handler_after, interrupt

STEPS = 400  # more than two pieces have
FILES = ("runtime/calls.py", "runtime/threads.py", "runtime/waiting.py", "test_calls.py",
         "threading.py")  # fmt: skip


def ends_soon(work: Callable[[], object]) -> bool:
    other = threading.Thread(target=work, daemon=True)
    other.start()
    other.join(10)
    return not other.is_alive()


def test_an_interrupt_at_any_step_leaves_threads_that_work() -> None:
    for steps in range(STEPS):
        workers = Workers("interrupted", 2)
        try:
            with handler_after(steps, interrupt, FILES):
                workers.each(2, int)
        except KeyboardInterrupt:
            assert ends_soon(partial(workers.each, 2, int)), steps
            assert ends_soon(workers.shutdown), steps
        else:
            assert steps > 20
            return
    raise AssertionError("it never ended")


def test_a_handler_ends_the_threads_in_the_middle_of_asking_them() -> None:
    def asked() -> None:
        for steps in range(STEPS):
            workers = Workers("ended", 2)
            ends = handler_after(steps, workers.shutdown, FILES)
            with suppress(RuntimeError, CancelledError), ends:
                workers.submit(int).result()
                break

    # Not the main thread, so that a failing test ends; `setprofile` is of each thread.
    assert ends_soon(asked)


def test_there_is_a_thread_for_every_call_up_to_the_most() -> None:
    pool, together = Pool(3, "together"), threading.Barrier(3)
    for _ in range(5):
        calls = [pool.submit(together.wait, 30) for _ in range(3)]
        assert sorted(one.result() for one in calls) == [0, 1, 2]
    names = {one.name for one in threading.enumerate()}
    assert {one for one in names if one.startswith("together")} == {
        "together_0", "together_1", "together_2",
    }  # fmt: skip
    pool.end(cancel=False)


def test_threads_that_wait_are_asked_again() -> None:
    pool, before = Pool(5, "again"), threading.active_count()
    for _ in range(20):
        pool.submit(int).result()
        time.sleep(0.001)
    assert threading.active_count() - before < 5
    pool.end(cancel=False)
    assert threading.active_count() <= before


@pytest.mark.parametrize("cancel", [False, True])
def test_an_end_waits_for_what_runs_and_cancels_the_others_when_asked(cancel: bool) -> None:
    pool, go, begun = Pool(1, "ended"), threading.Event(), threading.Event()

    def work() -> int:
        begun.set()
        assert go.wait(30)
        return 7

    calls = [pool.submit(work), pool.submit(int)]
    assert begun.wait(30)
    ending = threading.Thread(target=lambda: pool.end(cancel=cancel))
    ending.start()
    if cancel:
        with pytest.raises(CancelledError):
            calls[1].result()  # told at once: nobody will make it
    assert not calls[0].done()
    go.set()
    ending.join(30)
    assert (calls[0].result(), calls[0].done()) == (7, True)
    if not cancel:
        assert calls[1].result() == 0
    with pytest.raises(RuntimeError, match="were ended"):
        pool.submit(int)


def test_an_error_is_told_each_time() -> None:
    pool = Pool(1, "error")
    call = pool.submit(int, "x")
    for _ in range(2):
        assert isinstance(call.exception(), ValueError)
        with pytest.raises(ValueError, match="invalid literal"):
            call.result()
    pool.end(cancel=True)


def test_threads_end_with_the_last_who_holds_them() -> None:
    before = threading.active_count()
    pool = Pool(2, "dropped")
    pool.submit(int).result()
    del pool
    until = time.monotonic() + 10
    while threading.active_count() > before and time.monotonic() < until:
        time.sleep(0.001)
    assert threading.active_count() <= before


def test_a_process_ends_when_its_calls_are_over() -> None:
    code = (
        "import time\nfrom engramctl.runtime.threads import Workers\nworkers = Workers('x', 1)\n"
        "def work():\n    time.sleep(0.3)\n    print('over', flush=True)\n"
        "workers.submit(work)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=60
    )
    assert (done.stdout, done.stderr, done.returncode) == ("over\n", "", 0)


def test_without_another_thread_the_one_that_would_start_it_makes_the_calls(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def none_left(_: object) -> None:
        raise RuntimeError("can't start new thread")

    pool = Pool(1, "none")
    with monkeypatch.context() as poor:
        poor.setattr(threading.Thread, "start", none_left)
        call = pool.submit(int, "7")
        until = time.monotonic() + 10
        while not call.done() and time.monotonic() < until:
            time.sleep(0.001)
        assert call.done()
    assert call.result() == 7
    pool.end(cancel=True)
