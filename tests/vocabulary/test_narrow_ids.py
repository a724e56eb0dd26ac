"""Ids that were cut to 16 bits before they came here are told where counts are made and shown."""

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tokenizers import Tokenizer, models, pre_tokenizers

from tests.conftest import RunCli

NUM_WORDS = 70_000


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory: pytest.TempPathFactory) -> Path:
    words = {f"w{number}": number for number in range(NUM_WORDS)}
    made = Tokenizer(models.WordLevel(words, unk_token="w0"))
    made.pre_tokenizer = pre_tokenizers.Whitespace()
    path = tmp_path_factory.mktemp("words") / "tokenizer.json"
    made.save(str(path))
    return path


def notes(run_cli: RunCli, folder: Path, tokenizer: Path, ids: list[int], kind: Any) -> list[bool]:
    """Whether `mine` and `inspect` tell of 16 bits."""
    corpus, counts = folder / "a.parquet", folder / "counts"
    pq.write_table(pa.table({"input_ids": pa.array([ids], pa.list_(kind))}), corpus)
    words = ("--tokenizer", tokenizer)
    made = run_cli("mine", corpus, *words, "--column", "input_ids", "-o", counts, "--orders", 1)
    shown = run_cli("inspect", counts, *words)
    assert (made.exit_code, shown.exit_code) == (0, 0)
    return ["16 bits" in one.stderr for one in (made, shown)]


@pytest.mark.parametrize(
    ("largest", "kind", "told"),
    [
        (65_535, pa.int32(), [True, True]),
        (65_535, pa.uint16(), [True, True]),
        (300, pa.uint16(), [True, False]),
        (300, pa.int32(), [False, False]),
        (65_536, pa.int32(), [False, False]),
    ],
    ids=["widened again", "as stored", "few ids, as stored", "few ids", "one above"],
)
def test_ids_that_stop_at_16_bits_are_told(
    largest: int, kind: Any, told: list[bool], tokenizer: Path, tmp_path: Path, run_cli: RunCli
) -> None:
    ids = np.linspace(0, largest, 50).astype(int).tolist()
    assert notes(run_cli, tmp_path, tokenizer, ids, kind) == told
