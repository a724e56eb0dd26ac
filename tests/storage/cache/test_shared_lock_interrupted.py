"""One interrupt, wherever it comes, leaves nobody counted, no lock held, and robs nobody of his."""

import signal
import threading
import time
from collections.abc import Callable

import pytest

from engramctl.storage.cache.shared_lock import SharedLock
from tests.helpers.handlers import handler_after, interrupt

FILES = ("shared_lock.py", "waiting.py")
STEPS = 14  # more than one of these calls has until it waits


def read(lock: SharedLock) -> None:
    with lock.shared():
        pass


def change(lock: SharedLock) -> None:
    lock.alone(list)


def enter(lock: SharedLock) -> None:
    lock.enter(1)


def nobody_is_left(lock: SharedLock) -> bool:
    """Tell whether others can read and change: nobody is counted, nor holds the lock."""
    others = [threading.Thread(target=use, args=(lock,), daemon=True) for use in (change, read)]
    for one in others:
        one.start()
        one.join(10)
    return not any(one.is_alive() for one in others) and lock.wanted == 0


@pytest.mark.parametrize("use", [read, change])
def test_an_interrupt_at_any_step_leaves_nothing(use: Callable[[SharedLock], None]) -> None:
    assert threading.current_thread() is threading.main_thread()  # who alone is interrupted
    for steps in range(STEPS):
        lock = SharedLock()
        try:
            with handler_after(steps, interrupt, FILES):
                use(lock)
        except KeyboardInterrupt:
            assert nobody_is_left(lock), steps
        else:
            assert steps > 0
            return
    raise AssertionError("it never ended")


def test_an_interrupt_while_a_reader_is_waited_for_leaves_nothing() -> None:
    for steps in range(STEPS):
        lock = SharedLock()
        lock.enter(0)
        with pytest.raises(KeyboardInterrupt), handler_after(steps, interrupt, FILES):
            change(lock)
        assert lock.wanted == 0, steps
        lock.leave(0)
        assert nobody_is_left(lock), steps


def test_a_reader_leaves_without_waiting() -> None:
    """Or an interrupt while it waits would leave it counted."""
    lock = SharedLock()
    lock.enter(0)
    leaving = threading.Thread(target=lock.leave, args=(0,), daemon=True)
    with lock.quick:
        leaving.start()
        leaving.join(10)
        assert not leaving.is_alive()
    assert nobody_is_left(lock)


@pytest.mark.parametrize(
    ("use", "woken"), [(read, False), (change, False), (enter, False), (change, True)]
)
def test_who_is_interrupted_while_waiting_lets_go_no_lock_of_another(
    use: Callable[[SharedLock], None], woken: bool
) -> None:
    lock, held, over, kept = SharedLock(), threading.Event(), threading.Event(), list[bool]()
    main = threading.get_ident()
    if woken:
        lock.enter(0)

    def hold() -> None:
        while woken and not lock.wanted:
            time.sleep(0.001)
        with lock.quick:
            held.set()
            if woken:
                lock.leave(0)  # now `quick` is what is waited for
            time.sleep(0.15)
            signal.pthread_kill(main, signal.SIGUSR1)
            over.wait(10)
            kept.append(not lock.quick.acquire(blocking=False))

    def held_up() -> None:
        holding.start()
        if not woken:
            held.wait(10)
        use(lock)

    holding = threading.Thread(target=hold, daemon=True)
    before = signal.signal(signal.SIGUSR1, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt):
            held_up()
    finally:
        signal.signal(signal.SIGUSR1, before)
        over.set()
    holding.join(10)
    assert kept == [True]
    assert nobody_is_left(lock)
