"""The column that is read is the one that was named, whatever stands beside it."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from engramctl.corpus.corpus import Corpus
from engramctl.corpus.parquet import leaf_of, open_parquet
from engramctl.corpus.sample import train_tokenizer
from engramctl.errors import CorpusError
from engramctl.sources.file import SourceFile
from tests.corpus.documents import documents, write

IDS = pa.list_(pa.int32())
NEIGHBOURS: dict[str, pa.Array] = {
    "input_ids.source": pa.array(["web", "web"]),
    "input_ids.list": pa.array(["web", "x" * 99]),
    "input_ids.list.element": pa.array([[9, 9, 9], [9]], IDS),
    "input_ids.": pa.array([9.5, None]),
    "": pa.array([[9], [9]], IDS),
    "pair": pa.array([{"input_ids": [9], "text": "y"}, None]),
    "pair.input_ids": pa.array([[9], None], IDS),
    "map": pa.array([[("a", [9])], None], pa.map_(pa.string(), IDS)),
    "word": pa.array(["a", "b"]).dictionary_encode(),
    "nothing": pa.nulls(2),
    "extension": pa.ExtensionArray.from_storage(
        pa.fixed_shape_tensor(pa.int32(), [2]), pa.array([[9, 9], [9, 9]], pa.list_(pa.int32(), 2))
    ),
    "text": pa.array(["cat", "dog"]),
    "text.list": pa.array([["mat"], None]),
}


@pytest.mark.parametrize("is_last", [False, True])
@pytest.mark.parametrize(
    "column", ["input_ids", "a.b", "input_ids.list.element.x", "x.list", "é\n"]
)
def test_columns_whose_names_look_like_parts_of_ours_change_nothing(
    column: str, is_last: bool, tmp_path: Path
) -> None:
    rows = [[1, 2, 3], [], [3]]
    ours = {column: pa.array(rows, IDS)}
    others = {name: pa.concat_arrays([array, array[:1]]) for name, array in NEIGHBOURS.items()}
    table = pa.table({**others, **ours} if is_last else {**ours, **others})
    path = tmp_path / "a.parquet"
    pq.write_table(table, path, row_group_size=2)
    plain = Corpus.open([write(tmp_path / "plain.parquet", **ours)], column)
    beside = Corpus.open([path], column)
    assert documents(beside) == rows
    assert (beside.max_id, beside.tokens_hint) == (3, plain.tokens_hint)
    with pytest.raises(CorpusError, match=r"no column 'pair\.text'"):
        Corpus.open([path], "pair.text")


def test_a_column_of_text_is_sized_and_read_without_its_neighbours(tmp_path: Path) -> None:
    tokenizer = tmp_path / "tokenizer.json"
    train_tokenizer(["the cat", "the dog"] * 5, tokenizer, 300)
    plain = write(tmp_path / "a.parquet", text=NEIGHBOURS["text"])
    beside = write(tmp_path / "b.parquet", **NEIGHBOURS)
    of = [Corpus.open([path], tokenizer=tokenizer) for path in (plain, beside)]
    assert documents(of[0]) == documents(of[1])
    assert of[0].tokens_hint == of[1].tokens_hint


def test_two_columns_of_one_name_are_refused(tmp_path: Path) -> None:
    twice = pa.table([NEIGHBOURS[""], NEIGHBOURS[""]], names=["input_ids", "input_ids"])
    pq.write_table(twice, tmp_path / "a.parquet")
    with pytest.raises(CorpusError, match="more than one column"):
        Corpus.open([tmp_path])


def test_leaves_are_counted_as_parquet_counts_them(tmp_path: Path) -> None:
    path = write(tmp_path / "a.parquet", **NEIGHBOURS)
    with open_parquet(SourceFile.local(path)) as parquet:
        tops = [path[0] for path in parquet.reader.column_paths]
        for name in NEIGHBOURS:
            assert leaf_of(parquet.schema_arrow, name) == tops.index(name)
