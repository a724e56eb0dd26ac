"""A manifest has one reading."""

from pathlib import Path

import pytest

from engramctl.errors import FormatError
from engramctl.storage.publish import read_manifest
from engramctl.storage.strict_json import load_strict


@pytest.mark.parametrize(
    "text",
    ['{"a": 1, "a": 2}', '{"a": {"b": 1, "b": 1}}', "[NaN]", "[Infinity]", "[-Infinity]", "{"],
)
def test_ambiguous_json_is_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(ValueError, match=r"twice|no number|Expecting"):
        load_strict(text)
    (tmp_path / "manifest.json").write_text(text)
    with pytest.raises(FormatError, match="not valid JSON"):
        read_manifest(tmp_path)
