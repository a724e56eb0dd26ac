"""What the benchmark `cache` counts is what plain code counts."""

import io
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engramctl.caches import reference
from engramctl.hashing import make_scheme
from engramctl.storage.io.pages import PAGE
from tests.benchmarks.caching import page_child
from tests.benchmarks.caching.groups import PageGroup
from tests.benchmarks.caching.policies import (
    HIT,
    LEAST_TOKENS,
    cache_rows,
    lru_misses,
    lru_rows,
    of_trace,
    part_of_bytes,
    s3_misses,
)
from tests.benchmarks.caching.texts import Domain, Texts, is_unseen, library, named_files, read
from tests.benchmarks.caching.traces import (
    all_columns,
    firsts,
    one_column,
    row_ids,
    trace,
    turns,
)
from tests.benchmarks.cold.table import A_PAGE

SCHEME = make_scheme("deepseek-v41", slots=97)
MIB = 1 << 20


def domain(lengths: list[int], seed: int = 0, ids: int = 500) -> Domain:
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    random = np.random.default_rng(seed)
    return Domain("text", True, random.integers(0, ids, offsets[-1]).astype(np.uint32), offsets)


@given(st.lists(st.integers(0, 9), max_size=40), st.integers(1, 5))
def test_documents_take_turns_as_plain_code_says(lengths: list[int], streams: int) -> None:
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    documents = [list(range(a, b)) for a, b in pairwise(offsets.tolist())]
    if not offsets[-1]:
        return
    expected = [at for one in documents for at in one]
    if streams > 1:
        expected = reference.interleave(documents, streams)
    assert turns(offsets, streams).tolist() == expected


@pytest.mark.parametrize("columns", [all_columns(SCHEME), one_column(SCHEME)])
def test_rows_are_those_of_each_document_alone_and_no_layer_shares_any(
    columns: dict[int, list[int]],
) -> None:
    text = domain([5, 1, 0, 9])
    found = row_ids(SCHEME, text, columns)
    base = at = 0
    for layer in SCHEME.layers:
        for begin, end in pairwise(text.offsets.tolist()):
            alone = SCHEME.row_ids(text.ids[begin:end].astype(np.int64), layer)
            wanted = alone[:, columns.get(layer, [])] + base
            assert np.array_equal(found[begin:end, at : at + wanted.shape[1]], wanted)
        at += len(columns.get(layer, []))
        base += -(-SCHEME.num_rows(layer) // A_PAGE) * A_PAGE
    assert at == found.shape[1]


@given(st.lists(st.lists(st.integers(0, 9), min_size=2, max_size=2), min_size=8, max_size=60))
def test_each_row_is_asked_for_once_a_chunk_in_order(rows: list[list[int]]) -> None:
    found = trace(np.array(rows), 4)
    begin = 0
    for number, end in enumerate(found.ends.tolist()):
        flat = [id for row in rows[4 * number : 4 * number + 4] for id in row]
        assert found.rows[begin:end].tolist() == list(dict.fromkeys(flat))
        begin = end
    assert len(found.ends) == len(rows) // 4 // 2 * 2
    assert found.middle + found.asked == len(found.rows)
    assert found.lookups == len(found.ends) // 2 * 8


def test_the_first_of_each_value_stays() -> None:
    assert firsts(np.array([3, 1, 3, 2, 1])).tolist() == [0, 1, 3]


@given(st.lists(st.integers(0, 30), min_size=16, max_size=200), st.integers(10, 25))
def test_misses_are_those_of_caches_in_plain_python(rows: list[int], size: int) -> None:
    found = trace(np.array(rows)[:, None], 2)
    asked, middle = found.rows.tolist(), found.middle
    plain = reference.S3FifoReference(size)
    missed = [not plain.access(row) for row in asked]
    assert s3_misses(found, size) == sum(missed[middle:])
    hits = reference.lru_hits(asked, size) - reference.lru_hits(asked[:middle], size)
    assert lru_misses(found, [size]) == {size: found.asked - hits}


def test_a_cache_holds_its_metadata_too() -> None:
    for rows in (cache_rows, lru_rows):
        assert 264 < MIB / rows(MIB) < 300
    assert part_of_bytes(SCHEME) == 16


@pytest.mark.parametrize("mined", [True, False])
def test_hits_are_of_all_lookups_and_of_what_dedup_leaves(mined: bool) -> None:
    random = np.random.default_rng(1)
    found = trace((random.zipf(1.3, (1 << 14, 3)) % 5000).astype(np.int64))
    text = Domain("words", mined, np.empty(0, np.uint32), np.zeros(1, np.int64))
    against_lru, all_lookups, dedup = of_trace(found, text, 1, 16, [MIB, 4 * MIB])
    assert set(against_lru["misses"]) == {MIB, 4 * MIB}
    missed = s3_misses(found, cache_rows(4 * MIB // 16))
    assert all_lookups["hit"] == 1 - missed / found.lookups
    assert dedup["hit_after_dedup"] == 1 - missed / found.asked
    assert f"to be {HIT[mined]}" in all_lookups["bound"]
    assert ("in-domain" if mined else "unseen") in against_lru["name"]
    assert found.tokens < LEAST_TOKENS
    assert against_lru["target"] is all_lookups["target"] is None


def test_documents_are_cut_and_chosen_whole() -> None:
    text = domain([3, 4, 5])
    assert text.first(5).offsets.tolist() == [0, 3, 5]
    assert text.first(99).offsets.tolist() == text.offsets.tolist()
    some = text.part(np.array([True, False, True]))
    assert some.ids.tolist() == [*text.ids[:3], *text.ids[7:]]
    assert some.offsets.tolist() == [0, 3, 8]


def test_the_library_is_split_into_packages_that_none_share(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tests.benchmarks.caching.texts.tokenizer_path", lambda: None)
    files = library(tmp_path, 1_500_000)
    mined, unseen = (read(file, number == 0) for number, file in enumerate(files))
    assert len(mined.ids) > 10_000
    assert len(unseen.ids) > 10_000
    assert is_unseen("asyncio/tasks.py")
    assert not is_unseen("asyncio_not.py")
    assert named_files([str(tmp_path)])[0] == max(files, key=lambda file: file.stat().st_size)
    assert Texts((mined, unseen), SCHEME, "").domains[0].title == "stdlib (in-domain)"


def test_the_reading_process_counts_pages_that_were_absent(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "pages"
    with file.open("wb") as handle:
        handle.truncate(64 * PAGE)
    chunks = [[5, 9, 5], [9, 10], [63]]
    sent = b"".join(
        np.int64(len(one)).tobytes() + np.array(one, np.int32).tobytes() for one in chunks
    )
    page_child.served(str(file), io.BytesIO(sent))
    assert capsys.readouterr().out.split() == ["ready", "2", "1", "1"]


def test_a_group_is_limited_to_its_page_cache_and_what_else_is_charged(tmp_path: Path) -> None:
    group = PageGroup(tmp_path, "limit", "usage", "cache")
    (tmp_path / "memory.stat").write_text(f"inactive_file 7\ncache {60 * MIB}\n")
    (tmp_path / "usage").write_text(f"{70 * MIB}\n")
    assert group.hold(64 * MIB) == 60 * MIB
    assert (tmp_path / "limit").read_text() == str(74 * MIB)
