"""An interrupted operator returns when no thread writes to its tensors any more."""

import threading
import time
from typing import Any

import pytest
import torch

from engramctl.residual import cpu_calls, cpu_kernels
from tests.helpers.held_workers import interrupted_once


def test_an_interrupted_call_waits_for_its_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    inside, begun, go = list[int](), threading.Event(), threading.Event()

    def slow(*given: Any) -> None:
        first = given[-2]
        if first:  # another thread's
            inside.append(first)
            begun.set()
            assert go.wait(30)
            inside.remove(first)

    def go_soon() -> None:
        time.sleep(0.05)
        go.set()

    monkeypatch.setattr(cpu_kernels, "collapse_rows", slow)
    monkeypatch.setattr(torch, "get_num_threads", lambda: 2)
    X, pre = torch.zeros(2, 4, 1 << 17), torch.zeros(2, 4)
    left: list[list[int]] = []
    with interrupted_once(begun, go_soon):
        try:
            cpu_calls.collapse(X, pre)
        finally:
            left.append(inside.copy())
    assert left == [[]]
    monkeypatch.undo()
    assert (cpu_calls.collapse(X + 1, pre + 1) == 4).all()
