"""A disk that is full or fails ends the filling, never the serving; what is written is counted."""

import errno
import fcntl
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest import mock

import pytest

from tests.storage.record_log.logs import LARGER, append, ngrams, served, served_of_file, small_log

ASKED = ngrams(40)


class Faults:
    """A call of os that fails from its number `first` on."""

    def __init__(self, name: str, first: int, code: int) -> None:
        self.name, self.left, self.code = name, first, code
        self.real: Callable[..., Any] = getattr(os, name)
        self.failures = 0

    def __call__(self, *arguments: Any) -> Any:
        self.left -= 1
        if self.left < 0:
            self.failures += 1
            raise OSError(self.code, os.strerror(self.code))
        return self.real(*arguments)


@pytest.mark.parametrize(
    ("name", "code"), [("pwrite", errno.ENOSPC), ("pwrite", errno.EIO), ("fdatasync", errno.EIO)]
)
def test_after_a_fault_nothing_is_taken_and_what_is_there_is_served(
    tmp_path: Path, name: str, code: int
) -> None:
    for first in range(200):
        path = tmp_path / str(first)
        with small_log(path) as log:
            append(log, ASKED[:3])
            with mock.patch.object(os, name, Faults(name, first, code)) as faults:
                taken = sum(append(log, [one]) for one in ASKED[3:])
                found = served(log, ASKED)
                if not faults.failures:
                    assert log.stopped is None
                    break
                assert str(path) in str(log.stopped)
                assert os.strerror(code) in str(log.stopped)
                assert taken < len(ASKED) - 3
                failures, written = faults.failures, log.bytes_written
                assert append(log, ASKED) == 0
                assert served(log, ASKED) == found
                log.close()
                assert (faults.failures, log.bytes_written) == (failures, written)
        assert served_of_file(path, ASKED) >= found
    else:
        raise AssertionError("there was always a fault")
    assert first > 5


def test_a_fault_when_it_is_closed_is_told_and_raises_nothing(tmp_path: Path) -> None:
    log = small_log(tmp_path / "log")
    append(log, ASKED[:1])
    with mock.patch.object(os, "pwrite", Faults("pwrite", 0, errno.ENOSPC)):
        log.close()
    assert "No space left" in str(log.stopped)
    assert served_of_file(tmp_path / "log", ASKED) == set()


def test_the_bytes_written_are_those_that_the_system_saw_in_whole_pages(tmp_path: Path) -> None:
    calls: list[tuple[int, int]] = []
    real = os.pwrite

    def pwrite(descriptor: int, data: memoryview, offset: int) -> int:
        calls.append((len(data), offset))
        return real(descriptor, data, offset)

    with mock.patch.object(os, "pwrite", pwrite):
        for these in (ngrams(300), ngrams(400)[300:], []):
            before = len(calls)
            with small_log(tmp_path / "log", **LARGER) as log:
                for first in range(0, len(these), 7):
                    allowed = log.bytes_written + log.bytes_at_most(len(these[first : first + 7]))
                    append(log, these[first : first + 7])
                    assert log.bytes_written + log.bytes_at_most(0) <= allowed
                    assert log.bytes_written == sum(size for size, _ in calls[before:])
            assert log.bytes_written == sum(size for size, _ in calls[before:])
            assert bool(these) == (log.bytes_written > 0)
    assert all(size % 4096 == offset % 4096 == 0 for size, offset in calls)
    assert served_of_file(tmp_path / "log", ngrams(400), **LARGER) == set(ngrams(400))


def test_writes_that_the_system_cuts_short_are_gone_on_with(tmp_path: Path) -> None:
    real = os.pwrite

    def pwrite(descriptor: int, data: memoryview, offset: int) -> int:
        return real(descriptor, data[:4096], offset)

    with (
        mock.patch.object(os, "pwrite", pwrite),
        small_log(tmp_path / "log", **LARGER) as log,
    ):
        append(log, ngrams(200))
    assert served_of_file(tmp_path / "log", ngrams(200), **LARGER) == set(ngrams(200))


def test_a_file_system_that_cannot_write_past_the_cache_after_all_is_written_to_as_it_can(
    tmp_path: Path,
) -> None:
    real = os.pwrite

    def pwrite(descriptor: int, data: memoryview, offset: int) -> int:
        if fcntl.fcntl(descriptor, fcntl.F_GETFL) & os.O_DIRECT:
            raise OSError(errno.EINVAL, "Invalid argument")
        return real(descriptor, data, offset)

    with mock.patch.object(os, "pwrite", pwrite), small_log(tmp_path / "log") as log:
        assert append(log, ASKED[:5]) == 5
        assert log.stopped is None
    assert served_of_file(tmp_path / "log", ASKED) == set(ASKED[:5])


def test_a_footer_is_written_after_its_data_is_on_the_disk_and_a_header_before_entries_are(
    tmp_path: Path,
) -> None:
    events: list[int | None] = []  # where a page was written; None: a sync
    real_write, real_sync = os.pwrite, os.fdatasync

    def pwrite(descriptor: int, data: memoryview, offset: int) -> int:
        events.append(offset)
        return real_write(descriptor, data, offset)

    def fdatasync(descriptor: int) -> None:
        events.append(None)
        real_sync(descriptor)

    with small_log(tmp_path / "log") as log:
        first, size = log.first_offset, log.segment_bytes
        assert (size, log.entries_per_segment) == (3 * 4096, 2)  # header, entries, footer
        with (
            mock.patch.object(os, "pwrite", pwrite),
            mock.patch.object(os, "fdatasync", fdatasync),
        ):
            append(log, ASKED[:8])
    expected = []
    for segment in (0, 1, 2, 0):
        entries = first + segment * size
        expected += [entries - 4096, None, entries, None, entries + 4096, None]
    assert events == expected


def test_of_two_files_of_one_name_a_log_removes_only_its_own(tmp_path: Path) -> None:
    path = tmp_path / "log"
    with small_log(path) as log:
        path.unlink()
        with small_log(path) as other:
            log.give_up("for a test", wrong=True)
            assert path.exists()
            assert append(other, ngrams(9)) == 9
            other.give_up("for a test", wrong=False)
            assert path.exists()
            other.give_up("for a test", wrong=True)
            assert not path.exists()
            assert append(other, ngrams(12)) == 0
