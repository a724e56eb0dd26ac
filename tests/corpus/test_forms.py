"""A document is the same in whatever form its writer gave it, alone and beside plain files."""

from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from engramctl.corpus.corpus import Corpus
from engramctl.corpus.sample import train_tokenizer
from engramctl.errors import CorpusError
from engramctl.mining.local import mine
from tests.corpus.documents import documents, write

ROWS = [[1, 2, 3], None, [], [7]]
TEXTS = ["the cat", None, "", "dög"]
PAIRS = pa.array([[1, 2], [3, 4]], pa.list_(pa.int32(), 2))
IDS: dict[str, tuple[pa.Array, list[list[int]]]] = {
    "list_view": (pa.array(ROWS, pa.list_view(pa.int32())), [[1, 2, 3], [], [], [7]]),
    "large_list_view": (pa.array(ROWS, pa.large_list_view(pa.uint16())), [[1, 2, 3], [], [], [7]]),
    "list of a dictionary": (
        pa.ListArray.from_arrays([0, 2, 3], pa.array([5, 6, 5]).dictionary_encode()),
        [[5, 6], [5]],
    ),
    "tensor": (
        pa.ExtensionArray.from_storage(pa.fixed_shape_tensor(pa.int32(), [2]), PAIRS),
        [[1, 2], [3, 4]],
    ),
    "list<null>": (pa.array([[], None, []], pa.list_(pa.null())), [[], [], []]),
    "large_list<null>": (pa.array([[], None], pa.large_list(pa.null())), [[], []]),
    "fixed_size_list[0]": (pa.array([[], None, []], pa.list_(pa.int32(), 0)), [[], [], []]),
    "null": (pa.nulls(2), [[], []]),
    "no rows": (pa.array([], pa.list_(pa.int32())), []),
    "no rows of another type": (pa.array([], pa.list_(pa.float64())), []),
}
PLAIN = [[9, 8], []]
BYTES = [None if text is None else text.encode() for text in TEXTS]
TEXT_FORMS: dict[str, pa.Array] = {
    "dictionary": pa.array(TEXTS).dictionary_encode(),
    "string_view": pa.array(TEXTS, pa.string_view()),
    "large_string": pa.array(TEXTS, pa.large_string()),
    "binary": pa.array(BYTES, pa.binary()),
    "large_binary": pa.array(BYTES, pa.large_binary()),
    "binary_view": pa.array(BYTES, pa.binary()).cast(pa.binary_view()),
    "dictionary of binary": pa.array(BYTES).dictionary_encode(),
}


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("tokenizer") / "tokenizer.json"
    train_tokenizer(["the cat", "the dog"] * 5, path, 300)
    return path


@pytest.mark.parametrize("form", IDS)
def test_ids_in_any_form_are_read_first_and_last_among_plain_files(
    form: str, tmp_path: Path
) -> None:
    array, wanted = IDS[form]
    odd = write(tmp_path / "odd.parquet", input_ids=array)
    plain = write(tmp_path / "plain.parquet", input_ids=pa.array(PLAIN, pa.list_(pa.int32())))
    assert [one for one in documents(Corpus.open([odd, plain])) if one] == [
        one for one in wanted + PLAIN if one
    ]
    last = Corpus.open([plain, odd])
    assert (last.documents, last.column) == (len(wanted) + len(PLAIN), "input_ids")
    assert [one for one in documents(last) if one] == [one for one in PLAIN + wanted if one]


@pytest.mark.parametrize("form", TEXT_FORMS)
def test_text_in_any_form_gives_the_ids_of_plain_text(
    form: str, tokenizer: Path, tmp_path: Path
) -> None:
    plain = write(tmp_path / "plain.parquet", text=pa.array(TEXTS))
    odd = write(tmp_path / "odd.parquet", text=TEXT_FORMS[form])
    wanted = documents(Corpus.open([plain], tokenizer=tokenizer))
    assert wanted[1:3] == [[], []]
    assert documents(Corpus.open([odd], tokenizer=tokenizer)) == wanted
    nulls = write(tmp_path / "nulls.parquet", text=pa.nulls(2))
    mixed = Corpus.open([nulls, odd, plain], tokenizer=tokenizer)
    assert documents(mixed) == [[], [], *wanted, *wanted]


def test_a_file_without_rows_needs_no_column_where_another_file_has_one(tmp_path: Path) -> None:
    empty = write(tmp_path / "a.parquet", other=pa.array([], pa.string()))
    plain = write(tmp_path / "b.parquet", input_ids=pa.array(PLAIN, pa.list_(pa.int32())))
    corpus = Corpus.open([empty, plain])
    assert [Path(file.path) for file in corpus.files] == [empty, plain]
    assert mine(corpus, tmp_path / "counts")["tokens"] == 2
    with pytest.raises(CorpusError, match="none of the columns"):
        Corpus.open([empty])


def test_documents_that_are_all_empty_are_counted_as_nothing(tmp_path: Path) -> None:
    path = write(tmp_path / "a.parquet", input_ids=pa.array([[], []], pa.list_(pa.null())))
    summary = mine(Corpus.open([path]), tmp_path / "counts")
    assert (summary["tokens"], summary["documents"]) == (0, 2)
    assert [order["distinct"] for order in summary["orders"]] == [0, 0, 0, 0]
    none = write(tmp_path / "b.parquet", input_ids=pa.array([], pa.list_(pa.int32())))
    with pytest.raises(CorpusError, match="no documents"):
        mine(Corpus.open([none]), tmp_path / "none")


@pytest.mark.parametrize("kind", [pa.binary(), pa.string()], ids=str)
def test_bytes_that_are_no_text_are_named_with_their_row_and_can_be_left_out(
    kind: Any, tokenizer: Path, tmp_path: Path
) -> None:
    data = pa.array([b"the", b"cat", b"\xff\xfe", b"dog"])
    broken = data.view(pa.string()) if kind == pa.string() else data
    bad = write(tmp_path / "bad.parquet", text=broken)
    good = write(tmp_path / "good.parquet", text=pa.array(["the cat"]))
    with pytest.raises(CorpusError, match=r"bad\.parquet is not text in UTF-8") as caught:
        documents(Corpus.open([bad], tokenizer=tokenizer))
    assert caught.value.facts["row"] == ("2" if kind == pa.binary() else "0 to 3")
    corpus = Corpus.open([bad, good], tokenizer=tokenizer, skip_bad_files=True)
    assert [(Path(file.path), "not text" in reason) for file, reason in corpus.skipped] == [
        (bad, True)
    ]
    assert len(documents(corpus)) == 1


def test_nulls_among_ids_of_no_type_are_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "a.parquet", input_ids=pa.array([[], [None]], pa.list_(pa.null())))
    with pytest.raises(CorpusError, match="is null") as caught:
        documents(Corpus.open([path]))
    assert caught.value.facts["row"] == "1, position 0"
