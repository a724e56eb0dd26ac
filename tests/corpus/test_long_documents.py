"""A document given in pieces is the document, whoever wrote it, and its n-grams are all counted."""

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from engramctl.corpus import long_documents
from engramctl.corpus.batch import TokenBatch
from engramctl.corpus.corpus import Corpus
from engramctl.errors import CorpusError
from engramctl.hashing import make_scheme
from engramctl.mining.local import mine
from engramctl.mining.options import MineOptions
from tests.corpus.documents import documents

OPTIONS: dict[str, dict[str, Any]] = {
    "as pyarrow does": {},
    "plain": {"use_dictionary": False, "compression": "none", "data_page_size": 900},
    "version 2": {"data_page_version": "2.0", "compression": "zstd", "data_page_size": 900},
    "plain, version 2": {"data_page_version": "2.0", "use_dictionary": False},
    "dictionary given up": {"dictionary_pagesize_limit": 64, "compression": "gzip"},
    "checksums, groups": {"write_page_checksum": True, "row_group_size": 2},
}


@pytest.fixture(autouse=True)
def short_is_long(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, size in (("LONG_IDS", 20), ("MEAN_IDS", 1), ("PIECE_IDS", 16)):
        monkeypatch.setattr(long_documents, name, size)


def rows(seed: int) -> list[list[int] | None]:
    """Documents of no, some and many ids; a null among them."""
    rng = np.random.default_rng(seed)
    lengths = [0, 3, 0, 500, 16, 17, *rng.integers(0, 90, 9).tolist(), 1000, 0]
    made: list[list[int] | None] = [rng.integers(0, 120, length).tolist() for length in lengths]
    made[2] = None
    return made


def joined(batches: list[TokenBatch]) -> list[list[int]]:
    """Put pieces together again."""
    found: list[list[int]] = []
    for batch in batches:
        if batch.is_cut or batch.goes_on:
            assert len(batch.offsets) == 2
            assert len(batch.ids)
        parts = [part.tolist() for part in np.split(batch.ids, batch.offsets[1:-1])]
        if batch.goes_on:
            found[-1] += parts.pop(0)
        found += parts
    return found


def written(path: Path, made: Any, kind: Any, **options: Any) -> Path:
    pq.write_table(
        pa.table({"x": [1] * len(made), "input_ids": pa.array(made, kind)}), path, **options
    )
    return path


@pytest.mark.parametrize("form", OPTIONS)
@pytest.mark.parametrize(
    "kind",
    [
        pa.list_(pa.int32()),
        pa.large_list(pa.int64()),
        pa.list_(pa.uint8()),
        pa.list_view(pa.uint32()),
        pa.list_(pa.field("id", pa.uint64(), nullable=False)),
    ],
    ids=str,
)
def test_pieces_joined_are_the_documents(form: str, kind: Any, tmp_path: Path) -> None:
    made = rows(1)
    path = written(tmp_path / "a.parquet", made, kind, **OPTIONS[form])
    corpus = Corpus.open([path])
    pieces = list(corpus.batches(pieces=True))
    assert any(batch.is_cut for batch in pieces)
    assert joined(pieces) == [row or [] for row in made] == documents(corpus)
    assert sum(batch.num_documents for batch in pieces) == len(made)


def test_counts_and_rows_read_are_those_of_whole_documents(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = written(tmp_path / "a.parquet", rows(2), pa.list_(pa.int32()))
    scheme = make_scheme("engram", slots=23, orders=[2, 3], heads_per_order=2)
    found = []
    for name in ("pieces", "whole"):
        if name == "whole":
            monkeypatch.setattr(long_documents, "LONG_IDS", 1 << 30)
        target, options = tmp_path / name, MineOptions((1, 2, 3, 5), chunk_tokens=40)
        summary = mine(Corpus.open([path]), target, options, scheme=scheme)
        found.append({one.name: one.read_bytes() for one in target.glob("*.parquet")} | summary)
    assert found[0] == found[1]


def test_chunks_of_any_size_hold_the_same_documents(tmp_path: Path) -> None:
    from engramctl.counting.chunks import cut_chunks

    corpus = Corpus.open([written(tmp_path / "a.parquet", rows(3), pa.list_(pa.int32()))])
    for size in (5, 6, 16, 17, 33, 5000):
        whole = list(cut_chunks(corpus.batches(), size))
        cut = list(cut_chunks(corpus.batches(pieces=True), size))
        for one, other in zip(whole, cut, strict=True):
            assert one.ids.tolist() == other.ids.tolist()
            assert one.tail == other.tail
            assert set(one.offsets.tolist()) == set(other.offsets.tolist())


def test_an_id_out_of_range_in_a_piece_is_named_by_its_place(tmp_path: Path) -> None:
    made = [[1], [5] * 400]
    made[1][333] = -7
    corpus = Corpus.open([written(tmp_path / "a.parquet", made, pa.list_(pa.int32()))])
    with pytest.raises(CorpusError, match="negative") as caught:
        list(corpus.batches(pieces=True))
    assert caught.value.facts["row"] == "1, position 333"


def test_a_null_id_and_a_broken_page_are_errors_that_name_the_file(tmp_path: Path) -> None:
    made: list[Any] = [[1], [5] * 400]
    made[1][90] = None
    null = Corpus.open([written(tmp_path / "null.parquet", made, pa.list_(pa.int32()))])
    with pytest.raises(CorpusError, match=r"null\.parquet") as caught:
        list(null.batches(pieces=True))
    assert "is null, in row" in str(caught.value.facts["found"])

    path = written(tmp_path / "broken.parquet", rows(4), pa.list_(pa.int32()), **OPTIONS["plain"],
                   write_page_checksum=True)  # fmt: skip
    chunk = pq.ParquetFile(path).metadata.row_group(0).column(1)
    data = bytearray(path.read_bytes())
    data[chunk.data_page_offset + chunk.total_compressed_size // 2] ^= 255
    path.write_bytes(data)
    with pytest.raises(CorpusError, match=r"broken\.parquet"):
        list(Corpus.open([path]).batches(pieces=True))


def test_a_checkpoint_is_made_between_documents_alone(tmp_path: Path) -> None:
    from engramctl.mining.reading import CorpusReader

    corpus = Corpus.open([written(tmp_path / "a.parquet", rows(5), pa.list_(pa.int32()))])
    whole = CorpusReader(corpus, None, lambda tokens: None)
    everything = [batch for batch in whole.segment(1e9)]
    reader, states = CorpusReader(corpus, None, lambda tokens: None), []
    while not reader.finished:
        last = [batch for batch in reader.segment(0)]
        assert not last or not last[-1].is_cut
        states.append(reader.position.state())
    assert states[-1] == whole.position.state()
    for state in states[:-1]:
        rest = CorpusReader(corpus, state, lambda tokens: None)
        left = joined(list(rest.segment(1e9)))
        assert left == joined(everything)[state["document"] :]
        assert rest.position.state() == whole.position.state()
