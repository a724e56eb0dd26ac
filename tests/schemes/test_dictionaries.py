"""The dictionary of mined counts is the one a plain Python ranking gives."""

import json
import shutil
from collections import Counter
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from engramctl.errors import ConfigError, CorpusError, FormatError
from engramctl.hashing.walk.token_map import Canonical
from engramctl.schemes.dictionaries import Best, Selection, dictionary_of_counts
from tests.conftest import run_in_process
from tests.helpers.corpora import write_ids, zipf_documents
from tests.helpers.mined_counts import mined, small_scheme

DOCUMENTS = zipf_documents(seed=3, tokens=6000, vocabulary=40)
Ranked = list[tuple[int, ...]]


@pytest.fixture(scope="module")
def counts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("dictionaries")
    corpus = write_ids(folder / "corpus.parquet", DOCUMENTS)
    assert run_in_process("mine", corpus, "-o", folder / "counts", "-q").exit_code == 0
    return folder / "counts"


def ranked(
    min_count: int, orders: tuple[int, ...], token_map: NDArray[np.int32] | None = None
) -> Ranked:
    """Every n-gram that is frequent enough, in rank order, by a Counter."""
    found: Counter[tuple[int, ...]] = Counter()
    for document in DOCUMENTS:
        ids = document if token_map is None else token_map[document].tolist()
        for n in orders:
            found.update(tuple(ids[t : t + n]) for t in range(len(ids) - n + 1))
    often = [(-count, len(key), key) for key, count in found.items() if count >= min_count]
    return [key for _, _, key in sorted(often)]


@pytest.mark.parametrize("orders", [None, (2,), (2, 4), (3, 4)])
@pytest.mark.parametrize(("entries", "min_count"), [(1, 1), (37, 5), (900, 2), (10**6, 5)])
def test_the_most_frequent_are_kept_in_rank_order(
    counts: Path, entries: int, min_count: int, orders: tuple[int, ...] | None
) -> None:
    scheme = dictionary_of_counts(Selection(counts, entries, min_count, orders))
    expected = ranked(min_count, orders or (2, 3, 4))[:entries]
    assert [scheme.ngrams[rank] for rank in range(len(scheme.ngrams))] == expected
    assert scheme.orders == (orders or (2, 3, 4))
    assert (scheme.vocab_size, scheme.layers) == (64, (0,))


def test_ids_that_the_token_map_merges_are_counted_together(counts: Path) -> None:
    token_map = (np.arange(64) // 3).astype(np.int32)
    scheme = dictionary_of_counts(Selection(counts, 300, 5), Canonical.mapped(token_map))
    expected = ranked(5, (2, 3, 4), token_map)
    assert len(expected) > 300
    assert [scheme.ngrams[rank] for rank in range(len(scheme.ngrams))] == expected[:300]
    assert scheme.vocab_size == 64


@pytest.fixture(scope="module")
def canonical_counts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Counts of canonical ids, three token ids each; their manifest holds the map."""
    folder = tmp_path_factory.mktemp("canonical")
    scheme = small_scheme("deepseek-v41", 64, mapped=True, eos_id=6, slots=50)
    return mined(folder, scheme, DOCUMENTS, canonical=True)[1]


@pytest.mark.parametrize(("entries", "min_count"), [(37, 1), (300, 5), (10**6, 5)])
def test_counts_of_canonical_ids_give_the_dictionary_of_counts_of_token_ids(
    entries: int, min_count: int, counts: Path, canonical_counts: Path
) -> None:
    step = Canonical.mapped(np.arange(64) // 3)
    raw = dictionary_of_counts(Selection(counts, entries, min_count), step)
    for given_step in (None, step):
        found = dictionary_of_counts(Selection(canonical_counts, entries, min_count), given_step)
        assert found.to_dict() == raw.to_dict()
    document = DOCUMENTS[0][:50]
    assert (found.row_ids(document, 0) == raw.row_ids(document, 0)).all()
    if min_count == 1:
        assert (found.row_ids(document, 0) >= 0).any()


def test_counts_of_canonical_ids_are_read_with_no_other_map(
    canonical_counts: Path, tmp_path: Path
) -> None:
    for step in (Canonical.mapped(np.arange(64) // 2), Canonical.identity(64)):
        with pytest.raises(CorpusError, match="another token map"):
            dictionary_of_counts(Selection(canonical_counts), step)
    with pytest.raises(ConfigError, match="canonical ids") as caught:
        dictionary_of_counts(Selection(canonical_counts, vocab_size=64))
    assert "--vocab-size" in (caught.value.hint or "")
    copy = tmp_path / "counts"
    shutil.copytree(canonical_counts, copy)
    manifest = json.loads((copy / "manifest.json").read_text())
    for wrong in (None, {}, {"canonical": None}, {"canonical": {"kind": "zeroed", "num_ids": "x"}}):
        (copy / "manifest.json").write_text(json.dumps({**manifest, "scheme": wrong}))
        with pytest.raises(FormatError, match="does not hold their token map"):
            dictionary_of_counts(Selection(copy))


@given(data=st.data(), entries=st.integers(1, 12))
@settings(max_examples=60, deadline=None)
def test_pruning_on_the_way_changes_nothing(data: st.DataObject, entries: int) -> None:
    ids = st.integers(0, 3)
    every = data.draw(
        st.lists(st.one_of(st.tuples(ids, ids), st.tuples(ids, ids, ids)), unique=True, max_size=60)
    )
    times = data.draw(st.lists(st.integers(1, 4), min_size=len(every), max_size=len(every)))
    best = Best(entries, 3)
    best.add(np.empty((0, 2), np.int32), np.empty(0, np.uint64))
    for ngram, count in zip(every, times, strict=True):
        best.add(np.array([ngram], np.int32), np.array([count], np.uint64))
    found = best.ranked()
    keys = sorted((-count, len(key), key) for key, count in zip(every, times, strict=True))
    assert [found[rank] for rank in range(len(found))] == [key for *_, key in keys][:entries]


def test_counts_without_the_orders_are_refused(counts: Path, tmp_path: Path) -> None:
    with pytest.raises(FormatError, match="lacks n-grams") as caught:
        dictionary_of_counts(Selection(counts, orders=(2, 5)))
    assert "--orders 2,5" in (caught.value.hint or "")
    only = tmp_path / "ones"
    corpus = write_ids(tmp_path / "c.parquet", [[1, 2, 3]])
    assert run_in_process("mine", corpus, "-o", only, "--orders", "1", "-q").exit_code == 0
    with pytest.raises(FormatError, match="lacks n-grams"):
        dictionary_of_counts(Selection(only))
    with pytest.raises(FormatError, match="look in ones"):
        dictionary_of_counts(Selection(tmp_path))


def test_numbers_out_of_range_and_rare_ngrams_are_refused(counts: Path) -> None:
    for wrong in (Selection(counts, entries=0), Selection(counts, 2**25), Selection(counts, 9, 0)):
        with pytest.raises(ConfigError, match="cannot be made"):
            dictionary_of_counts(wrong)
    with pytest.raises(ConfigError, match="occurs 100,000 times"):
        dictionary_of_counts(Selection(counts, min_count=100_000))
    with pytest.raises(CorpusError, match="outside the scheme's vocabulary"):
        dictionary_of_counts(Selection(counts, vocab_size=39))


def test_counts_that_hold_no_ngram_are_refused(tmp_path: Path) -> None:
    corpus = write_ids(tmp_path / "corpus.parquet", [[1, 2, 3]])
    words = ("mine", corpus, "-o", tmp_path / "rare", "--orders", "2,3", "--min-count", 2**63 - 1)
    assert run_in_process(*words, "-q").exit_code == 0
    with pytest.raises(ConfigError, match="occurs 5 times"):
        dictionary_of_counts(Selection(tmp_path / "rare"))


@pytest.mark.parametrize("kind", [pa.list_(pa.uint32()), pa.list_(pa.int64(), 2), pa.int64()])
def test_a_file_of_other_columns_is_refused(
    counts: Path, tmp_path: Path, kind: pa.DataType
) -> None:
    copy = tmp_path / "counts"
    copy.mkdir()
    for file in counts.iterdir():
        (copy / file.name).write_bytes(file.read_bytes())
    rows = [7] if kind == pa.int64() else [[1, 2]]
    table = pa.table({"token_ids": pa.array(rows, kind), "count": pa.array([9], pa.uint64())})
    pq.write_table(table, copy / "order2.parquet")
    with pytest.raises(CorpusError, match=r"order2\.parquet holds no counts of order 2"):
        dictionary_of_counts(Selection(copy))
    (copy / "order2.parquet").write_bytes(b"PAR1")
    with pytest.raises(CorpusError, match=r"cannot read order2\.parquet"):
        dictionary_of_counts(Selection(copy))
