"""Regions of files in memory: every byte, no other memory, errors that say where."""

import gc
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engramctl.errors import FormatError, StorageError
from engramctl.storage.memory import loaded
from engramctl.storage.memory.host_memory import HUGE_PAGE, PAGE, HostMemory
from engramctl.storage.memory.loaded import LoadedRegions
from engramctl.storage.readers.choose import choose
from engramctl.storage.reading.region import Region
from tests.helpers.mapped import is_mapped
from tests.storage.readers.ranges import random_file

SIZE = 5 * PAGE + 1234


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("loaded")
    return [random_file(folder / f"{k}", SIZE, seed=k) for k in range(2)]


def region(path: Path, offset: int, num_bytes: int) -> Region:
    """Rows of one byte: any range of a file."""
    return Region(path, 0, 1, 0, num_bytes, offset, 1, 1)


spans = st.integers(0, SIZE - 1).flatmap(
    lambda at: st.tuples(st.integers(0, 1), st.just(at), st.integers(1, SIZE - at))
)


@pytest.mark.parametrize("direct", [True, False])
@given(st.lists(spans, min_size=1, max_size=6), st.integers(1, 3), st.integers(1, 3))
@settings(max_examples=40, deadline=None)
def test_every_region_comes_whole_from_any_place_of_its_file(
    files: list[Path], direct: bool, wanted: list[tuple[int, int, int]], chunk: int, at_once: int
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(loaded, "_CHUNK_BYTES", chunk * PAGE)
        patch.setattr(loaded, "_BATCH_CHUNKS", at_once)
        if not direct:
            patch.setattr(os, "O_DIRECT", 0)
        regions = [region(files[number], at, size) for number, at, size in wanted]
        found = LoadedRegions(regions)
    for one in regions:
        data = one.path.read_bytes()[one.offset : one.offset + one.num_bytes]
        assert found.view(one).tobytes() == data


def test_memory_is_the_regions_in_whole_pages_and_lives_as_long_as_a_view(
    files: list[Path],
) -> None:
    found = LoadedRegions([region(files[0], 100, PAGE), region(files[1], 0, PAGE)])
    assert found.memory.num_bytes == 3 * PAGE
    view = found.view(region(files[0], 100, PAGE))
    del found
    gc.collect()
    assert view.tobytes() == files[0].read_bytes()[100 : 100 + PAGE]


def test_a_file_that_ends_early_is_an_error_with_its_place(tmp_path: Path) -> None:
    path = random_file(tmp_path / "cut", 3 * PAGE + 10)
    with pytest.raises(StorageError, match="cut ended while it was read") as caught:
        LoadedRegions([region(path, 5, 4 * PAGE)])
    assert caught.value.facts["offset"] == f"{3 * PAGE + 10:,}"


def test_what_is_no_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FormatError, match="not a file"):
        LoadedRegions([region(tmp_path, 0, 10)])


def test_a_failed_read_frees_the_memory_and_the_files(
    files: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[int] = []

    class Noted(HostMemory):
        def __init__(self, num_bytes: int) -> None:
            super().__init__(num_bytes)
            made.append(self.address)

    def failing(files: Any, batch: Any) -> None:
        raise StorageError("no")

    monkeypatch.setattr(loaded, "HostMemory", Noted)
    monkeypatch.setattr("engramctl.storage.readers.open_files.OpenFiles.check", failing)
    monkeypatch.setattr(loaded, "choose", _unchecked(choose))
    before = len(os.listdir("/proc/self/fd"))
    with pytest.raises(StorageError, match="no"):
        LoadedRegions([region(files[0], 0, SIZE)])
    gc.collect()
    assert len(os.listdir("/proc/self/fd")) == before
    (address,) = made
    assert not is_mapped(address)


def _unchecked(choosing: Any) -> Any:
    """`choose`, whose own trial read must not be what fails."""

    def chosen(*words: Any, **more: Any) -> Any:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(
                "engramctl.storage.readers.open_files.OpenFiles.check", lambda *both: None
            )
            return choosing(*words, **more)

    return chosen


@pytest.mark.parametrize(("had", "asked"), [(0, True), (None, True), (2 * HUGE_PAGE, False)])
def test_the_page_cache_is_emptied_of_the_files_only_where_huge_pages_came_short(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, had: int | None, asked: bool
) -> None:
    path = random_file(tmp_path / "rows", 2 * HUGE_PAGE)
    told: list[str] = []
    monkeypatch.setattr(HostMemory, "huge_page_bytes", lambda memory: had)
    monkeypatch.setattr(HostMemory, "collapse", lambda memory: told.append("collapse"))
    monkeypatch.setattr(loaded, "drop_ranges", lambda *words: told.append("drop"))
    found = LoadedRegions([region(path, 0, 2 * HUGE_PAGE)])
    assert told[-2:] == (["drop", "collapse"] if asked else told[-2:])
    assert ("collapse" in told) == asked
    assert np.array_equal(found.view(region(path, 0, 2 * HUGE_PAGE)), np.fromfile(path, np.uint8))
