"""What the benchmark `cache` counts of a store that is served, and of one that fills itself."""

from pathlib import Path

import numpy as np
import pytest

from engramctl.hashing import make_scheme
from engramctl.storage.requests.stats import StoreStats
from tests.benchmarks.caching.filled_reads import Half, filled_reads, rows_of
from tests.benchmarks.caching.mining import mined, planned_reads
from tests.benchmarks.caching.serving import Served, chunks, new_log, opened, serve
from tests.benchmarks.caching.tables import without_data
from tests.benchmarks.caching.texts import Domain, Texts
from tests.benchmarks.caching.together import together
from tests.benchmarks.caching.traces import CHUNK_TOKENS

SCHEME = make_scheme("deepseek-v41", slots=2_000_000, vocab_size=3000)


def text(is_mined: bool, chunk_count: int, seed: int = 0) -> Domain:
    """Phrases of twenty tokens in any order, a hundred different ones, some tokens over."""
    phrases = np.random.default_rng(7).integers(0, 3000, (100, 20))
    tokens = chunk_count * CHUNK_TOKENS + 7
    chosen = np.random.default_rng(seed).integers(0, len(phrases), tokens // 20 + 1)
    offsets = np.append(np.arange(0, tokens, 200), tokens).astype(np.int64)
    return Domain("text", is_mined, phrases[chosen].reshape(-1)[:tokens].astype(np.uint32), offsets)


def test_a_store_reads_the_pages_of_a_chunk_and_each_once(tmp_path: Path) -> None:
    """Neighbours are one read, so bytes are compared."""
    served = text(True, 2)
    table = without_data(tmp_path / "holes", SCHEME, None).path
    with opened(table) as store:
        found = serve(store, chunks(SCHEME, served))
    planned = planned_reads(SCHEME, served, None)
    assert found.tokens == 2 * CHUNK_TOKENS
    assert found.num_bytes == planned.num_bytes
    assert 0 < found.reads <= planned.pages
    assert found.record_reads == found.records == 0
    assert found.reads_per_token == found.reads / found.tokens


def test_a_log_begins_empty_and_goes_with_its_file(tmp_path: Path) -> None:
    table = without_data(tmp_path / "holes", SCHEME, None).path
    asked = list(chunks(SCHEME, text(True, 1)))
    for _ in range(2):
        with new_log(tmp_path, SCHEME) as fill, opened(table, fill=fill) as store:
            assert store.stats().log_entries == 0
            serve(store, [*asked, *asked])
            assert store.stats().log_entries > 0
        assert not list(tmp_path.glob("*.log"))


def test_chunks_that_follow_need_fewer_reads(tmp_path: Path) -> None:
    """The third chunk compares what the second recorded, and only then is it trusted."""
    domains = (text(True, 9), text(False, 8, 1))
    found = filled_reads(Texts(domains, SCHEME, ""), tmp_path, 8 * CHUNK_TOKENS, 3)
    reads, writes = found[::2], found[1::2]
    assert [one["name"] for one in reads] == [
        "self-filled dictionary, text (in-domain)", "self-filled dictionary, text (unseen)"
    ]  # fmt: skip
    assert all(one["ratio"] > 1.1 for one in reads)
    assert all(0 < one["ours"] <= 1500 for one in writes)
    assert all(one["target"] is None for one in found)
    counted, half = 2 * CHUNK_TOKENS, 4 * CHUNK_TOKENS
    for one in reads:
        assert f"{counted:,} tokens of the {half:,} after {half:,}" in one["bound"]


def test_chunks_that_are_not_counted_fill_it_too(tmp_path: Path) -> None:
    texts = Texts((text(True, 6),), SCHEME, "")
    found = []
    for step in (1, 9):
        folder = tmp_path / str(step)
        folder.mkdir()
        found.append(filled_reads(texts, folder, 6 * CHUNK_TOKENS, step))
    every, first = found
    assert every[1]["ours"] == first[1]["ours"] > 0
    assert every[0]["theirs"] > first[0]["theirs"] > 0


@pytest.mark.parametrize(("mined", "fewer"), [(True, 1.6), (False, 1.45)])
def test_targets_are_of_so_many_tokens(mined: bool, fewer: float) -> None:
    ours, theirs = Served(1000, 500, 100, 300, 1 << 20), Served(1000, 900, 0, 0, 1 << 21)
    stats = StoreStats(log_bytes_written=1_000_000_000, log_entries=7)
    reads, writes = rows_of(text(mined, 1), Half(1_500_000, 500_000, ours, theirs), stats, 1500.0)
    assert (reads["target"], reads["ratio"]) == (fewer, 1.8)
    assert (writes["target"], writes["ours"]) == (1.0, 500.0)
    assert reads["bound"].startswith("2.00 of bytes; 0.5 for 0.9 of 48 a token")


@pytest.mark.slow
def test_each_arm_saves_reads_beside_the_others(tmp_path: Path) -> None:
    domains = (text(True, 21), text(False, 2, 1))
    texts = Texts(domains, SCHEME, "")
    known = mined(texts, tmp_path, 3000)
    found = together(texts, known, tmp_path, 2 * CHUNK_TOKENS, 1)
    assert len(found) == 8
    ratios = {one["name"]: one["ratio"] for one in found}
    assert ratios["row cache, mined, text (unseen)"] > ratios["row cache, text (unseen)"] > 1
    assert {one["target"] for one in found} == {None}
