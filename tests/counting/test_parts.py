"""Chunks, the two pure steps, order 1, the top rows and the spill store on their own."""

import os
from collections import Counter
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engramctl.corpus.batch import TokenBatch
from engramctl.counting import reference
from engramctl.counting.chunks import Chunk, cut_chunks
from engramctl.counting.count import Rows, count_partition, partition_chunk
from engramctl.counting.keys import KeyLayout, partition_bits
from engramctl.counting.reference import count_ngrams
from engramctl.counting.spill import SpillStore
from engramctl.counting.top import TopRows
from engramctl.counting.unigrams import RANGE_BITS, Unigrams
from engramctl.errors import StorageError

FEW_SLOTS = 16  # a table then holds 11 records

documents = st.lists(st.integers(0, 2**32 - 1), max_size=9)


@settings(deadline=None)
@given(st.lists(st.lists(documents, max_size=5), max_size=5), st.integers(5, 14))
def test_the_chunks_ngrams_are_the_documents_ngrams_once(
    batches: list[list[list[int]]], size: int
) -> None:
    def tokens() -> list[TokenBatch]:
        return [
            TokenBatch(
                np.array([token for document in batch for token in document], np.uint32),
                np.cumsum([0, *map(len, batch)], dtype=np.int64),
            )
            for batch in batches
        ]

    chunks = list(cut_chunks(tokens(), size))
    assert all(len(chunk.ids) <= size for chunk in chunks)
    for order in (1, 2, 3, 4, 5):
        expected = count_ngrams([d for batch in batches for d in batch], order)
        found = count_ngrams([], order)
        for chunk in chunks:
            pieces = [piece.tolist() for piece in np.split(chunk.ids, chunk.offsets[1:-1])]
            found += count_ngrams(pieces, order)
            found -= _begun_in_tail(chunk, order)
        assert found == expected


def _begun_in_tail(chunk: Chunk, order: int) -> Counter[tuple[int, ...]]:
    """The n-grams of a chunk that the next chunk counts."""
    last = chunk.ids[chunk.offsets[-2] :].tolist()
    return count_ngrams([last[len(last) - chunk.tail :]], order)


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_a_partition_is_counted_the_same_in_one_table_and_in_ranges(data: st.DataObject) -> None:
    top = data.draw(st.sampled_from([3, 50, 129_280, 2**28 - 2]))
    ids = st.integers(0, min(top, 9)) | st.integers(max(0, top - 9), top)
    corpus = data.draw(st.lists(st.lists(ids, max_size=60), min_size=1, max_size=9))
    offsets = np.cumsum([0, *map(len, corpus)], dtype=np.int64)
    flat = np.array([token for document in corpus for token in document], np.uint32)
    order = data.draw(st.integers(2, 5))
    orders = data.draw(st.sets(st.integers(1, order), min_size=1))
    min_count = data.draw(st.integers(1, 2))
    bits = partition_bits(order, (top + 1).bit_length(), 0, 1)
    layout = KeyLayout(order, top + 1, bits)
    records, bounds = partition_chunk(Chunk(flat, offsets, 0), layout)
    width = layout.record_words
    found: dict[int, list[tuple[tuple[int, ...], int]]] = {order: [] for order in orders}
    for number in range(1 << bits):
        part = records[width * bounds[number] : width * bounds[number + 1]]
        for rows in count_partition(
            lambda part=part: [part[: 2 * width], part[2 * width :]],  # type: ignore[misc]
            layout, number, orders, min_count=min_count, most_slots=FEW_SLOTS,
        ):  # fmt: skip
            for key, value in rows.items():
                assert key > 1 or value.distinct == len(value.counts)
                tuples = map(tuple, value.ids.tolist())
                found[key] += zip(tuples, value.counts.tolist(), strict=True)
    for key in orders - {1}:
        assert found[key] == reference.rows(corpus, key, min_count)
    if 1 in orders:
        unigrams: Counter[tuple[int, ...]] = Counter()
        for ngram, times in found[1]:
            unigrams[ngram] += times
        assert unigrams == count_ngrams(corpus, 1)


@given(
    st.lists(st.lists(st.integers(1, 5), max_size=8), max_size=12),
    st.integers(1, 20),
)
def test_the_top_rows_are_the_most_frequent_and_the_first_among_equals(
    parts: list[list[int]], limit: int
) -> None:
    top = TopRows(limit, 1)
    number = 0
    for part in parts:
        ids = np.arange(number, number + len(part), dtype=np.uint32).reshape(-1, 1)
        top.add(Rows(ids, np.array(part, np.uint64), len(part), sum(part)))
        number += len(part)
    counts = [count for part in parts for count in part]
    best = sorted(range(len(counts)), key=lambda row: (-counts[row], row))[:limit]
    rows = top.rows()
    assert rows.ids[:, 0].tolist() == sorted(best)
    assert rows.counts.tolist() == [counts[row] for row in sorted(best)]


@given(st.lists(st.lists(st.tuples(st.integers(0, 9), st.integers(1, 5)), max_size=8), max_size=9))
def test_order_1_adds_up_over_partitions(parts: list[list[tuple[int, int]]]) -> None:
    unigrams, expected = Unigrams(Path("/nonexistent")), Counter[int]()
    with patch("engramctl.counting.unigrams.MOST_WAITING", 5):
        for part in parts:
            ids = np.array([token for token, _ in part], np.uint32).reshape(-1, 1)
            counts = np.array([times for _, times in part], np.uint64)
            unigrams.add(Rows(ids, counts, len(part), 0))
            for token, times in part:
                expected[token] += times
    [rows] = unigrams.rows()
    assert list(zip(rows.ids[:, 0].tolist(), rows.counts.tolist(), strict=True)) == sorted(
        expected.items()
    )


def test_order_1_holds_few_rows_in_memory_however_many_ids_there_are(tmp_path: Path) -> None:
    random = np.random.default_rng(1)
    near = 1 << RANGE_BITS
    ids = np.concatenate(
        [random.integers(0, 2**32, 3000), random.integers(near - 40, near + 40, 3000), [2**32 - 1]]
    ).astype(np.uint32)
    counts = random.integers(1, 2**40, len(ids)).astype(np.uint64)
    unigrams = Unigrams(tmp_path)
    with (
        patch("engramctl.counting.unigrams.MOST_WAITING", 64),
        patch("engramctl.counting.unigrams.MOST_HELD", 200),
    ):
        for at in range(0, len(ids), 500):
            part = slice(at, at + 500)
            unigrams.add(Rows(ids[part].reshape(-1, 1), counts[part], 0, 0))
            assert sum(len(held) for held, _ in unigrams.parts) <= 200 + 2 * 64
        found = list(unigrams.rows())
    expected: Counter[int] = Counter()
    for token, times in zip(ids.tolist(), counts.tolist(), strict=True):
        expected[token] += times
    pairs = [
        pair
        for rows in found
        for pair in zip(rows.ids[:, 0].tolist(), rows.counts.tolist(), strict=True)
    ]
    assert pairs == sorted(expected.items())
    assert sum(rows.distinct for rows in found) == len(expected)
    assert sum(rows.occurrences for rows in found) == expected.total()
    unigrams.remove()
    assert list(tmp_path.iterdir()) == []


def test_records_come_back_the_same_from_memory_and_from_disk(tmp_path: Path) -> None:
    random = np.random.default_rng(5)
    chunks = [random.integers(0, 2**63, (50, 2)).astype(np.uint64).reshape(-1) for _ in range(4)]
    bounds = [np.array([0, *sorted(random.integers(0, 51, 7)), 50], np.uint32) for _ in chunks]
    for memory_bytes in (0, 1700, 1 << 20):
        store = SpillStore(tmp_path, partitions=8, memory_bytes=memory_bytes, record_words=2)
        for chunk, bound in zip(chunks, bounds, strict=True):
            store.add(chunk, bound)
        assert store.spilled_bytes == {0: 3200, 1700: 1600}.get(memory_bytes, 0)
        for number in range(8):
            expected = [
                c[2 * b[number] : 2 * b[number + 1]] for c, b in zip(chunks, bounds, strict=True)
            ]
            found = [np.empty(0, np.uint64), *store.partition(number)]
            assert np.array_equal(np.concatenate(found), np.concatenate(expected))
        store.remove()
        assert list(tmp_path.iterdir()) == []


def test_a_store_goes_on_from_its_checkpoint_and_drops_what_came_after(tmp_path: Path) -> None:
    about: dict[str, Any] = {"partitions": 2, "record_words": 1, "memory_bytes": 100}
    bounds = np.array([0, 3, 10], np.uint32)
    chunks = [np.arange(10, dtype=np.uint64) + 10 * number for number in range(4)]
    store = SpillStore(tmp_path, **about)
    store.add(chunks[0], bounds)  # stays in memory
    store.add(chunks[1], bounds)
    state = store.checkpoint()
    store.add(chunks[2], bounds)
    store.close()
    again = SpillStore(tmp_path, **about)
    again.take_up(state)
    again.add(chunks[3], bounds)
    assert again.size(0) == 9
    for number, (first, last) in enumerate(((0, 3), (3, 10))):
        found = np.sort(np.concatenate(list(again.partition(number))))
        expected = np.concatenate([chunks[at][first:last] for at in (0, 1, 3)])
        assert found.tolist() == expected.tolist()
    again.close()
    os.truncate(tmp_path / "records.spill", 8)
    with pytest.raises(StorageError, match=r"records\.spill is not what") as caught:
        SpillStore(tmp_path, **about).take_up(state)
    assert "shorter" in str(caught.value.facts["found"])
