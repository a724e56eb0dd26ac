"""Readers are together, who changes something is alone, and nobody waits for ever."""

import threading
import time

import pytest

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
        for _ in range(200):
            with lock.alone():
                inside[me] = True
                time.sleep(0)
                wrong.extend(one for one in inside if inside[one] and one != me)
                inside[me] = False

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


def test_who_wants_to_change_goes_before_new_readers() -> None:
    lock = SharedLock()
    order: list[str] = []
    first = lock.shared()
    first.__enter__()

    def change() -> None:
        with lock.alone():
            order.append("changed")

    def read() -> None:
        with lock.shared():
            order.append("read")

    changing = threading.Thread(target=change)
    changing.start()
    while not lock.wanted:
        time.sleep(0.001)
    reading = threading.Thread(target=read)
    reading.start()
    time.sleep(0.05)
    assert order == []
    with lock.quick:  # one who is quick need not wait for either
        pass
    first.__exit__(None, None, None)
    changing.join(30)
    reading.join(30)
    assert order == ["changed", "read"]


def test_an_error_inside_lets_others_in() -> None:
    lock = SharedLock()
    for context in (lock.shared, lock.alone, lock.shared, lock.alone):
        with pytest.raises(KeyError), context():
            raise KeyError
    assert lock.quick.acquire(blocking=False)
    lock.quick.release()
