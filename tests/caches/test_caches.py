import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from engramctl.caches.best_fixed import RowCounts
from engramctl.caches.lru import DEPTH, LruCurve
from engramctl.caches.reference import S3FifoReference, lru_hits, ranking, static_hits
from engramctl.caches.s3fifo import S3Curve, S3Fifo
from engramctl.caches.sampling import sample, threshold
from engramctl.caches.stack import StackDistances
from engramctl.caches.static import StaticRows
from tests.helpers.traces import skewed

SIZES = (1, 2, 3, 5, 8, 13, 40, 200)


@st.composite
def traces(draw: st.DrawFn) -> NDArray[np.int64]:
    """Rows that repeat in bursts, and now and then row 0 and the largest there can be."""
    top = draw(st.sampled_from([1, 4, 30, 300]))
    rows = st.integers(0, top) | st.sampled_from([0, 2**31, 2**40])
    return np.array(draw(st.lists(rows, max_size=300)), np.int64)


def cut(trace: NDArray[np.int64], seed: int) -> list[NDArray[np.int64]]:
    places = np.random.default_rng(seed).integers(0, len(trace) + 1, 4)
    return np.split(trace, np.sort(places))


@given(traces(), st.integers(0, 9))
@settings(deadline=None)
def test_an_lru_cache_of_any_size_hits_as_the_plain_one(
    trace: NDArray[np.int64], seed: int
) -> None:
    lru = StackDistances()
    for piece in cut(trace, seed):
        lru.add(piece)
    for size in SIZES:
        hits = lru_hits(trace.tolist(), size)
        assert lru.hit_rate(size) == pytest.approx(hits / max(1, len(trace)))
    assert lru.first_accesses == len(set(trace.tolist()))


def test_stack_distances_are_right_after_many_renumberings() -> None:
    trace = skewed(5_000, 40_000)
    lru = StackDistances()
    for piece in cut(trace, 1):
        lru.add(piece)
    for size in (1, 10, 700, 3_000, 5_000):
        assert lru.hit_rate(size) == pytest.approx(lru_hits(trace.tolist(), size) / len(trace))


@given(traces(), st.integers(1, 20), st.integers(0, 9))
@settings(deadline=None)
def test_a_stack_of_some_depth_is_right_for_caches_of_that_size(
    trace: NDArray[np.int64], depth: int, seed: int
) -> None:
    lru = StackDistances(depth=depth)
    for piece in cut(trace, seed):
        lru.add(piece)
    for size in range(1, depth + 1):
        hits = lru_hits(trace.tolist(), size)
        assert lru.hit_rate(size) == pytest.approx(hits / max(1, len(trace)))


def test_a_stack_of_some_depth_is_right_after_many_renumberings() -> None:
    trace = skewed(5_000, 40_000)
    lru = StackDistances(depth=600)
    for piece in cut(trace, 1):
        lru.add(piece)
    for size in (1, 10, 600):
        assert lru.hit_rate(size) == pytest.approx(lru_hits(trace.tolist(), size) / len(trace))


def test_small_caches_are_measured_more_finely_than_large_ones() -> None:
    trace = skewed(200_000, 600_000)
    sizes = tuple(2**bits for bits in range(6, 18))
    exact, curve = StackDistances(), LruCurve(sizes, 1 / 64, 1 << 9)
    exact.add(trace)
    for piece in cut(trace, 5):
        curve.add(piece)
    assert curve.rate < 1 / 64
    for size, rate in curve.hit_rates().items():
        near = 1e-9 if size <= DEPTH else 0.02
        assert rate == pytest.approx(exact.hit_rate(size), abs=near)


def test_a_curve_at_full_rate_is_exact() -> None:
    trace = skewed(20_000, 60_000)
    exact, curve = StackDistances(), LruCurve((16, 1024, 8192), 1.0, None)
    exact.add(trace)
    curve.add(trace)
    assert curve.hit_rates() == exact.hit_rates((16, 1024, 8192))


def test_a_sample_keeps_all_accesses_of_its_rows_and_lower_rates_keep_fewer() -> None:
    trace = skewed(3_000, 20_000)
    half, quarter = sample(trace, 0.5), sample(trace, 0.25)
    kept = set(half.tolist())
    assert half.tolist() == [row for row in trace.tolist() if row in kept]
    assert set(quarter.tolist()) < kept
    assert sample(half, 0.25).tolist() == quarter.tolist()
    assert sample(trace, 1.0) is trace
    assert len(kept) / len(set(trace.tolist())) == pytest.approx(0.5, abs=0.05)
    assert threshold(2**-64) == 0


@pytest.mark.parametrize("most", [None, 500])
def test_sampled_lru_curves_are_near_the_exact_ones(most: int | None) -> None:
    trace = skewed(60_000, 400_000)
    exact, sampled = StackDistances(), StackDistances(1 if most else 1 / 16, most)
    exact.add(trace)
    for piece in cut(trace, 2):
        sampled.add(piece)
    sizes = [2**bits for bits in range(9, 17)]
    errors = [abs(exact.hit_rate(size) - sampled.hit_rate(size)) for size in sizes]
    assert sampled.rate < 0.1
    assert 0 < sum(errors) / len(errors) < 0.02
    assert sampled.first_accesses <= 500 or most is None


def test_a_bounded_lru_sample_does_not_depend_on_pieces() -> None:
    trace = skewed(20_000, 60_000)
    rates = []
    for seed in range(3):
        lru = StackDistances(max_rows=300)
        for piece in cut(trace, seed):
            lru.add(piece)
        rates.append(lru.hit_rates([2**bits for bits in range(16)]))
    assert rates[0] == rates[1] == rates[2]
    curve = list(rates[0].values())
    assert curve == sorted(curve)


@given(traces(), st.integers(1, 60), st.integers(0, 9))
@settings(deadline=None)
def test_s3fifo_misses_as_the_plain_one_and_never_holds_more_than_its_rows(
    trace: NDArray[np.int64], capacity: int, seed: int
) -> None:
    cache, plain = S3Fifo(capacity), S3FifoReference(capacity)
    for piece in cut(trace, seed):
        before = cache.misses
        cache.add(piece)
        assert cache.misses - before == sum(not plain.access(row) for row in piece.tolist())
        assert cache.rows == len(plain.hits) <= capacity
    if capacity >= len(set(trace.tolist())):
        assert cache.misses == len(set(trace.tolist()))


def test_s3fifo_equals_the_plain_one_where_its_queues_go_round() -> None:
    trace = skewed(2_000, 30_000)
    for capacity in (1, 2, 9, 10, 11, 333):
        cache, plain = S3Fifo(capacity), S3FifoReference(capacity)
        cache.add(trace)
        assert cache.misses == sum(not plain.access(row) for row in trace.tolist())


def test_miniature_caches_are_near_exact_ones_and_small_ones_are_exact() -> None:
    trace = skewed(60_000, 400_000)
    sizes = (256, 512, 4_096, 16_384, 65_536)
    curve = S3Curve(sizes, rate=1 / 16)
    for piece in cut(trace, 3):
        curve.add(piece)
    for size, rate in curve.hit_rates().items():
        exact = S3Fifo(size)
        exact.add(trace)
        assert rate == pytest.approx(1 - exact.misses / len(trace), abs=0.02 if size > 512 else 0)


@given(traces(), traces(), st.integers(0, 9))
@settings(deadline=None)
def test_static_sets_and_the_best_fixed_one_serve_what_plain_rankings_do(
    mined: NDArray[np.int64], other: NDArray[np.int64], seed: int
) -> None:
    span, base = 301, 1_000
    two = [np.stack([part % span, base + part[::-1] % span], axis=1) for part in (mined, other)]
    sizes = (1, 3, 30, 400, 700)
    static = StaticRows((0, base), (span, span), (sizes, sizes[:3]), sizes)
    counts = RowCounts()
    for piece in cut(np.arange(len(mined)), seed):
        static.add(two[0][piece])
    own = static.rank()
    served = static.nothing()
    for piece in cut(np.arange(len(other)), seed):
        static.serve(two[1][piece], served)
        counts.add(two[1][piece].reshape(-1))
    for number, (orders, start, stop) in enumerate(
        (([0, 1], 0, 2 * base), ([0], 0, base), ([1], base, 2 * base))
    ):
        first, second = (rows[:, orders].reshape(-1).tolist() for rows in two)
        best = counts.best_hit_rates((start, stop), sizes)
        for size, hits in static.served(served)[number].items():
            assert hits == static_hits(second, ranking(first), size)
            assert own[number][size] == static_hits(first, ranking(first), size)
            by_best = static_hits(second, ranking(second), size)
            assert best[size] == pytest.approx(by_best / max(1, len(second)))
            assert hits <= by_best


def test_static_sets_rank_rows_with_very_many_accesses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("engramctl.caches.static._CLIP", 8)
    trace = skewed(100, 3_000)
    sizes = tuple(range(1, 101))
    static = StaticRows((0,), (100,), (sizes,), sizes)
    static.add(trace[:, None])
    both = static.rank()
    assert both[0] == both[1]
    rows = trace.tolist()
    assert both[0] == {size: static_hits(rows, ranking(rows), size) for size in sizes}


def test_a_sampled_best_fixed_set_is_near_the_exact_one() -> None:
    trace = skewed(60_000, 400_000)
    exact, sampled = RowCounts(), RowCounts(1 / 8)
    exact.add(trace)
    for piece in cut(trace, 4):
        sampled.add(piece)
    sizes = [2**bits for bits in range(9, 17)]
    rates = sampled.best_hit_rates((0, 60_000), sizes, len(trace))
    for size, rate in exact.best_hit_rates((0, 60_000), sizes).items():
        assert rates[size] == pytest.approx(rate, abs=0.02)
