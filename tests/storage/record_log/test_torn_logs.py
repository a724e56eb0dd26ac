"""A log that was cut, flipped, or left by a kill or a loss of power opens, and is never wrong."""

import os
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import pytest

from engramctl.errors import FormatError
from tests.storage.record_log.logs import (
    Ngram,
    append,
    arrays,
    ngrams,
    served,
    served_of_file,
    small_log,
)
from tests.storage.writing.crash_fs import Recorder
from tests.storage.writing.crash_states import materialise

TWO_SEGMENTS = {"size_bytes": 4096 * 7}
ASKED = ngrams(30)


def ends(path: Path, these: list[Ngram]) -> dict[Ngram, int]:
    """Where in the file the last byte of each n-gram's entry is, of those that are there."""
    with small_log(path, **TWO_SEGMENTS) as log:
        found = {}
        for ngram in these:
            number = int(log.find(ngram[0], arrays([ngram])[1])[0])
            if number >= 0:
                segment, place = divmod(number, log.entries_per_segment)
                begin = log.first_offset + segment * log.segment_bytes
                found[ngram] = begin + (place + 1) * log.entry_bytes
        return found


@pytest.mark.slow
def test_every_prefix_of_a_log_serves_its_whole_records(tmp_path: Path) -> None:
    """Segment 0 is in its second life and not full, segment 1 is sealed."""
    path = tmp_path / "log"
    with small_log(path, **TWO_SEGMENTS) as log:
        append(log, ASKED[:5])
        assert (log.num_segments, log.entries_per_segment, log.dropped) == (2, 2, 2)
    there = ends(path, ASKED)
    assert set(there) == set(ASKED[2:5])
    for length in range(os.stat(path).st_size, -1, -1):
        os.truncate(path, length)
        with small_log(path, **TWO_SEGMENTS) as log:
            found = served(log, ASKED[2:5])
            assert found == {one for one, end in there.items() if end <= length}, length
            assert log.entries == len(found)


def test_a_log_that_was_cut_is_filled_on(tmp_path: Path) -> None:
    path = tmp_path / "log"
    with small_log(path) as log:
        append(log, ASKED[:6])
    whole = path.read_bytes()
    for length in range(0, len(whole), 509):
        path.write_bytes(whole[:length])
        with small_log(path) as log:
            before = served(log, ASKED)
            assert append(log, ASKED[10:13]) == 3
        after = served_of_file(path, ASKED)
        assert after >= set(ASKED[10:13])
        assert len(after - before) == 3


def test_flipped_bytes_never_give_a_wrong_row(tmp_path: Path) -> None:
    path = tmp_path / "log"
    with small_log(path) as log:
        append(log, ASKED[:11])
    whole = np.fromfile(path, np.uint8)
    random = np.random.default_rng(0)
    refused = 0
    for _ in range(400):
        flipped = whole.copy()
        match random.integers(4):
            case 0:  # bytes anywhere
                at = random.integers(0, len(whole), random.integers(1, 9))
                flipped[at] ^= random.integers(1, 256, len(at), np.uint8)
            case 1:  # a byte of a header, a head or a footer
                page = 4096 * random.integers(0, len(whole) // 4096)
                flipped[page + random.integers(0, 64)] ^= 1 << random.integers(8)
            case 2:  # a page in the place of another
                one, other = 4096 * random.integers(0, len(whole) // 4096, 2)
                flipped[one : one + 4096] = whole[other : other + 4096]
            case _:  # a range of nothing
                begin = random.integers(0, len(whole))
                flipped[begin : begin + random.integers(1, 9000)] = random.integers(0, 2) * 255
        flipped.tofile(path)
        try:
            log = small_log(path)
        except FormatError:
            refused += 1
            continue
        with log:
            assert served(log, ASKED) <= set(ASKED[:11])
            append(log, ASKED[20:])
            served(log, ASKED)
        served_of_file(path, ASKED)
    assert 10 < refused < 200


def test_a_kill_between_two_writes_or_in_one_loses_nothing_that_was_found(tmp_path: Path) -> None:
    path = tmp_path / "log"
    writes: list[tuple[int, bytes, set[Ngram]]] = []
    real = os.pwrite
    logs: list[Any] = []

    def pwrite(descriptor: int, data: memoryview, offset: int) -> int:
        found = {one for one in ASKED if logs and logs[-1].find(one[0], arrays([one])[1])[0] >= 0}
        writes.append((offset, bytes(data), found))
        return real(descriptor, data, offset)

    with mock.patch.object(os, "pwrite", pwrite):
        for first in (0, 5, 6, 12, 19):
            logs.append(small_log(path))
            for one in ASKED[first : first + 7]:
                append(logs[-1], [one])
            logs[-1].close()
    length = os.stat(path).st_size
    assert len(writes) > 30
    file = bytearray(length)
    for offset, data, found in writes:
        for done in (0, 8, 40, len(data) // 2, len(data) - 1):
            torn = file.copy()
            torn[offset : offset + done] = data[:done]
            (tmp_path / "torn").write_bytes(torn if offset else torn[:done])
            assert served_of_file(tmp_path / "torn", ASKED) >= found
        file[offset : offset + len(data)] = data
    assert bytes(file) == path.read_bytes()


def test_a_loss_of_power_leaves_a_log_that_opens_and_serves_the_right_rows(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    folder.mkdir()
    with Recorder(folder) as recorder:
        for first in (0, 5, 12):
            with small_log(folder / "log") as log:
                append(log, ASKED[first : first + 4])
                append(log, ASKED[first + 4 : first + 8])
    states = recorder.states()
    assert len(states) > 30
    most = 0
    for number, (_, tree) in enumerate(states):
        there = tmp_path / str(number)
        materialise(tree, there)
        with small_log(there / "log") as log:
            most = max(most, len(served(log, ASKED)))
            assert append(log, ASKED[25:28]) == 3
        assert served_of_file(there / "log", ASKED) >= set(ASKED[25:28])
    assert most >= 5


def test_a_footer_with_one_flipped_bit_is_not_believed(tmp_path: Path) -> None:
    """It would hide records, and its n-grams would never be taken again."""
    path = tmp_path / "log"
    with small_log(path) as log:
        append(log, ASKED[:2])
        footer = log.first_offset - 4096 + log.segment_bytes - 4096
    whole = bytearray(path.read_bytes())
    assert whole[footer : footer + 8] == b"EGRAMEND"
    whole[footer + 40] ^= 1  # of the first entry's low word
    path.write_bytes(whole)
    assert served_of_file(path, ASKED) == set(ASKED[:2])
