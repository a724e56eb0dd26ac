"""A small run of the harness; the long one is `python -m tests.fuzz_documents`."""

from pathlib import Path

from tests.fuzz_documents import run


def test_no_changed_document_shows_a_traceback(tmp_path: Path) -> None:
    ends = run(70, 1, tmp_path)
    assert ends["exit 0"] > 20
    assert ends["exit 1"] > 5
    assert ends["exit 2"] > 5
