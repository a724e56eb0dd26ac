"""Every entry of a self-filled dictionary is checked: damage is named, an unfinished end is not."""

from pathlib import Path

import pytest

from engramctl.errors import CheckFailed
from engramctl.storage.record_log.log_format import PAGE
from engramctl.storage.verifying.ngram_log import verify_log
from tests.storage.record_log.logs import LARGER, SMALL, append, ngrams, small_log


def written(path: Path, count: int, **words: object) -> tuple[int, int, int]:
    """Make a log; return its bytes of an entry, of a segment, and entries a segment."""
    with small_log(path, **words) as log:
        append(log, ngrams(count))
        return log.entry_bytes, log.segment_bytes, log.entries_per_segment


def damage(path: Path, at: int) -> None:
    data = bytearray(path.read_bytes())
    data[at] ^= 64
    path.write_bytes(data)


def failure(path: Path) -> CheckFailed:
    with pytest.raises(CheckFailed) as error:
        verify_log(path)
    assert error.value.exit_code == 3
    return error.value


def test_a_whole_log_is_right_and_all_of_it_was_looked_at(tmp_path: Path) -> None:
    path = tmp_path / "records.log"
    told: list[int] = []
    size, *_ = written(path, 30, **LARGER)
    report = verify_log(path, told.append)
    assert (report.num_files, report.num_extents, report.num_bytes) == (1, 30, 30 * size)
    assert sum(told) == path.stat().st_size


@pytest.mark.parametrize("byte", [0, 8, 24, 28, 32, 1531])
def test_every_flipped_byte_of_an_entry_is_found_and_named(tmp_path: Path, byte: int) -> None:
    path = tmp_path / "records.log"
    size, *_ = written(path, 30, **LARGER)
    at = 2 * PAGE + 7 * size
    damage(path, at + byte)
    error = failure(path)
    assert error.message == f"n-gram log records.log is damaged at offset {at:,}"
    assert (error.facts["whole"], error.facts["torn"]) == ("29 entries", "1 entries")
    assert "delete the file" in (error.hint or "")


def test_the_last_entry_of_a_full_segment_is_no_unfinished_end(tmp_path: Path) -> None:
    path = tmp_path / "records.log"
    size, segment, entries = written(path, 4, **SMALL)
    damage(path, 2 * PAGE + (entries - 1) * size + 50)
    assert failure(path).facts["torn"] == "1 entries"
    assert segment == path.stat().st_size // 3 // PAGE * PAGE


def test_an_entry_that_was_never_finished_is_no_damage(tmp_path: Path) -> None:
    path = tmp_path / "records.log"
    size, *_ = written(path, 30, **LARGER)
    damage(path, 2 * PAGE + 29 * size + 100)  # as a kill leaves it
    assert verify_log(path).num_extents == 29
    data = path.read_bytes()
    path.write_bytes(data[: 2 * PAGE + 10 * size + 5])  # as a cut does
    assert verify_log(path).num_extents == 10


def test_older_lives_are_no_damage(tmp_path: Path) -> None:
    path = tmp_path / "records.log"
    *_, entries = written(path, 0, **SMALL)
    with small_log(path) as log:
        append(log, ngrams(3 * entries + 1))
        assert log.dropped == entries
    assert verify_log(path).num_extents == 2 * entries + 1


def test_a_segment_whose_header_is_damaged_is_lost_and_told_of(tmp_path: Path) -> None:
    path = tmp_path / "records.log"
    written(path, 30, **LARGER)
    damage(path, PAGE + 9)
    error = failure(path)
    assert f"offset {PAGE:,}" in error.message
    assert (error.facts["whole"], error.facts["segments lost"]) == ("0 entries", 1)


def test_a_damaged_header_of_the_file_is_a_check_that_fails(tmp_path: Path) -> None:
    path = tmp_path / "records.log"
    written(path, 3, **LARGER)
    damage(path, 40)
    assert "header is damaged" in failure(path).message
