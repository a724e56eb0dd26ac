"""Memory that reads go to lives as long as any of them may still come, whoever was interrupted."""

import gc
import mmap
import threading
import weakref
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from engramctl.storage.memory.loaded import LoadedRegions
from engramctl.storage.readers import pread_engine
from engramctl.storage.readers.batch import ADDRESS, Batch
from engramctl.storage.readers.choose import choose
from engramctl.storage.readers.medium import slow_medium
from engramctl.storage.reading.region import Region
from tests.helpers.mapped import is_mapped
from tests.storage.readers.ranges import PAGE, random_file

SIZE = 90 * PAGE


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return random_file(tmp_path / "rows", SIZE)


class Held:
    """Reads that begin when they are let go, and the addresses they go to."""

    def __init__(self) -> None:
        self.begun, self.go_on = threading.Event(), threading.Event()
        self.addresses: set[int] = set()
        self.real = pread_engine.pread_ranges

    def read(self, descriptors: Any, ranges_R5: Any, got_R: Any, first: int, step: int) -> None:
        self.addresses |= set(ranges_R5[:, ADDRESS].tolist())
        self.begun.set()
        assert self.go_on.wait(30)
        self.real(descriptors, ranges_R5, got_R, first, step)

    def mapped(self) -> set[bool]:
        """Whether the addresses are mapped, once nobody holds what is not held for the reads."""
        gc.collect()
        return {is_mapped(one) for one in self.addresses}

    def hold(self, patch: pytest.MonkeyPatch) -> None:
        """Hold reads up from now on; who waits for some, or for the threads, is interrupted."""

        def interrupted(*_: Any) -> None:
            assert self.begun.wait(30)
            raise KeyboardInterrupt

        patch.setattr(pread_engine, "pread_ranges", self.read)
        patch.setattr(pread_engine.Reading, "wait", interrupted)
        patch.setattr(pread_engine.PreadEngine, "close", interrupted)


@pytest.fixture
def held() -> Iterator[Held]:
    made = Held()
    yield made
    made.go_on.set()


def test_a_batch_that_nobody_waits_for_holds_its_memory_until_it_is_over(
    path: Path, held: Held, monkeypatch: pytest.MonkeyPatch
) -> None:
    chosen = choose([path], "pread", direct=True)
    monkeypatch.setattr(pread_engine, "pread_ranges", held.read)
    pages = np.arange(80)
    memory = np.frombuffer(mmap.mmap(-1, 80 * PAGE), np.uint8)
    batch = Batch.of_pages(np.zeros_like(pages), pages, memory)
    alive = weakref.ref(memory)
    chosen.engine.start(batch)
    del batch, memory
    assert held.begun.wait(30)
    assert held.mapped() == {True}
    held.go_on.set()
    chosen.close()  # waits for the threads
    assert alive() is None


def test_a_part_of_a_batch_holds_its_memory() -> None:
    memory = np.zeros(3 * PAGE, np.uint8)
    batch = Batch.of_pages(np.zeros(3, np.int64), np.arange(3), memory)
    assert batch.part(1, 2).owner is memory


def test_a_load_that_is_interrupted_twice_keeps_memory_that_is_read_into(
    path: Path, held: Held, monkeypatch: pytest.MonkeyPatch
) -> None:
    def chosen(*words: Any, **more: Any) -> Any:
        made = choose(*words, **more)
        held.hold(monkeypatch)
        return made

    monkeypatch.setattr("engramctl.storage.memory.loaded.choose", chosen)
    with pytest.raises(KeyboardInterrupt):
        LoadedRegions([Region(path, 0, 1, 0, SIZE, 0, 1, 1)])
    assert held.mapped() == {True}


def test_a_trial_of_the_medium_that_is_interrupted_keeps_its_memory(
    path: Path, held: Held, monkeypatch: pytest.MonkeyPatch
) -> None:
    chosen = choose([path], "pread", direct=True)
    with monkeypatch.context() as interrupted:
        held.hold(interrupted)
        with pytest.raises(KeyboardInterrupt):
            slow_medium(chosen)
    assert held.mapped() == {True}
    held.go_on.set()
    chosen.close()
