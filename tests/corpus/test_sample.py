from pathlib import Path

import numpy as np
import pyarrow.parquet as pq

from engramctl.corpus.corpus import Corpus
from engramctl.corpus.sample import stdlib_files, write_sample_corpus


def test_the_sample_is_the_librarys_own_source_within_the_size() -> None:
    files = stdlib_files(1_000_000)
    assert sum(file.stat().st_size for file in files) <= 1_000_000
    assert len(files) > 20
    parts = {part for file in files for part in file.parts}
    assert not parts & {"test", "tests", "idle_test", "site-packages", "__pycache__"}
    assert files == stdlib_files(1_000_000)


def test_two_runs_write_the_same_bytes(tmp_path: Path) -> None:
    first = write_sample_corpus(tmp_path / "a", max_bytes=400_000, vocab_size=1024)
    second = write_sample_corpus(tmp_path / "b", max_bytes=400_000, vocab_size=1024)
    assert first.parquet.read_bytes() == second.parquet.read_bytes()
    assert first.tokenizer.read_bytes() == second.tokenizer.read_bytes()


def test_ids_and_text_of_the_sample_say_the_same(tmp_path: Path) -> None:
    done: list[int] = []
    made = write_sample_corpus(tmp_path, progress=done.append, max_bytes=400_000, vocab_size=1024)
    schema = {field.name: str(field.type) for field in pq.read_schema(made.parquet)}
    assert schema["doc_id"] == "int64"
    assert schema["input_ids"] == "list<element: int32>"
    assert sum(done) == made.documents
    ids = Corpus.open([made.parquet], "input_ids")
    text = Corpus.open([made.parquet], "text", made.tokenizer)
    assert ids.max_id is not None
    assert ids.max_id < 1024
    from_ids = np.concatenate([batch.ids for batch in ids.batches()])
    from_text = np.concatenate([batch.ids for batch in text.batches()])
    assert np.array_equal(from_ids, from_text)
    assert len(from_ids) == made.tokens > 100_000
