"""A resolution is what two copies of one arm may differ by: not less, and not much more."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from engramctl.results.document import percent_over
from engramctl.results.resolution import resolution_percent
from engramctl.shown.figures import overhead
from engramctl.shown.rows import below_resolution
from engramctl.sweep.options import BenchOptions

SAMPLES = st.lists(st.integers(1, 10**12), min_size=5, max_size=40)


def copies(random: np.random.Generator, count: int, noise: float) -> NDArray[np.int64]:
    """Two copies of one arm with independent noise."""
    return (1e7 * np.exp(noise * random.standard_normal((2, count)))).astype(np.int64)


@given(SAMPLES)
def test_what_slows_both_copies_of_a_round_alike_is_no_difference(samples: list[int]) -> None:
    assert resolution_percent(samples, samples) == 0


@given(st.data(), st.integers(5, 30))
def test_either_copy_may_be_the_first_and_the_samples_alone_decide(
    data: st.DataObject, count: int
) -> None:
    one, other = (
        data.draw(st.lists(st.integers(1, 10**9), min_size=count, max_size=count)) for _ in "ab"
    )
    found = resolution_percent(one, other)
    assert found is not None
    assert found >= 0
    assert found == resolution_percent(one, other)
    assert found == pytest.approx(resolution_percent(other, one))
    thousandfold = [1000 * sample for sample in one], [1000 * sample for sample in other]
    assert found == pytest.approx(resolution_percent(*thousandfold))


@pytest.mark.parametrize("count", [5, 15, 50])
@pytest.mark.parametrize("noise", [0.002, 0.1])
def test_nineteen_of_twenty_differences_of_two_copies_lie_below_it(
    count: int, noise: float
) -> None:
    random = np.random.default_rng(count)
    covered = []
    for _ in range(200):
        bound = resolution_percent(*copies(random, count, noise).tolist())
        another = percent_over(*copies(random, count, noise).tolist())
        covered.append(below_resolution(another, bound) is True)
    assert np.mean(covered) >= 0.93  # 0.95, as far as 200 trials tell


def test_a_bound_is_as_narrow_as_the_noise_allows() -> None:
    random = np.random.default_rng(1)
    bounds = [resolution_percent(*copies(random, 50, 0.01).tolist()) for _ in range(50)]
    # two medians of 50 differ by 0.01 * 1.25 * sqrt(2 / 50) = 0.25 % (one standard deviation)
    assert 0.4 < np.median([bound for bound in bounds if bound is not None]) < 0.9


def test_a_difference_of_five_percent_is_told_over_little_noise() -> None:
    random = np.random.default_rng(2)
    for _ in range(50):
        arm, copy, other = (copies(random, 20, 0.01)[0] for _ in range(3))
        bound = resolution_percent(arm.tolist(), copy.tolist())
        more = percent_over((other * 1.05).tolist(), arm.tolist())
        assert overhead(more, bound) != "below resolution"
        assert bound is not None
        assert bound < 2


def test_drift_of_the_machine_is_in_both_copies_and_cancels() -> None:
    random = np.random.default_rng(3)
    drift = np.linspace(1, 3, 40)  # three times slower at the end
    one, other = (copies(random, 40, 0.01) * drift).astype(np.int64).tolist()
    paired = resolution_percent(one, other)
    apart = resolution_percent(one, random.permutation(other).tolist())
    assert paired is not None
    assert apart is not None
    assert paired < 3
    assert apart > 15


def test_too_few_pairs_have_no_resolution_and_no_case_takes_so_few() -> None:
    assert resolution_percent([1, 2, 3, 4], [1, 2, 3, 4]) is None
    assert resolution_percent([], []) is None
    for case in ("gather", "lookup", "step"):
        for phase in ("decode", "prefill"):
            count = BenchOptions(samples=1).num_samples(case, phase)
            assert resolution_percent([1] * count, [1] * count) is not None


def test_an_overhead_is_shown_when_nothing_bounds_it() -> None:
    assert overhead(None, 1.0) is None
    assert overhead(0.5, None) == "+0.5 %"
    assert overhead(-0.9, 1.0) == overhead(0.9, 1.0) == "below resolution"
    assert overhead(1.0, 1.0) == "+1.0 %"
    assert overhead(-1.5, 1.0) == "-1.5 %"
