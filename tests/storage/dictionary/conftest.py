from pathlib import Path

import pytest

from tests.storage.dictionary.texts import Text, text_of


@pytest.fixture
def text(tmp_path: Path) -> Text:
    return text_of(tmp_path / "t", "packed", "f8_e4m3", 256)
