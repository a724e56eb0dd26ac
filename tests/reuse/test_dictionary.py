from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from engramctl.hashing import make_scheme
from engramctl.reuse import unique
from engramctl.reuse.benefit import count_classes, expected_counts
from engramctl.reuse.chunk_counts import ChunkCounts
from engramctl.reuse.dictionary import Dictionary, DictionaryUse
from engramctl.reuse.interleave import Block
from engramctl.reuse.unique import UniqueShares
from tests.helpers.traces import skewed

SCHEME = make_scheme("engram", vocab_size=64, slots=97, heads_per_order=2)  # 2 orders, 2 layers


def block(keys_by_order: list[list[int]], document: int = 7) -> Block:
    keys = np.zeros((len(keys_by_order[0]), len(keys_by_order), 2), np.uint64)
    for number, values in enumerate(keys_by_order):
        keys[:, number, number % 2] = values  # the second order differs in the high word
    ends = np.unique([*range(0, len(keys), document), len(keys)]).astype(np.int64)
    return Block(np.zeros((len(keys), len(keys_by_order)), np.int32), keys, ends)


@given(st.data())
@settings(deadline=None)
def test_chunk_counts_are_exact_for_any_keys(data: st.DataObject) -> None:
    words = st.integers(0, 3) | st.sampled_from([2**63, 2**64 - 1])
    keys = data.draw(st.lists(st.tuples(words, words), max_size=300))
    marks = np.array(
        data.draw(st.lists(st.booleans(), min_size=len(keys), max_size=len(keys))), bool
    )
    halves = np.arange(len(keys), dtype=np.uint8) % np.uint8(2)
    counts = ChunkCounts()
    flat = np.array(keys, np.uint64).reshape(-1, 2)
    for at in range(0, len(keys), 50):
        part = slice(at, at + 50)
        counts.add(flat[part], marks[part], halves[part])
    expected = [
        Counter(
            key for key, mark, half in zip(keys, marks, halves, strict=True) if mark and half == n
        )
        for n in (0, 1)
    ]
    found = counts.entries()
    totals = Counter((int(one), int(two)) for one, two in found.halves)
    every = expected[0].keys() | expected[1].keys()
    assert totals == Counter((expected[0][key], expected[1][key]) for key in every)


def test_a_growing_table_forgets_nothing() -> None:
    trace = skewed(30_000, 100_000).astype(np.uint64)
    keys = np.stack([trace, trace ^ np.uint64(5)], axis=1)
    counts = ChunkCounts()
    ones = np.ones(len(keys), bool)
    counts.add(keys, ones, np.zeros(len(keys), np.uint8))
    expected = Counter(trace.tolist())
    assert sorted(counts.entries().halves[:, 0].tolist()) == sorted(expected.values())


def plain_use(
    mined: list[list[int]], served: list[list[int]], size: int, chunk: int
) -> tuple[list[float], list[float]]:
    """Rank by chunk count alone; right where no two n-grams tie at the cut."""
    counts: Counter[tuple[int, int]] = Counter()
    for order, values in enumerate(mined):
        for at in range(0, len(values), chunk):
            counts.update({(order, value) for value in values[at : at + chunk]})
    held = {key for key, _ in counts.most_common(size)}
    raw, unique_hits = [], []
    for order, values in enumerate(served):
        raw.append(sum((order, value) in held for value in values) / len(values))
        firsts = [
            value for at in range(0, len(values), chunk) for value in set(values[at : at + chunk])
        ]
        unique_hits.append(sum((order, value) in held for value in firsts) / len(firsts))
    return raw, unique_hits


def test_a_dictionary_serves_what_plain_sets_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unique, "CHUNK_TOKENS", (4, 8))
    monkeypatch.setattr(unique, "DEDUP_TOKENS", 4)
    random = np.random.default_rng(0)
    one = [value for value in range(6) for _ in range(4 * 3**value)]  # counts 1, 3, 9, .. chunks
    mined = [one, [9] * len(one)]
    served = [random.integers(0, 8, 100).tolist(), random.integers(5, 12, 100).tolist()]
    dictionary = Dictionary((2, 3), (1, 2, 4, 100), rate=1.0)
    first = block(mined)
    dictionary.add(0, first)
    dictionary.rank()
    assert dictionary.held == (1, 2, 4, 7)
    assert dictionary.tokens == len(one)
    use, shares = DictionaryUse(dictionary), UniqueShares((2, 3))
    keys = block(served).keys
    assert keys is not None
    for at in range(0, 100, 33):
        use.add(keys[at : at + 33], shares.add(keys[at : at + 33]))
    rows = use.document(SCHEME)
    assert [row["entries"] for row in rows] == [0, 1, 2, 4, 100]
    assert rows[0]["reads_per_token"] == 4
    for row in rows[1:]:
        raw, after = plain_use(mined, served, row["entries"], 4)
        assert row["hit_rate"] == pytest.approx(raw)
        assert row["hit_rate_after_dedup"] == pytest.approx(after)
        share = [n / 100 for n in use.distinct]
        assert row["reads_per_token"] == pytest.approx(sum(2 - hit for hit in raw))
        pairs = list(zip(share, after, strict=True))
        assert row["reads_per_token_after_dedup"] == pytest.approx(
            sum(u * (2 - h) for u, h in pairs)
        )
        assert row["reads_per_token_all_layers_after_dedup"] == pytest.approx(
            sum(u * (4 - 3 * h) for u, h in pairs)
        )


def ngrams(seed: int) -> list[list[int]]:
    rows = skewed(30_000, 120_000, seed=9).tolist()
    random = np.random.default_rng(seed)
    return [random.permutation(rows).tolist(), random.permutation(rows).tolist()]


def served_by(rate: float) -> list[dict[str, list[float]]]:
    dictionary = Dictionary((2, 3), (1 << 10, 1 << 13, 1 << 15), rate)
    dictionary.add(0, block(ngrams(1), document=500))
    dictionary.rank()
    use, shares = DictionaryUse(dictionary), UniqueShares((2, 3))
    keys = block(ngrams(2)).keys
    assert keys is not None
    use.add(keys, shares.add(keys))
    return use.document(SCHEME)


def test_a_sample_of_ngrams_gives_nearly_the_same() -> None:
    for exact, sampled in zip(served_by(1.0), served_by(1 / 4), strict=True):
        assert sampled["entries"] == exact["entries"]
        assert sampled["hit_rate_after_dedup"] == pytest.approx(
            exact["hit_rate_after_dedup"], abs=0.03
        )


@pytest.mark.parametrize("limit", [1, 6, 7, 13, 20, 28, 100])
def test_one_file_teaches_no_more_than_its_tokens(limit: int) -> None:
    """A file of 28 tokens, cut where the limit is, teaches what a file of its first ones does."""
    limited = Dictionary((2, 3), (1, 2), rate=1.0, max_tokens_per_file=limit)
    plain = Dictionary((2, 3), (1, 2), rate=1.0)
    for file in (0, 1):
        values = [100 * file + n for n in range(28)]
        for at in (0, 14):  # two blocks of two documents of 7 tokens
            part = values[at : at + 14]
            limited.add(file, block([part, part]))
        first = values[:limit]
        plain.add(file, block([first, first]))
    assert limited.tokens == plain.tokens == 2 * min(limit, 28)
    for one, other in zip(limited.counts, plain.counts, strict=True):
        assert sorted(one.entries().hashes.tolist()) == sorted(other.entries().hashes.tolist())


@st.composite
def half_counts(draw: st.DrawFn) -> NDArray[np.uint32]:
    pairs = draw(st.lists(st.tuples(st.integers(0, 400), st.integers(0, 400)), max_size=80))
    return np.array(pairs, np.uint32).reshape(-1, 2) + np.array([1, 0], np.uint32)


@given(half_counts())
def test_a_larger_count_is_never_worth_less(halves: NDArray[np.uint32]) -> None:
    values = expected_counts(halves)
    total = halves.sum(axis=1)
    order = np.argsort(total, kind="stable")
    assert (np.diff(values[order]) >= 0).all()
    same = {(int(count), float(value)) for count, value in zip(total, values, strict=True)}
    assert len(same) == len(set(total.tolist()))


def test_singletons_are_worth_what_the_other_half_says() -> None:
    once = np.tile(np.array([[1, 0], [0, 1]], np.uint32), (50_000, 1))
    seen_again = np.tile(np.array([[1, 1]], np.uint32), (50_000, 1))
    values = expected_counts(np.concatenate([once, seen_again]))
    assert values[0] == pytest.approx(0.5, abs=0.001)  # 100,000 of 200,000 chunks come again


def test_classes_ascend_and_have_no_gaps() -> None:
    classes = count_classes(np.arange(100_000))
    assert (np.diff(classes) >= 0).all()
    assert classes[:18].tolist() == list(range(18))
    assert set(np.diff(classes[:60]).tolist()) == {0, 1}
