"""Large requests are gathered by as many threads as the model has, unless told otherwise."""

import signal
import threading
import time
from collections.abc import Iterator

import pytest
import torch

from engramctl.processors import usable_processors
from engramctl.storage.io import gather_threads as threads
from engramctl.storage.tiers import by_address

MANY = 10 * threads.PIECE_ROWS


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)
    threads.set_gather_threads(None)
    threads.follow_model_threads(torch.get_num_threads)


def test_stores_gather_with_as_many_threads_as_torch_has_when_a_gather_begins() -> None:
    assert callable(by_address.gather_into)  # its import says who tells the number
    for count in (1, 2, 1):
        torch.set_num_threads(count)
        assert threads.gather_threads() == min(count, usable_processors())


@pytest.mark.parametrize(("model", "processors", "found"), [(8, 3, 3), (2, 3, 2), (0, 3, 1)])
def test_there_are_never_more_than_processors(
    monkeypatch: pytest.MonkeyPatch, model: int, processors: int, found: int
) -> None:
    monkeypatch.setattr(threads, "usable_processors", lambda: processors)
    threads.follow_model_threads(lambda: model)
    assert threads.gather_threads() == found
    assert len(threads.in_pieces(MANY, lambda start, stop: (start, stop))) == found


def test_a_number_that_was_chosen_holds_whatever_the_model_has() -> None:
    threads.set_gather_threads(5)
    torch.set_num_threads(1)
    assert threads.gather_threads() == threads.chosen_gather_threads() == 5
    threads.set_gather_threads(None)
    assert threads.gather_threads() == 1


@pytest.mark.parametrize("total", [0, 1, threads.PIECE_ROWS, threads.PIECE_ROWS + 1, MANY + 3])
@pytest.mark.parametrize("count", [1, 2, 3, 20])
def test_every_row_is_in_one_piece_and_pieces_run_in_threads_of_their_own(
    total: int, count: int
) -> None:
    threads.set_gather_threads(count)
    pieces = min(count, max(1, -(-total // threads.PIECE_ROWS)))
    together = threading.Barrier(pieces)

    def work(start: int, stop: int) -> tuple[int, int]:
        together.wait(30)
        return start, stop

    found = threads.in_pieces(total, work)
    assert len(found) == pieces
    assert [start for start, _ in found] == [0, *(stop for _, stop in found[:-1])]
    assert found[-1][1] == total


def test_what_a_piece_raises_is_raised_when_all_are_over() -> None:
    threads.set_gather_threads(2)
    over: list[int] = []

    def work(start: int, stop: int) -> None:
        if not start:
            raise KeyError("first")
        over.append(stop)

    with pytest.raises(KeyError):
        threads.in_pieces(MANY, work)
    assert over == [MANY]


@pytest.mark.parametrize("interrupts", [1, 2, 5])
def test_an_interrupted_gather_returns_when_no_thread_writes_any_more(interrupts: int) -> None:
    """What they write to may be somebody else's then. Ctrl-C again does not hurry it."""
    threads.set_gather_threads(2)
    go, begun, inside = threading.Event(), threading.Event(), list[int]()
    pieces: list[int] = []

    def work(start: int, stop: int) -> None:
        pieces.append(start)
        inside.append(start)
        begun.set()
        assert go.wait(30)
        time.sleep(0.02)
        inside.remove(start)

    def interrupt() -> None:
        assert begun.wait(30)
        for _ in range(interrupts):
            signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)
            time.sleep(0.02)
        go.set()

    other = threading.Thread(target=interrupt)
    other.start()
    with pytest.raises(KeyboardInterrupt):
        threads.in_pieces(MANY, work)
    assert not inside
    other.join()
    assert len(pieces) <= 2
    assert threads.in_pieces(MANY, lambda start, stop: stop - start) == [MANY // 2] * 2


def test_pieces_that_had_not_begun_never_do() -> None:
    threads.set_gather_threads(2)
    threads.workers.resize(2)  # an interrupt may have left one thread more
    go, done = threading.Event(), list[int]()
    busy = [threads.workers.submit(go.wait, 30) for _ in range(2)]

    def interrupt() -> None:
        time.sleep(0.05)
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)

    other = threading.Thread(target=interrupt)
    other.start()
    with pytest.raises(KeyboardInterrupt):
        threads.in_pieces(MANY, lambda start, stop: done.append(start))
    other.join()
    go.set()
    assert all(one.result() for one in busy)
    assert threads.in_pieces(MANY, lambda start, stop: stop - start) == [MANY // 2] * 2
    assert done == []
