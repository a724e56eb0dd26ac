"""A SIGBUS that is not ours goes where it went before."""

import ctypes
import faulthandler
import mmap
import os
import signal
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from engramctl.errors import StorageError
from engramctl.storage import catch_bus_errors
from tests.helpers.forked import in_child

KILLED = -signal.SIGBUS
Handler = ctypes.CFUNCTYPE(None, ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p)
_libc = ctypes.CDLL(None)


def with_before(before: Any, job: Callable[[], object]) -> Callable[[], bool]:
    """The job where ours came after a handler that Python knows."""

    def run() -> bool:
        faulthandler.disable()
        signal.signal(signal.SIGBUS, before)
        catch_bus_errors()
        job()
        return True

    return run


def fault() -> int:
    """Read what is not there, in a mapping that is not ours; return its address."""
    with tempfile.TemporaryFile() as file:
        file.truncate(8192)
        there = np.frombuffer(mmap.mmap(file.fileno(), 8192, prot=mmap.PROT_READ), np.uint8)
        file.truncate(0)
        faulting.append(there.ctypes.data + 4096)
        return int(there[4096])


faulting: list[int] = []


def send() -> None:
    os.kill(os.getpid(), signal.SIGBUS)


def set_native(handler: Any, flags: int) -> None:
    """Set a handler as C code would."""
    action = np.zeros(19, np.int64)
    action[0] = ctypes.cast(handler, ctypes.c_void_p).value or 0
    action[17] = flags
    assert _libc.sigaction(signal.SIGBUS, ctypes.c_void_p(action.ctypes.data), None) == 0


@pytest.mark.parametrize("cause", [fault, send])
def test_where_nobody_caught_it_it_kills(cause: Callable[[], object]) -> None:
    assert in_child(with_before(signal.SIG_DFL, cause)) == KILLED


def handler_now() -> int:
    action = np.zeros(19, np.int64)
    assert _libc.sigaction(signal.SIGBUS, None, ctypes.c_void_p(action.ctypes.data)) == 0
    return int(action[0])


def test_where_it_was_ignored_one_sent_is_and_a_fault_kills() -> None:
    def sent() -> None:
        ours = handler_now()
        send()
        assert handler_now() == ours

    assert in_child(with_before(signal.SIG_IGN, sent)) == 0
    assert in_child(with_before(signal.SIG_IGN, fault)) == KILLED


def test_a_handler_in_python_is_called() -> None:
    heard: list[int] = []

    def job() -> None:
        for _ in range(2):
            send()
        assert heard == [signal.SIGBUS] * 2

    assert in_child(with_before(lambda number, frame: heard.append(number), job)) == 0


def test_a_native_handler_gets_all_three_arguments() -> None:
    def handle(number: int, info: int, context: int) -> None:
        address = ctypes.cast(info, ctypes.POINTER(ctypes.c_int64))[2]
        right = number == signal.SIGBUS and address == faulting[-1] and bool(context)
        os._exit(42 if right else 43)

    def job() -> bool:
        native = Handler(handle)
        set_native(native, 4)  # SA_SIGINFO
        catch_bus_errors()
        return bool(fault())

    assert in_child(job) == 42


def test_a_native_handler_that_wanted_to_be_called_once_is() -> None:
    calls: list[int] = []

    def job() -> bool:
        native = Handler(lambda number, info, context: calls.append(number))
        set_native(native, 0x80000000)  # SA_RESETHAND
        catch_bus_errors()
        send()
        if len(calls) == 1:
            send()
        return False

    assert in_child(job) == KILLED


def test_faulthandler_enabled_before_still_tells_where(tmp_path: Path) -> None:
    def job() -> bool:
        with (tmp_path / "trace").open("w") as file:
            faulthandler.disable()
            signal.signal(signal.SIGBUS, signal.SIG_DFL)
            faulthandler.enable(file)
            catch_bus_errors()
            return bool(fault())

    assert in_child(job) == KILLED
    assert "Bus error" in (tmp_path / "trace").read_text()


def test_asking_twice_does_nothing() -> None:
    def job() -> None:
        catch_bus_errors()
        fault()

    assert in_child(with_before(signal.SIG_DFL, job)) == KILLED


def test_a_handler_set_after_ours_is_left_there_and_told() -> None:
    def later() -> None:
        signal.signal(signal.SIGBUS, lambda *_: None)
        with pytest.raises(StorageError, match="set after ours"):
            catch_bus_errors()
        signal.signal(signal.SIGBUS, signal.SIG_IGN)
        catch_bus_errors()  # nobody calls anybody in a circle
        send()

    assert in_child(with_before(signal.SIG_DFL, later)) == 0
