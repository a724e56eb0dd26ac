"""When `mine` reads text though ids might have been meant, it says so, and why."""

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from engramctl.corpus.sample import train_tokenizer
from tests.conftest import RunCli

TEXT = ["the cat sat on the mat", "the dog sat on the log"] * 5


@pytest.fixture
def tokenizer(tmp_path: Path) -> Path:
    train_tokenizer(TEXT, tmp_path / "tokenizer.json", 300)
    return tmp_path / "tokenizer.json"


@pytest.mark.parametrize(
    ("ids", "options", "why", "noted"),
    [
        (None, (), "there is no column of ids (input_ids or token_ids)", True),
        ("input_ids", (), "with --tokenizer text comes first; --column input_ids reads", True),
        ("token_ids", ("--column", "text"), "named with --column", False),
        ("token_ids", ("--column", "token_ids"), None, False),
    ],
)
def test_a_column_of_text_is_read_for_a_reason(
    ids: str | None,
    options: tuple[str, ...],
    why: str | None,
    noted: bool,
    tokenizer: Path,
    run_cli: RunCli,
    tmp_path: Path,
) -> None:
    columns = {"text": pa.array(TEXT)}
    if ids:
        columns[ids] = pa.array([[1, 2]] * len(TEXT), pa.list_(pa.int32()))
    pq.write_table(pa.table(columns), tmp_path / "c.parquet")
    words = ("mine", tmp_path / "c.parquet", "--tokenizer", tokenizer, *options)
    made = run_cli(*words, "-o", tmp_path / "counts", "--json")
    assert made.exit_code == 0, made.stderr
    assert (f"column 'text' is tokenised with {tokenizer}: {why}" in made.stderr) == noted
    kept = json.loads((tmp_path / "counts" / "summary.json").read_text())["tokenised"]
    assert kept == made.json["tokenised"]
    if why is None:
        assert kept is None
    else:
        assert kept["why"].startswith(why)
        assert kept["tokenizer"] == str(tokenizer)
