"""Buffers between the CPU and a device: every record arrives, none is overwritten too early."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from engramctl.storage.pinned import staging
from engramctl.storage.pinned.staging import BUFFERS, Staging
from tests.helpers.fake_cuda import fake_cuda

WIDTH = 264
CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(staging, "BUFFER_BYTES", 10 * WIDTH + 7)


@pytest.fixture
def buffers() -> Iterator[Staging]:
    made = Staging(WIDTH, CPU)
    yield made
    made.close()


@pytest.mark.parametrize("count", [0, 1, 9, 10, 11, 95])
def test_every_record_arrives_once_and_in_order(buffers: Staging, count: int) -> None:
    records = np.random.default_rng(count).integers(0, 256, (count, WIDTH), dtype=np.uint8)
    found = np.full_like(records, 0xA5)
    spans: list[tuple[int, int]] = []

    def fill(start: int, stop: int, buffer: NDArray[np.uint8]) -> None:
        buffer[:] = records[start:stop]

    def use(start: int, stop: int, there: torch.Tensor) -> None:
        spans.append((start, stop))
        found[start:stop] = there.numpy()

    buffers.copy(count, fill, use)
    assert buffers.rows == 10
    assert np.array_equal(found, records)
    assert all(stop - start <= 10 for start, stop in spans)
    assert [start for start, _ in spans] == list(range(0, count, 10))


def test_requests_of_several_threads_do_not_mix(buffers: Staging) -> None:
    def one(number: int) -> bool:
        kept: list[torch.Tensor] = []
        buffers.copy(
            35, lambda start, stop, buffer: buffer.fill(number),
            lambda start, stop, there: kept.append(there),
        )  # fmt: skip
        return all(bool((there == number).all()) for there in kept) and len(kept) == 4

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(one, range(64)))


def test_a_fill_that_fails_leaves_the_buffers_to_the_next(buffers: Staging) -> None:
    def failing(start: int, stop: int, buffer: NDArray[np.uint8]) -> None:
        raise IndexError("no such row")

    for _ in range(BUFFERS + 1):
        with pytest.raises(IndexError):
            buffers.copy(5, failing, lambda *words: None)
    kept: list[torch.Tensor] = []
    buffers.copy(3, lambda a, b, buffer: buffer.fill(1), lambda a, b, there: kept.append(there))
    assert bool((kept[0] == 1).all())


def test_a_buffer_is_filled_again_only_when_the_device_has_read_it() -> None:
    with fake_cuda() as machine:
        made = Staging(WIDTH, torch.device("cuda", 0))
        waits: list[int] = []
        made.copy(
            10 * (BUFFERS + 2), lambda *words: waits.append(len(machine.waits)), lambda *words: None
        )
        assert waits == [*[0] * BUFFERS, 1, 2]
        assert machine.waits == ["event"] * 2
        assert len(machine.uploads) == BUFFERS + 2
        assert not machine.downloads
        assert sum(machine.cudart.spans.values()) >= BUFFERS * 10 * WIDTH
        made.close()
        assert machine.cudart.spans == {}
