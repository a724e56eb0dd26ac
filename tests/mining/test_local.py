import json
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
import xxhash
from hypothesis import given, settings
from hypothesis import strategies as st

from engramctl.corpus.corpus import Corpus
from engramctl.counting import reference
from engramctl.counting.count import Rows
from engramctl.errors import ConfigError
from engramctl.mining import writer
from engramctl.mining.local import mine
from engramctl.mining.options import MineOptions
from tests.helpers.corpora import file_bytes, read_rows, write_ids, zipf_documents

SPILLED: dict[str, Any] = {"chunk_tokens": 1 << 10, "resident_bytes": 0}


def check_against_reference(
    documents: list[list[int] | None], folder: Path, options: MineOptions
) -> None:
    source = write_ids(folder / "corpus.parquet", documents, row_group_size=7)
    target = folder / "counts"
    summary = mine(Corpus.open([source]), target, options)
    full = [document or [] for document in documents]
    assert summary["documents"] == len(full)
    assert summary["tokens"] == sum(map(len, full))
    for entry in summary["orders"]:
        order = entry["order"]
        expected = reference.rows(full, order, options.min_count)
        counts = reference.count_ngrams(full, order)
        assert read_rows(target, order) == expected
        assert entry["distinct"] == len(counts)
        assert entry["kept"] == len(expected)
        assert entry["occurrences"] == counts.total()
        assert entry["kept_occurrences"] == sum(times for _, times in expected)
        best = max(expected, key=lambda row: row[1], default=None)
        assert (entry["top"] and tuple(entry["top"]["token_ids"])) == (best and best[0])


@given(st.data())
@settings(max_examples=30, deadline=None)
def test_counts_equal_the_plain_count_for_any_ids_and_documents(data: st.DataObject) -> None:
    top = data.draw(st.sampled_from([1, 3, 2**16, 2**17 - 1, 2**18, 2**25 - 1, 2**26, 2**32 - 1]))
    ids = st.integers(0, min(top, 2)) | st.integers(max(0, top - 2), top)
    document = st.none() | st.lists(ids, max_size=12)
    documents = [[top], *data.draw(st.lists(document, max_size=30))]
    longest = 5 if top < 2**28 - 1 else 4
    orders = data.draw(st.sets(st.integers(1, longest), min_size=1))
    options = MineOptions(
        tuple(orders),
        min_count=data.draw(st.integers(1, 3)),
        chunk_tokens=data.draw(st.integers(5, 30)),
        resident_bytes=data.draw(st.sampled_from([0, 300, 1 << 30])),
        threads=data.draw(st.integers(1, 3)),
        partition_bits=data.draw(st.integers(1, 5)),
    )
    with tempfile.TemporaryDirectory() as folder:
        check_against_reference(documents, Path(folder), options)


@pytest.mark.parametrize("vocabulary", [50, 129_280, 2**19, 2**20, 2**25, 2**32])
def test_documents_longer_than_a_chunk_are_counted_across_its_border(
    vocabulary: int, tmp_path: Path
) -> None:
    documents: list[list[int] | None] = [*zipf_documents(1, 6_000, vocabulary)]
    documents.insert(3, [token for document in documents[:200] for token in document or []])
    check_against_reference(documents, tmp_path, MineOptions(min_count=2, **SPILLED))


def test_bytes_do_not_depend_on_memory_threads_partitions_or_batches(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writer, "ROW_GROUP_ROWS", 300)
    source = write_ids(tmp_path / "corpus.parquet", zipf_documents(2, 8_000, 129_280))
    corpus = Corpus.open([source])
    orders = (1, 2, 3, 4, 5)
    mine(corpus, tmp_path / "first", MineOptions(orders))
    expected = file_bytes(tmp_path / "first")
    ways = [
        MineOptions(orders, chunk_tokens=5, resident_bytes=0),
        MineOptions(orders, memory_bytes=1 << 30),
        MineOptions(orders, threads=1, partition_bits=1, resident_bytes=5000, chunk_tokens=100),
        MineOptions(orders, threads=3, partition_bits=12, **SPILLED),
        MineOptions((5, 3, 1, 2, 4), tmp_dir=tmp_path / "elsewhere" / "deep", **SPILLED),
    ]
    for number, options in enumerate(ways):
        monkeypatch.setattr("engramctl.corpus.corpus.BATCH_TOKENS", 1 << (4 + 3 * number))
        mine(corpus, tmp_path / str(number), options)
        assert file_bytes(tmp_path / str(number)) == expected
    assert list((tmp_path / "elsewhere" / "deep").iterdir()) == []


def test_a_shorter_list_of_orders_gives_the_same_files(tmp_path: Path) -> None:
    source = write_ids(tmp_path / "corpus.parquet", zipf_documents(5, 6_000, 3_000))
    corpus = Corpus.open([source])
    for min_count in (1, 2):
        mine(corpus, tmp_path / "all", MineOptions((1, 2, 3, 4, 5), min_count), force=True)
        for order in (1, 2, 3, 4, 5):
            mine(corpus, tmp_path / "one", MineOptions((order,), min_count), force=True)
            name = f"order{order}.parquet"
            assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "all" / name).read_bytes()


@pytest.mark.parametrize("top_k", [1, 50, 10**5])
def test_the_top_k_of_every_order_are_written_in_row_order(top_k: int, tmp_path: Path) -> None:
    documents = zipf_documents(6, 4_000, 500)
    source = write_ids(tmp_path / "corpus.parquet", documents)
    options = MineOptions((1, 2, 3), min_count=2, top_k=top_k)
    summary = mine(Corpus.open([source]), tmp_path / "counts", options)
    assert summary["top_k"] == top_k
    assert json.loads((tmp_path / "counts" / "manifest.json").read_text())["top_k"] == top_k
    for entry in summary["orders"]:
        rows = reference.rows(documents, entry["order"], 2)
        best = sorted(range(len(rows)), key=lambda row: (-rows[row][1], row))[:top_k]
        assert read_rows(tmp_path / "counts", entry["order"]) == [rows[row] for row in sorted(best)]
        assert entry["kept"] == len(best)
        assert entry["distinct"] == len(reference.count_ngrams(documents, entry["order"]))


def test_a_sink_sees_every_distinct_ngram_while_only_the_kept_are_written(tmp_path: Path) -> None:
    documents = zipf_documents(8, 5_000, 900)
    source = write_ids(tmp_path / "corpus.parquet", documents)
    seen: dict[int, list[Any]] = {1: [], 2: [], 3: []}

    def sink(order: int, rows: Rows) -> None:
        assert rows.counts.dtype == np.uint64
        seen[order] += zip(map(tuple, rows.ids.tolist()), rows.counts.tolist(), strict=True)

    corpus = Corpus.open([source])
    options = MineOptions((1, 2, 3), min_count=3, top_k=20)
    mine(corpus, tmp_path / "with", options, sink=sink)
    for order, rows in seen.items():
        assert rows == reference.rows(documents, order)
    mine(corpus, tmp_path / "without", options)
    assert file_bytes(tmp_path / "with") == file_bytes(tmp_path / "without")


def test_rows_do_not_depend_on_how_documents_are_split_into_files(tmp_path: Path) -> None:
    documents = zipf_documents(3, 5_000, 3_000)
    one = write_ids(tmp_path / "one.parquet", documents)
    parts = tmp_path / "parts"
    parts.mkdir()
    write_ids(parts / "a.parquet", documents[:10], row_group_size=3)
    write_ids(parts / "b.parquet", documents[10:], write_statistics=False)
    mine(Corpus.open([one]), tmp_path / "x")
    mine(Corpus.open([parts]), tmp_path / "y")
    for order in (1, 2, 3, 4):
        name = f"order{order}.parquet"
        assert (tmp_path / "x" / name).read_bytes() == (tmp_path / "y" / name).read_bytes()


def test_files_have_the_promised_types_and_row_groups(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writer, "ROW_GROUP_ROWS", 100)
    source = write_ids(tmp_path / "corpus.parquet", zipf_documents(4, 2_000, 500))
    mine(Corpus.open([source]), tmp_path / "counts", MineOptions(orders=(3,)))
    parquet = pq.ParquetFile(tmp_path / "counts" / "order3.parquet")
    assert str(parquet.schema_arrow.field("token_ids").type).startswith("fixed_size_list<")
    assert str(parquet.schema_arrow.field("token_ids").type.value_type) == "uint32"
    assert str(parquet.schema_arrow.field("count").type) == "uint64"
    sizes = [parquet.metadata.row_group(g).num_rows for g in range(parquet.num_row_groups)]
    assert set(sizes[:-1]) == {100}
    assert 0 < sizes[-1] <= 100


def test_the_manifest_names_the_corpus_and_every_file_with_its_digest(tmp_path: Path) -> None:
    source = write_ids(tmp_path / "corpus.parquet", [[1, 2, 3], [], [1, 2]])
    summary = mine(Corpus.open([source]), tmp_path / "counts", MineOptions((2, 4), min_count=2))
    counts = tmp_path / "counts"
    assert sorted(file.name for file in counts.iterdir()) == [
        "manifest.json", "order2.parquet", "order4.parquet", "summary.json",
    ]  # fmt: skip
    assert json.loads((counts / "summary.json").read_text()) == summary
    manifest = json.loads((counts / "manifest.json").read_text())
    assert manifest["schema"] == "engramctl.counts/1"
    assert (manifest["tokens"], manifest["documents"], manifest["min_count"]) == (5, 3, 2)
    assert manifest["tokenizer_xxh3_128"] is None
    for entry, folder in [*((e, counts) for e in manifest["orders"]),
                          *((e, Path()) for e in manifest["corpus"])]:  # fmt: skip
        content = (folder / entry["file"]).read_bytes()
        assert entry["bytes"] == len(content)
        assert entry["xxh3_128"] == xxhash.xxh3_128_hexdigest(content)
    assert [(e["order"], e["distinct"], e["kept"]) for e in manifest["orders"]] == [
        (2, 2, 1), (4, 0, 0),
    ]  # fmt: skip


@pytest.mark.parametrize("orders", [(), (0,), (6,), (2, 2)])
def test_orders_that_cannot_be_counted_are_refused(orders: tuple[int, ...]) -> None:
    with pytest.raises(ConfigError):
        MineOptions(orders=orders)


def test_a_min_count_below_one_is_refused() -> None:
    with pytest.raises(ConfigError):
        MineOptions(min_count=0)


def test_memory_below_what_mining_needs_is_refused_with_the_figure() -> None:
    least = MineOptions((2, 3)).least_memory_bytes
    MineOptions((2, 3), memory_bytes=least)
    with pytest.raises(ConfigError, match=f"{least >> 20} MiB"):
        MineOptions((2, 3), memory_bytes=least - 1)


def test_order_5_of_huge_ids_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    source = write_ids(tmp_path / "corpus.parquet", [[2**28, 1, 2]])
    with pytest.raises(ConfigError, match="order 5"):
        mine(Corpus.open([source]), tmp_path / "counts", MineOptions((5,)))
    assert [file.name for file in tmp_path.iterdir()] == ["corpus.parquet"]
