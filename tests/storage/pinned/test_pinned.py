"""Pinned memory: exact, counted, and gone after close, errors, the collector and in children."""

import errno
import gc
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import torch

from engramctl.errors import StorageError
from engramctl.storage.memory.host_memory import PAGE
from engramctl.storage.pinned import pinned
from engramctl.storage.pinned.pinned import PinnedMemory, pinned_bytes
from tests.helpers.fake_cuda import Cudart, fake_cudart
from tests.helpers.forked import in_child
from tests.helpers.mapped import is_mapped

GPU = torch.device("cuda", 0)
SIZE = 10 * PAGE + 5  # eleven pages


@pytest.fixture
def cudart(monkeypatch: pytest.MonkeyPatch) -> Iterator[Cudart]:
    """Registrations of at most three pages, none left over at the end."""
    monkeypatch.setattr(pinned, "REGISTERED_BYTES", 3 * PAGE)
    gc.collect()
    with fake_cudart() as counted:
        yield counted
        gc.collect()
        assert counted.spans == {}
        assert pinned_bytes() == 0


def test_exactly_the_pages_are_registered_in_bounded_pieces(cudart: Cudart) -> None:
    memory = PinnedMemory(SIZE, device=GPU)
    assert sum(cudart.spans.values()) == pinned_bytes() == 11 * PAGE
    assert (cudart.calls, cudart.largest) == (4, 3 * PAGE)
    assert min(cudart.spans) == memory.address == memory.array.ctypes.data
    assert memory.array.shape == (SIZE,)
    assert memory.facts()["pinned_bytes"] == 11 * PAGE
    memory.array[:] = 7
    assert memory.tensor.dtype is torch.uint8
    assert memory.tensor.data_ptr() == memory.address
    assert int(memory.tensor.sum()) == 7 * SIZE
    memory.close()
    memory.close()
    assert not is_mapped(memory.address)
    assert len(memory.array) == 0


def test_a_piece_is_far_below_what_one_call_can_do() -> None:
    assert pinned.REGISTERED_BYTES <= 256 << 30
    assert pinned.REGISTERED_BYTES % PAGE == 0


@pytest.mark.parametrize("fails", range(4))
def test_a_registration_that_fails_half_way_leaves_nothing(cudart: Cudart, fails: int) -> None:
    cudart.fails = fails
    with pytest.raises(StorageError, match="does not register host memory") as caught:
        PinnedMemory(SIZE, device=GPU)
    assert caught.value.facts["registered"] == f"{3 * PAGE * fails:,} bytes"
    assert (cudart.spans, pinned_bytes()) == ({}, 0)


def test_the_collector_frees_what_nobody_closed(cudart: Cudart) -> None:
    memory = PinnedMemory(SIZE, device=GPU)
    address = memory.address
    del memory
    gc.collect()
    assert pinned_bytes() == 0
    assert not is_mapped(address)


def test_a_view_outlives_close_and_reads_the_same_bytes(cudart: Cudart) -> None:
    memory = PinnedMemory(SIZE, device=GPU)
    memory.array[:] = 9
    view = memory.tensor[PAGE:]
    memory.close()
    assert pinned_bytes() == 0
    assert bool((view == 9).all())
    del view
    gc.collect()
    assert not is_mapped(memory.address)


def test_a_view_that_outlives_close_is_a_forked_child_s_as_well(cudart: Cudart) -> None:
    memory = PinnedMemory(SIZE, device=GPU)
    memory.array[:] = 9
    view = memory.array
    memory.close()
    assert in_child(lambda: is_mapped(memory.address) and bool((view == 9).all())) == 0


def test_what_cuda_does_not_let_go_stays_mapped_and_counted(cudart: Cudart) -> None:
    memory = PinnedMemory(SIZE, device=GPU)
    cudart.keeps = True
    with pytest.raises(StorageError, match="does not let go"):
        memory.close()
    gc.collect()
    assert is_mapped(memory.address)
    assert pinned_bytes() == 11 * PAGE
    pinned.registered.renew()  # for the other tests
    pinned.kept.clear()
    cudart.spans.clear()


def test_a_forked_child_neither_has_the_memory_nor_unregisters_it(cudart: Cudart) -> None:
    memory = PinnedMemory(SIZE, device=GPU)
    memory.array[:] = 5
    address = memory.address

    def job() -> bool:
        gone = not is_mapped(address) and len(memory.array) == 0
        memory.close()
        gc.collect()
        return gone and pinned_bytes() == 0 and len(cudart.spans) == 4

    assert in_child(job) == 0
    assert pinned_bytes() == 11 * PAGE
    assert (memory.array == 5).all()
    memory.close()


def test_a_child_forked_while_another_thread_counts_does_not_hang(cudart: Cudart) -> None:
    with pinned.registered.lock:
        assert in_child(lambda: pinned_bytes() == 0) == 0
    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(pinned_bytes).result(30) == 0


def test_many_threads_pin_and_let_go(cudart: Cudart) -> None:
    def one(number: int) -> bool:
        memory = PinnedMemory(SIZE + number * PAGE, device=GPU)
        memory.array[:] = number
        right = bool((memory.array == number).all())
        memory.close()
        return right

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(one, range(32)))


def test_memory_for_no_device_is_registered_nowhere_and_shared_with_children(
    cudart: Cudart,
) -> None:
    memory = PinnedMemory(SIZE, device=None)
    memory.array[:] = 3
    assert (cudart.calls, pinned_bytes(), memory.facts()["pinned_bytes"]) == (0, 0, 0)
    assert in_child(lambda: bool((memory.array == 3).all())) == 0
    memory.close()
    assert not is_mapped(memory.address)


@pytest.mark.parametrize("code", [errno.EINVAL, errno.ENOMEM])
def test_memory_is_there_before_it_is_registered(
    monkeypatch: pytest.MonkeyPatch, cudart: Cudart, code: int
) -> None:
    """By a kernel that does not populate pages, they are touched; without memory it is an error."""
    advise = pinned.advise
    refused = {pinned._POPULATE_WRITE: code}
    monkeypatch.setattr(
        pinned, "advise", lambda at, size, advice: refused.get(advice) or advise(at, size, advice)
    )
    if code == errno.EINVAL:
        memory = PinnedMemory(SIZE, device=GPU)
        assert resident_kib(memory.address) == 44
        memory.close()
    else:
        with pytest.raises(StorageError, match="gives no memory") as caught:
            PinnedMemory(SIZE, device=GPU)
        assert caught.value.facts["reason"] == os.strerror(code)


def resident_kib(address: int) -> int:
    """What the kernel says is there of the mapping that begins at an address."""
    with open("/proc/self/smaps") as lines:
        inside = False
        for line in lines:
            if "-" in line.split()[0]:
                inside = int(line.split("-")[0], 16) == address
            elif inside and line.startswith("Rss:"):
                return int(line.split()[1])
    raise AssertionError("not mapped")


@pytest.mark.parametrize("refused", [None, "memory of node 0 is refused: no"])
def test_the_node_of_the_pages_is_asked_for_before_they_are_there_and_told(
    monkeypatch: pytest.MonkeyPatch, cudart: Cudart, refused: str | None
) -> None:
    asked: list[tuple[int, int, int]] = []

    def prefer(address: int, num_bytes: int, node: int) -> str | None:
        assert resident_kib(address) == 0
        asked.append((address, num_bytes, node))
        return refused

    monkeypatch.setattr(pinned, "prefer_node", prefer)
    monkeypatch.setattr(pinned, "node_of_device", lambda bus: (1, "node 1 is the nearest"))
    memory = PinnedMemory(SIZE, device=GPU)
    other = PinnedMemory(SIZE, device=None, numa_node=0)
    assert asked == [(memory.address, 11 * PAGE, 1), (other.address, 11 * PAGE, 0)]
    assert memory.numa_node == (1 if refused is None else None)
    assert memory.facts()["numa_why"] == (refused or "node 1 is the nearest")
    for one in (memory, other):
        one.close()


def test_an_error_of_cuda_is_not_left_for_torch_to_find(
    monkeypatch: pytest.MonkeyPatch, cudart: Cudart
) -> None:
    cleared: list[int] = []

    class Library:
        def __getattr__(self, name: str) -> Any:
            if name == "cudaGetLastError":
                return lambda: cleared.append(1)
            return getattr(libc, name)

    libc = pinned.libc
    monkeypatch.setattr(pinned, "libc", Library())
    cudart.fails = 0
    with pytest.raises(StorageError):
        PinnedMemory(SIZE, device=GPU)
    assert cleared == [1]
