"""What the benchmark `cache` counts of a dictionary, and the tables it counts on."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from engramctl.hashing import make_scheme
from engramctl.storage.dictionary.read import DictionaryFiles
from tests.benchmarks.caching.mined_times import RUN_TOKENS, runs
from tests.benchmarks.caching.mining import Mined, Reads, found_records, mined, planned_reads
from tests.benchmarks.caching.serving import chunks
from tests.benchmarks.caching.slots import known
from tests.benchmarks.caching.tables import scattered, with_data, without_data
from tests.benchmarks.caching.texts import Domain, Texts
from tests.benchmarks.caching.traces import CHUNK_TOKENS, all_columns, row_ids
from tests.benchmarks.cold.table import A_PAGE, SPEC

SCHEME = make_scheme("deepseek-v41", slots=5000, vocab_size=300)
ENTRIES = 2000


def text(name: str, is_mined: bool, documents: int, seed: int) -> Domain:
    random = np.random.default_rng(seed)
    lengths = random.integers(200, 600, documents)
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    ids = (random.zipf(1.2, offsets[-1]) % 300).astype(np.uint32)
    return Domain(name, is_mined, ids, offsets)


@pytest.fixture(scope="module")
def dictionary(tmp_path_factory: pytest.TempPathFactory) -> Mined:
    domains = (text("in", True, 60, 0), text("other", False, 12, 1))
    return mined(Texts(domains, SCHEME, ""), tmp_path_factory.mktemp("mined"), ENTRIES)


def test_every_tenth_document_is_held_out_and_none_of_it_is_mined(dictionary: Mined) -> None:
    whole, other = text("in", True, 60, 0), text("other", False, 12, 1)
    held, unseen = dictionary.held_out
    assert unseen.ids.tolist() == other.ids.tolist()
    parts = [whole.ids[whole.offsets[n] : whole.offsets[n + 1]] for n in range(9, 60, 10)]
    assert held.ids.tolist() == np.concatenate(parts).tolist()
    assert dictionary.tokens + len(held.ids) == len(whole.ids)
    assert len(dictionary.plan.order_index) == ENTRIES


@pytest.mark.parametrize("is_with", [True, False])
def test_reads_are_pages_and_records_each_once_a_chunk(dictionary: Mined, is_with: bool) -> None:
    served = dictionary.held_out[1]
    plan = dictionary.plan if is_with else None
    rows = row_ids(SCHEME, served, all_columns(SCHEME))
    heads, pages, records = SCHEME.heads_per_order, 0, 0
    asked = chunks(SCHEME, served)
    for number, (_, keys) in enumerate(asked):
        needed: set[int] = set()
        found: set[int] = set()
        for t in range(CHUNK_TOKENS):
            for order in range(3):
                record = -1
                if plan is not None:
                    record = int(plan.index.find(order, keys[t : t + 1, order].copy())[0])
                if record >= 0:
                    found.add(record)
                    continue
                for layer in range(2):
                    first = layer * 3 * heads + order * heads
                    some = rows[number * CHUNK_TOKENS + t, first : first + heads]
                    needed |= set((some // A_PAGE).tolist())
        pages, records = pages + len(needed), records + len(found)
    told = planned_reads(SCHEME, served, plan)
    assert told == Reads(pages, records)
    assert told.num_bytes == 4096 * (pages + 2 * records)
    assert (records > 0) == is_with


def test_chunks_are_the_rows_and_keys_of_the_whole_text(dictionary: Mined) -> None:
    served = dictionary.held_out[1]
    rows = row_ids(SCHEME, served, all_columns(SCHEME))
    base = -(-SCHEME.num_rows(1) // A_PAGE) * A_PAGE
    for number, (found, keys) in enumerate(chunks(SCHEME, served, 50)):
        part = slice(50 * number, 50 * number + 50)
        both = np.concatenate([found[1], found[14] + base], axis=1)
        assert np.array_equal(both, rows[part])
        alone = SCHEME.ngram_keys(served.ids[: served.offsets[1]].astype(np.int64))
        if part.stop <= served.offsets[1]:
            assert np.array_equal(keys, alone[part])
    assert number == len(served.ids) // 50 - 1


def test_a_table_without_data_has_the_size_and_the_index_and_no_bytes(
    dictionary: Mined, tmp_path: Path
) -> None:
    table = without_data(tmp_path / "holes", SCHEME, dictionary.plan)
    assert [table.num_rows(layer) for layer in SCHEME.layers] == [
        SCHEME.num_rows(layer) for layer in SCHEME.layers
    ]
    used = sum(file.stat().st_blocks * 512 for file in table.path.iterdir())
    assert used < sum(file.stat().st_size for file in table.path.iterdir()) / 4
    keys = next(chunks(SCHEME, dictionary.held_out[0]))[1]
    with DictionaryFiles.open(table.path, table.manifest) as files:
        for order in range(3):
            column = np.ascontiguousarray(keys[:, order])
            expected = dictionary.plan.index.find(order, column)
            assert np.array_equal(files.find(order, column), expected)
    assert without_data(tmp_path / "none", SCHEME, None).manifest.dictionary is None


def test_records_of_a_small_table_are_its_scattered_rows(dictionary: Mined, tmp_path: Path) -> None:
    num_rows = 3000
    table = with_data(tmp_path / "small", SCHEME, num_rows, dictionary.plan)
    with DictionaryFiles.open(table.path, table.manifest) as files:
        records = files.read(np.arange(40, 90)).reshape(50, 2, -1)
    for place, layer in enumerate(SCHEME.layers):
        rows = scattered(dictionary.plan.rows(layer, 40, 90), layer, num_rows)
        direct = np.concatenate(table.read_rows(layer, rows.reshape(-1)), axis=1)
        assert np.array_equal(records[:, place].reshape(-1, SPEC.record_bytes), direct)


def test_scattered_rows_are_spread_and_differ_by_layer() -> None:
    rows = np.arange(30_000)
    first, second = (scattered(rows, layer, 1000) for layer in (1, 14))
    for places in (first, second):
        assert np.bincount(places, minlength=1000).min() > 0
        assert np.bincount(places).max() < 90
    assert (first == second).mean() < 0.01
    assert (np.abs(np.diff(first)) < A_PAGE).mean() < 0.1


def test_short_runs_are_spread_over_the_text_and_none_is_there_twice(dictionary: Mined) -> None:
    served = dictionary.held_out[1]
    found = runs(SCHEME, served, 1000, 20)
    assert len(found) == 20
    assert all(len(keys) == RUN_TOKENS for _, keys in found)
    every = len(served.ids) // RUN_TOKENS // 20
    expected = [
        keys for n, (_, keys) in enumerate(chunks(SCHEME, served, RUN_TOKENS)) if n % every == 0
    ]
    assert all(np.array_equal(a[1], b) for a, b in zip(found, expected, strict=False))


def test_known_ngrams_are_asked_for_by_key_and_by_rows(dictionary: Mined) -> None:
    asked = known(SCHEME, dictionary.held_out[0], dictionary.plan, 90)
    assert [len(keys) for keys in asked.keys] == [30, 30, 23]  # all it knows of order 4
    found = [dictionary.plan.index.find(order, keys) for order, keys in enumerate(asked.keys)]
    assert np.array_equal(np.concatenate(found), asked.records)
    rows = dictionary.plan.rows(SCHEME.layers[0], 0, ENTRIES)
    assert np.array_equal(rows[asked.records], asked.rows)


def test_without_a_dictionary_no_ngram_is_found(dictionary: Mined) -> None:
    keys = next(chunks(SCHEME, dictionary.held_out[0]))[1]
    assert (found_records(None, keys) == -1).all()
    assert (found_records(dictionary.plan, keys) >= 0).any()
    assert replace(dictionary.held_out[0], is_mined=False).title == "in (unseen)"
