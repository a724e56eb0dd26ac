"""A small run of the fuzz harness; the long one is `python -m tests.fuzz`."""

from pathlib import Path

from tests.fuzz import run


def test_no_hostile_folder_crashes_or_gives_wrong_rows_or_records(tmp_path: Path) -> None:
    ends = run(1500, 1, tmp_path)
    assert sum(ends.values()) == 1500
    assert ends["FormatError when opened"] > 400
    assert ends["CheckFailed from verify"] > 50
    assert ends["the right rows and records"] > 0
    assert ends["FormatError from the dictionary"] > 0
