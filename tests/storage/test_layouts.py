"""A small run of `python -m tests.layouts`, which compares millions of rows."""

from pathlib import Path

import pytest

from tests.layouts import LAYOUTS, make, mismatches, wrong_records


@pytest.mark.parametrize(("form", "page", "heads"), LAYOUTS)
def test_our_readers_and_the_documents_agree(
    form: str, page: int | None, heads: int | None, tmp_path: Path
) -> None:
    folder = make(tmp_path / "table", form, page, heads, 5003)
    assert mismatches(folder, 20_000, 3000) == (0, 0)
    assert wrong_records(folder) == 0
