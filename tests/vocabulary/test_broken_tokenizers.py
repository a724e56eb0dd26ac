"""Files that the tokenizers library takes, and then raises or panics over, are no bugs of ours."""

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.conftest import RunCli
from tests.helpers.tokenizer_files import OURS, write_tokenizer

BROKEN: dict[str, dict[str, Any]] = {
    "a word without the token for unknown ones": {
        "model": {"type": "WordLevel", "unk_token": "<unk>", "vocab": {"a": 0}},
    },
    "an unknown token that is not there": {
        "model": {"type": "BPE", "unk_token": "zz", "vocab": {"a": 0}, "merges": []},
    },
    "panics as it is read": {
        "normalizer": {"type": "Precompiled", "precompiled_charsmap": "AAAA"},
    },
    "panics as it encodes": {"normalizer": {"type": "Prepend", "prepend": ""}},
}


@pytest.mark.parametrize("name", BROKEN)
def test_text_is_not_mined_with_them(tmp_path: Path, run_cli: RunCli, name: str) -> None:
    file = write_tokenizer(tmp_path / "tokenizer.json", OURS)
    file.write_text(json.dumps(json.loads(file.read_text()) | BROKEN[name]))
    pq.write_table(pa.table({"text": ["ab cd éx", "b"]}), tmp_path / "text.parquet")
    result = run_cli("mine", tmp_path / "text.parquet", "--tokenizer", file, "-o", tmp_path / "c")
    assert result.exit_code == 2
    assert "tokenizer.json is not a tokenizer file that can be used" in result.stderr
    assert not (tmp_path / "c").exists()


def test_no_token_map_is_made_of_one_that_panics(tmp_path: Path, run_cli: RunCli) -> None:
    file = write_tokenizer(tmp_path / "tokenizer.json", OURS)
    decoder = {"type": "Strip", "content": "x", "start": 10**18, "stop": 10**18}
    file.write_text(json.dumps(json.loads(file.read_text()) | {"decoder": decoder}))
    words = ("--scheme", "engram", "--slots", 97, "--tokenizer", file)
    assert run_cli("rows", "/dev/null", *words).exit_code == 2
