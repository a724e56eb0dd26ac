from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engramctl.corpus.arrays import flat_lists
from engramctl.corpus.corpus import Corpus
from engramctl.corpus.sample import train_tokenizer
from engramctl.errors import ConfigError, CorpusError
from engramctl.sources.file import SourceFile
from tests.corpus.documents import documents, write

INTEGERS = [pa.int8(), pa.int16(), pa.int32(), pa.int64()]
INTEGERS += [pa.uint8(), pa.uint16(), pa.uint32(), pa.uint64()]
LISTS: dict[str, Callable[[Any], Any]] = {
    "list": pa.list_,
    "large_list": pa.large_list,
    "fixed_size_list": lambda kind: pa.list_(kind, 3),
}


def paths(corpus: Corpus) -> tuple[Path, ...]:
    return tuple(Path(file.path) for file in corpus.files)


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("tokenizer") / "tokenizer.json"
    train_tokenizer(["the cat sat on the mat", "the dog sat on the log"] * 5, path, 300)
    return path


@pytest.mark.parametrize("kind", INTEGERS, ids=str)
@pytest.mark.parametrize("make", LISTS.values(), ids=LISTS.keys())
def test_every_integer_list_is_read_and_a_null_list_is_an_empty_document(
    make: Callable[[Any], Any], kind: Any, tmp_path: Path
) -> None:
    rows = [[1, 2, 3], None, [100, 0, 127]]
    path = write(tmp_path / "a.parquet", input_ids=pa.array(rows, make(kind)))
    assert documents(Corpus.open([path])) == [[1, 2, 3], [], [100, 0, 127]]


@given(st.lists(st.none() | st.lists(st.integers(0, 99), min_size=2, max_size=2)), st.data())
@settings(deadline=None)
def test_slices_and_nulls_of_lists_are_respected(rows: list[Any], data: st.DataObject) -> None:
    start = data.draw(st.integers(0, len(rows)))
    stop = data.draw(st.integers(start, len(rows)))
    for kind in (pa.list_(pa.int32()), pa.large_list(pa.int32()), pa.list_(pa.int32(), 2)):
        values, offsets = flat_lists(
            pa.array(rows, kind)[start:stop], SourceFile.local(Path("x")), 0
        )
        full = [row or [] for row in rows[start:stop]]
        assert values.tolist() == [token for row in full for token in row]
        assert np.diff(offsets).tolist() == [len(row) for row in full]


def test_ids_up_to_the_largest_uint32_are_read(tmp_path: Path) -> None:
    rows = [[2**32 - 1, 0]]
    path = write(tmp_path / "a.parquet", input_ids=pa.array(rows, pa.list_(pa.uint64())))
    corpus = Corpus.open([path])
    assert corpus.max_id == 2**32 - 1
    assert documents(corpus) == rows


def test_folders_globs_and_files_name_each_file_once_in_order(tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    ids = pa.array([[1]], pa.list_(pa.int32()))
    first = write(tmp_path / "b.parquet", input_ids=ids)
    second = write(tmp_path / "deep" / "a.parquet", input_ids=ids)
    (tmp_path / "notes.txt").write_text("not read")
    assert paths(Corpus.open([tmp_path])) == (first, second)
    assert paths(Corpus.open([second, tmp_path])) == (second, first)
    assert paths(Corpus.open([str(tmp_path / "*.parquet")])) == (first,)
    assert paths(Corpus.open([str(tmp_path / "**" / "*.parquet")])) == (first, second)


def test_the_column_is_the_one_named_or_the_documented_default(
    tmp_path: Path, tokenizer: Path
) -> None:
    ids = pa.array([[1]], pa.list_(pa.int32()))
    path = write(tmp_path / "a.parquet", text=["the cat"], token_ids=ids, input_ids=ids, mine=ids)
    assert Corpus.open([path]).column == "input_ids"
    assert Corpus.open([path], tokenizer=tokenizer).column == "text"
    assert Corpus.open([path], "input_ids", tokenizer).tokenizer is None
    assert Corpus.open([path], column="mine").column == "mine"
    only = write(tmp_path / "b.parquet", token_ids=ids)
    assert Corpus.open([only]).column == "token_ids"
    assert Corpus.open([only], tokenizer=tokenizer).column == "token_ids"


@pytest.mark.parametrize("kind", [pa.string(), pa.large_string()], ids=str)
def test_text_is_tokenised_and_null_text_is_an_empty_document(
    kind: Any, tmp_path: Path, tokenizer: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tokenizers import Tokenizer

    monkeypatch.setattr("engramctl.corpus.arrays.BATCH_CHARACTERS", 20)
    texts = ["the cat sat", None, "", "the dog sat on the mat", "log"]
    path = write(tmp_path / "a.parquet", text=pa.array(texts, kind))
    model = Tokenizer.from_file(str(tokenizer))
    expected = [model.encode(text).ids if text else [] for text in texts]
    assert documents(Corpus.open([path], tokenizer=tokenizer)) == expected


def test_files_without_statistics_are_bounded_by_reading_them(tmp_path: Path) -> None:
    table = pa.table({"input_ids": pa.array([[1, 70_000]], pa.list_(pa.int32()))})
    pq.write_table(table, tmp_path / "a.parquet", write_statistics=False)
    corpus = Corpus.open([tmp_path])
    assert corpus.max_id is None
    assert corpus.bounded().max_id == 70_000


def test_progress_counts_every_token(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("engramctl.corpus.corpus.BATCH_TOKENS", 8)
    rows = pa.array([[1, 2, 3]] * 20, pa.list_(pa.int32()))
    corpus = Corpus.open([write(tmp_path / "a.parquet", input_ids=rows)])
    seen: list[int] = []
    assert sum(len(batch.ids) for batch in corpus.batches(seen.append)) == 60
    assert sum(seen) == corpus.tokens_hint == 60
    assert len(seen) > 5


def fails(corpus: Callable[[], Corpus]) -> CorpusError:
    with pytest.raises(CorpusError) as caught:
        list(corpus().batches())
    assert caught.value.hint
    return caught.value


@pytest.mark.parametrize(
    ("rows", "word"),
    [
        ([[1], [2, -7]], "negative"),
        ([[1], [2, 2**32]], "out of range"),
        ([[1], [2, None]], "null"),
    ],
)
def test_a_bad_id_is_named_with_file_row_and_position(
    rows: list[Any], word: str, tmp_path: Path
) -> None:
    column = pa.array(rows, pa.list_(pa.int64()))
    path = write(tmp_path / "a.parquet", input_ids=column)
    error = fails(lambda: Corpus.open([path]))
    assert word in error.message
    assert error.facts["file"] == SourceFile.local(path)
    assert error.facts["row"] == "1, position 1"


def test_ids_beyond_a_known_vocabulary_are_refused(tmp_path: Path, tokenizer: Path) -> None:
    column = pa.array([[1, 300]], pa.list_(pa.int16()))
    path = write(tmp_path / "a.parquet", input_ids=column)
    assert "300" in fails(lambda: Corpus.open([path], vocab_size=300)).message
    error = fails(lambda: Corpus.open([path], "input_ids", tokenizer))
    assert str(error.facts["expected"]).startswith("0 to 2")


def test_names_that_match_nothing_are_refused(tmp_path: Path) -> None:
    for name in (tmp_path, tmp_path / "none.parquet", tmp_path / "*.parquet"):
        fails(lambda name=name: Corpus.open([name]))  # type: ignore[misc]


def test_a_missing_column_shows_the_columns_there_are(tmp_path: Path) -> None:
    path = write(tmp_path / "a.parquet", words=["x"], number=[1])
    for column in (None, "input_ids"):
        error = fails(lambda column=column: Corpus.open([path], column))  # type: ignore[misc]
        assert error.facts["found"] == "words, number"


def test_a_column_missing_in_a_later_file_names_that_file(tmp_path: Path) -> None:
    write(tmp_path / "a.parquet", input_ids=pa.array([[1]], pa.list_(pa.int32())))
    other = write(tmp_path / "b.parquet", token_ids=pa.array([[1]], pa.list_(pa.int32())))
    assert fails(lambda: Corpus.open([tmp_path])).facts["file"] == SourceFile.local(other)


def test_ids_in_one_file_and_text_in_another_are_refused(tmp_path: Path, tokenizer: Path) -> None:
    write(tmp_path / "a.parquet", x=pa.array([[1]], pa.list_(pa.int32())))
    write(tmp_path / "b.parquet", x=["text"])
    with pytest.raises(CorpusError, match="token ids in one file and text in another"):
        Corpus.open([tmp_path], "x", tokenizer)


@pytest.mark.parametrize(
    "column",
    [
        pa.array([1, 2]),
        pa.array([[1.5]]),
        pa.array([[[1]]]),
        pa.array([["a"]]),
        pa.array([{"a": 1}]),
    ],
    ids=lambda column: str(column.type),
)
def test_a_column_of_another_type_is_refused(column: Any, tmp_path: Path) -> None:
    path = write(tmp_path / "a.parquet", input_ids=column)
    assert "found" in fails(lambda: Corpus.open([path])).facts


def test_text_without_a_tokenizer_says_how_to_give_one(tmp_path: Path) -> None:
    path = write(tmp_path / "a.parquet", text=["x"])
    for column in (None, "text"):
        with pytest.raises(ConfigError) as caught:
            Corpus.open([path], column)
        assert "--tokenizer" in str(caught.value.hint)


@pytest.mark.parametrize("content", ["", "{}", "not json"])
def test_a_broken_tokenizer_is_refused(content: str, tmp_path: Path) -> None:
    path = write(tmp_path / "a.parquet", text=["x"])
    model = tmp_path / "tokenizer.json"
    with pytest.raises(ConfigError, match="tokenizer"):
        Corpus.open([path], tokenizer=model)
    model.write_text(content)
    with pytest.raises(ConfigError, match="tokenizer"):
        Corpus.open([path], tokenizer=model)


def test_a_damaged_file_is_named_wherever_the_damage_is(tmp_path: Path) -> None:
    rows = pa.array(np.arange(60_000).reshape(-1, 6).tolist(), pa.list_(pa.int32()))
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({"input_ids": rows}), path, write_page_checksum=True)
    good = path.read_bytes()
    middle = len(good) // 3
    flipped = good[:middle] + bytes([good[middle] ^ 0x40]) + good[middle + 1 :]
    for broken in (b"", b"PAR1", good[:-100], b"x" * 500, good[:500] + good[-500:], flipped):
        path.write_bytes(broken)
        assert fails(lambda: Corpus.open([path])).facts["file"] == SourceFile.local(path)


def test_text_that_is_not_utf8_is_refused(tmp_path: Path, tokenizer: Path) -> None:
    raw = pa.array([b"good", b"\xff\xfe"])
    text = pa.Array.from_buffers(pa.string(), 2, raw.buffers())
    path = write(tmp_path / "a.parquet", text=text)
    assert fails(lambda: Corpus.open([path], tokenizer=tokenizer)).facts[
        "file"
    ] == SourceFile.local(path)


def test_memory_does_not_grow_with_the_file(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    ids = np.random.default_rng(0).integers(0, 2**31, 4_000_000, np.int32)
    lists = pa.ListArray.from_arrays(np.arange(0, len(ids) + 1, 100, dtype=np.int32), pa.array(ids))
    table = pa.table({"input_ids": lists})
    pq.write_table(table, path, row_group_size=1000, compression="none")
    before = pa.total_allocated_bytes()
    most = max(pa.total_allocated_bytes() for _ in Corpus.open([path]).batches())
    assert most - before < path.stat().st_size / 2
