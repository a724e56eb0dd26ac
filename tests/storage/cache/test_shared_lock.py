"""Readers are together, who changes something is alone, and nobody waits for ever."""

import threading
import time
from functools import partial

import pytest

from engramctl.runtime import waiting
from engramctl.storage.cache.shared_lock import SharedLock


def test_readers_are_together_and_who_changes_is_alone() -> None:
    lock, inside = SharedLock(), dict.fromkeys(("read 1", "read 2", "change 1", "change 2"), False)
    wrong: list[str] = []
    both = threading.Barrier(2, timeout=30)

    def read(me: str) -> None:
        with lock.shared():
            both.wait()  # for the other reader: neither keeps the other out
        for _ in range(200):
            with lock.shared():
                inside[me] = True
                time.sleep(0)
                wrong.extend(one for one in inside if inside[one] and one.startswith("change"))
                inside[me] = False

    def change(me: str) -> None:
        def work() -> None:
            inside[me] = True
            time.sleep(0)
            wrong.extend(one for one in inside if inside[one] and one != me)
            inside[me] = False

        for _ in range(200):
            lock.alone(work)

    threads = [
        threading.Thread(target=read if one.startswith("read") else change, args=(one,))
        for one in inside
    ]
    for one in threads:
        one.start()
    for one in threads:
        one.join(60)
        assert not one.is_alive()
    assert wrong == []


def test_who_wants_to_change_goes_before_new_readers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(waiting, "LOST_S", 600)  # each is told when it may go on
    lock = SharedLock()
    order: list[str] = []
    first = object()
    lock.enter(first)

    def read() -> None:
        with lock.shared():
            order.append("read")

    change = partial(lock.alone, lambda: order.append("changed"))
    changing = threading.Thread(target=change, daemon=True)
    changing.start()
    while not lock.wanted:
        time.sleep(0.001)
    reading = threading.Thread(target=read, daemon=True)
    reading.start()
    time.sleep(0.05)
    assert order == []
    with lock.quick:  # one who is quick need not wait for either
        pass
    lock.leave(first)
    changing.join(10)
    reading.join(10)
    assert order == ["changed", "read"]


def test_an_error_inside_lets_others_in() -> None:
    lock = SharedLock()

    def wrong() -> None:
        raise KeyError

    for _ in range(2):
        with pytest.raises(KeyError), lock.shared():
            raise KeyError
        with pytest.raises(KeyError):
            lock.alone(wrong)
    assert lock.quick.acquire(blocking=False)
    lock.quick.release()
